#include "simulation/content_model.hpp"

#include <algorithm>

#include "store/keys.hpp"

namespace anabranch::simulation {
namespace {

bool is_node_below(const schema& fields, int at, int ancestor) {
    for (; at >= 0; at = fields.nodes[static_cast<std::size_t>(at)].parent) {
        if (at == ancestor) return true;
    }
    return false;
}

/// What is left, at its end, of what it did to a leaf.
struct traces {
    bool is_written = false;
    bool is_removed = false;
    bool is_emptied = false;  // with what is above it
    deed write;

    void note(field_type type, const operation& op) {
        const bool removal_stays = type == field_type::remove_wins_set || type == field_type::disable_wins_flag;
        const auto begin_anew = [&] {
            is_written = false;
            write = {};
        };
        const auto sum = [&](std::int64_t sign, std::int64_t& to) {
            for (const auto& p : op.parts) {
                is_written = is_written || p.amount != 0 || op.what == action::deposit;
                to += sign * p.amount;
            }
        };
        switch (op.what) {
            case action::add:
                is_written = true;
                write.amount += op.amount;
                return;
            case action::assign:
            case action::insert:
                is_written = true;
                // Who writes has removed what there was; a removal that wins over writes says more.
                is_removed = is_removed && removal_stays;
                write.value = op.value;
                return;
            case action::reset:
            case action::erase:
            case action::remove:
                begin_anew();
                is_removed = true;
                return;
            case action::clear:
                begin_anew();
                is_emptied = true;
                return;
            case action::deposit: return sum(1, write.amount);
            case action::spend: return sum(-1, write.amount);
            case action::move_bound: return sum(1, write.bound);
            case action::transfer:
            case action::request: return;
        }
    }
    void tell(const std::string& path, field_type type, std::vector<deed>& to) {
        const bool removal_stays = type == field_type::remove_wins_set || type == field_type::disable_wins_flag;
        if (is_removed && (removal_stays || !is_emptied)) to.push_back({path, deed::kind::removed});
        if (!is_written) return;
        write.path = path;
        write.what = deed::kind::written;
        to.push_back(write);
    }
};

}  // namespace

std::string path_of(const field_change& c) {
    std::string path;
    for (const auto& f : c.path) path += store_keys::segment(f.name, static_cast<char>(f.type));
    if (c.element) path += store_keys::segment(*c.element, store_keys::element_type);
    return path;
}

std::string path_of(const schema& s, int node) {
    if (node <= 0) return {};
    const auto& n = s.nodes[static_cast<std::size_t>(node)];
    return path_of(s, n.parent) + store_keys::segment(n.name, static_cast<char>(n.type));
}

std::vector<deed> deeds_of(const schema& fields, const transaction_record& t) {
    std::vector<deed> all;
    std::vector<int> emptied;
    for (const auto& op : t.operations) {
        if (op.what != action::clear) continue;
        std::erase_if(emptied, [&](int earlier) { return is_node_below(fields, earlier, op.target); });
        emptied.push_back(op.target);
    }
    for (const auto node : emptied) all.push_back({path_of(fields, node), deed::kind::emptied});
    std::vector<deed> of_leaves;
    for (std::size_t leaf = 0; leaf < fields.leaves.size(); ++leaf) {
        traces left;
        for (const auto& op : t.operations) {
            const bool is_about = op.what == action::clear ? fields.is_below(fields.leaves[leaf], op.target) : static_cast<std::size_t>(op.target) == leaf;
            if (is_about) left.note(fields.leaves[leaf].type, op);
        }
        left.tell(path_of(fields, fields.leaves[leaf]), fields.leaves[leaf].type, of_leaves);
    }
    std::ranges::stable_sort(all, {}, &deed::path);
    std::ranges::stable_sort(of_leaves, {}, &deed::path);
    std::ranges::copy(of_leaves, std::back_inserter(all));
    return all;
}

const transaction_record& content_of(const history& h, const transaction_record& execution) {
    const auto& confirms = execution.execution->confirms;
    return confirms ? *h.find(confirms->origin, confirms->sequence) : execution;
}

bool is_same_content(const history& h, const transaction_record& a, const transaction_record& b) {
    const auto& x = content_of(h, a);
    const auto& y = content_of(h, b);
    return x.execution->outcome == y.execution->outcome && x.execution->answer == y.execution->answer &&
           deeds_of(h.fields(), x) == deeds_of(h.fields(), y);
}

std::optional<supersession> superseded_by(const history& h, const std::vector<const transaction_record*>& earlier, const transaction_record& next) {
    if (earlier.empty()) return std::nullopt;
    const auto* before = winner_among(earlier);
    const bool wins = winner_among({before, &next}) == &next;
    if (is_same_content(h, *before, next)) return std::nullopt;
    return wins ? supersession{before, &next} : supersession{&next, before};
}

bool are_rivals(const history& h, const std::vector<const transaction_record*>& executions) {
    return std::ranges::any_of(executions, [&](const auto* t) {
        return t->execution->confirms || !is_same_content(h, *t, *executions.front());
    });
}

}  // namespace anabranch::simulation
