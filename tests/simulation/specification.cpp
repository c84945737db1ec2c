#include "simulation/specification.hpp"

#include <algorithm>
#include <map>

namespace anabranch::simulation {
namespace {

using operations = std::vector<placed>;

bool is(const placed& p, action a) { return p.op().what == a; }

/// Nothing of `kinds` has seen it.
template <class... Actions>
bool is_unseen(const placed& p, const operations& all, Actions... kinds) {
    return std::ranges::none_of(
        all, [&](const placed& other) { return (is(other, kinds) || ...) && other.sees(p); });
}

/// An addition counts until a reset, of the counter or of something above it, has seen it.
operations live_additions(const operations& all) {
    operations live;
    std::ranges::copy_if(all, std::back_inserter(live), [&](const placed& p) {
        return is(p, action::add) && is_unseen(p, all, action::reset, action::clear);
    });
    return live;
}

/// A write stands until another write, or a removal, has seen it.
operations live_writes(const operations& all) {
    operations live;
    std::ranges::copy_if(all, std::back_inserter(live), [&](const placed& p) {
        return is(p, action::assign) && is_unseen(p, all, action::assign, action::erase, action::clear);
    });
    return live;
}

/// Add-wins: an insertion stands until a removal has seen it.
operations live_insertions(const operations& all) {
    operations live;
    std::ranges::copy_if(all, std::back_inserter(live), [&](const placed& p) {
        return is(p, action::insert) && is_unseen(p, all, action::remove, action::clear);
    });
    return live;
}

/// Remove-wins: an insertion stands while it has seen every removal of the element itself. The removal of
/// something above takes only what it has seen.
operations insertions_that_saw_all_removals(const operations& all) {
    operations live;
    std::ranges::copy_if(all, std::back_inserter(live), [&](const placed& p) {
        return is(p, action::insert) && is_unseen(p, all, action::clear) &&
               std::ranges::all_of(all, [&](const placed& r) { return !is(r, action::remove) || p.sees(r); });
    });
    return live;
}

operations live(field_type type, const operations& all) {
    switch (type) {
        case field_type::counter:
            return live_additions(all);
        case field_type::last_writer:
        case field_type::multi_value:
            return live_writes(all);
        case field_type::enable_wins_flag:
        case field_type::add_wins_set:
            return live_insertions(all);
        case field_type::disable_wins_flag:
        case field_type::remove_wins_set:
            return insertions_that_saw_all_removals(all);
        case field_type::bounded_counter:
        case field_type::map:
            break;
    }
    return {};
}

field_value evaluate_escrow(const history& h, std::size_t leaf, const cut& of, const heirs& who, const transaction_record* pending) {
    field_value value;
    for (const auto& g : escrow_generations(h, leaf, of, pending)) {
        if (!g.is_live) continue;
        value.exists = true;
        value.sum += g.value;
        value.bound += g.bound;
        for (std::size_t i = 0; i < most_replicas; ++i) value.rights[who[i]] += g.rights[i];
    }
    for (auto& rights : value.rights) rights = std::max<std::int64_t>(rights, 0);
    return value;
}

/// What a counter's row holds follows from who had to do with it last, and when: a sequence may be used again after a loss
/// of power, a time not.
std::string live_escrow(const history& h, std::size_t leaf, const cut& of) {
    std::string text;
    for (const auto& g : escrow_generations(h, leaf, of, nullptr)) {
        if (!g.is_live) continue;
        text += std::to_string(g.birth.origin) + '.' + std::to_string(g.birth.sequence) + ':';
        for (std::size_t o = 0; o < g.last.size(); ++o) {
            const auto* last = h.find(o, g.last[o]);
            text += last == nullptr ? "," : std::to_string(last->sequence) + '@' + std::to_string(last->at.value) + ',';
        }
    }
    return text;
}

bool is_later(const shown_entry& a, const shown_entry& b) {
    return std::tie(a.at, a.origin, a.sequence) > std::tie(b.at, b.origin, b.sequence);
}

}  // namespace

field_value evaluate(const history& h, std::size_t leaf, const cut& of, const heirs& who, const transaction_record* pending) {
    const auto type = h.fields().leaves[leaf].type;
    if (type == field_type::bounded_counter) return evaluate_escrow(h, leaf, of, who, pending);
    const auto standing = live(type, h.operations_on(leaf, of, pending));
    field_value value;
    value.exists = !standing.empty();
    for (const auto& p : standing) {
        if (type == field_type::counter) value.sum += p.op().amount;
        if (is(p, action::assign))
            value.entries.push_back({p.in->at, p.in->origin, p.in->sequence, p.op().value});
    }
    std::ranges::sort(value.entries, is_later);
    // A last-writer register shows one, and keeps the others.
    if (type == field_type::last_writer && value.entries.size() > 1) value.entries.resize(1);
    return value;
}

std::vector<shown_entry> standing(const history& h, std::size_t leaf, const cut& of) {
    const auto type = h.fields().leaves[leaf].type;
    const auto all = live(type, h.operations_on(leaf, of, nullptr));
    std::vector<shown_entry> found;
    for (const auto& p : all) {
        // An insertion that has seen another one stands for it.
        if (is(p, action::insert) && !is_unseen(p, all, action::insert)) continue;
        found.push_back({p.in->at, p.in->origin, p.in->sequence, p.op().value});
    }
    std::ranges::sort(found, is_later);
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
}

std::string live_state(const history& h, const cut& of) {
    std::string text;
    for (std::size_t leaf = 0; leaf < h.fields().leaves.size(); ++leaf) {
        const auto& l = h.fields().leaves[leaf];
        if (l.type == field_type::bounded_counter) {
            if (const auto escrow = live_escrow(h, leaf, of); !escrow.empty()) text += h.fields().describe(l) + '=' + escrow + ';';
            continue;
        }
        const auto standing = live(l.type, h.operations_on(leaf, of, nullptr));
        if (standing.empty()) continue;
        text += h.fields().describe(l) + '=';
        if (l.type == field_type::counter) {
            // An origin's additions count as one, made by the last of them.
            std::map<std::size_t, std::pair<std::uint64_t, std::int64_t>> totals;
            for (const auto& p : standing) {
                auto& [sequence, sum] = totals[p.in->origin];
                sequence = std::max(sequence, p.in->sequence);
                sum += p.op().amount;
            }
            for (const auto& [origin, total] : totals) {
                text += std::to_string(origin) + '.' + std::to_string(total.first) + ':' +
                        std::to_string(total.second) + ',';
            }
        } else {
            // An insertion that has seen another one stands for it.
            std::map<std::pair<std::size_t, std::uint64_t>, std::string> dots;
            for (const auto& p : standing) {
                if (is_unseen(p, standing, action::insert))
                    dots[{p.in->origin, p.in->sequence}] = p.op().value;
            }
            for (const auto& [dot, value] : dots) {
                text += std::to_string(dot.first) + '.' + std::to_string(dot.second) + ':' + value + ',';
            }
        }
        text += ';';
    }
    return text;
}

void count_conflicts(const history& h, coverage& counts) {
    const auto everything = h.everything();
    for (std::size_t leaf = 0; leaf < h.fields().leaves.size(); ++leaf) {
        const auto type = h.fields().leaves[leaf].type;
        const auto all = h.operations_on(leaf, everything, nullptr);
        const auto conflicts = [&](const placed& a, const placed& b) { return !a.sees(b) && !b.sees(a); };
        const auto any = [&](auto is_one, auto is_other) {
            return std::ranges::any_of(all, [&](const placed& a) {
                return is_one(a.op().what) && std::ranges::any_of(all, [&](const placed& b) {
                           return is_other(b.op().what) && conflicts(a, b);
                       });
            });
        };
        const auto only = [](action wanted) { return [wanted](action a) { return a == wanted; }; };
        const auto updates = [](action a) {
            return a == action::add || a == action::assign || a == action::insert;
        };
        const auto count_if = [&](bool happened, covered direct, covered by_prefix) {
            if (happened) counts.count(direct);
            if (any(updates, only(action::clear))) counts.count(by_prefix);
        };
        switch (type) {
            case field_type::counter:
                count_if(any(only(action::add), only(action::reset)), covered::conflicts_counter,
                         covered::prefix_conflicts_counter);
                break;
            case field_type::last_writer:
                count_if(any(updates, updates), covered::conflicts_last_writer,
                         covered::prefix_conflicts_register);
                break;
            case field_type::multi_value:
                count_if(any(updates, updates), covered::conflicts_multi_value,
                         covered::prefix_conflicts_register);
                break;
            case field_type::enable_wins_flag:
                count_if(any(updates, only(action::remove)), covered::conflicts_enable_wins,
                         covered::prefix_conflicts_add_wins);
                break;
            case field_type::add_wins_set:
                count_if(any(updates, only(action::remove)), covered::conflicts_add_wins,
                         covered::prefix_conflicts_add_wins);
                break;
            case field_type::disable_wins_flag:
                count_if(any(updates, only(action::remove)), covered::conflicts_disable_wins,
                         covered::prefix_conflicts_remove_wins);
                break;
            case field_type::remove_wins_set:
                count_if(any(updates, only(action::remove)), covered::conflicts_remove_wins,
                         covered::prefix_conflicts_remove_wins);
                break;
            case field_type::bounded_counter:
                if (any([](action a) { return a == action::spend; }, only(action::spend))) counts.count(covered::concurrent_spends);
                if (any([](action a) { return a == action::deposit || a == action::spend; }, only(action::clear)))
                    counts.count(covered::prefix_conflicts_bounded);
                break;
            case field_type::map:
                break;
        }
        if (type == field_type::counter) {
            // All of an origin's additions were reset, it saw that, and added again.
            for (const auto& again : all) {
                if (!is(again, action::add)) continue;
                const bool begun_anew = std::ranges::any_of(all, [&](const placed& r) {
                    return (is(r, action::reset) || is(r, action::clear)) && again.sees(r) &&
                           std::ranges::any_of(all, [&](const placed& a) {
                               return is(a, action::add) && a.in->origin == again.in->origin && r.sees(a);
                           });
                });
                if (begun_anew) {
                    counts.count(covered::counters_begun_anew);
                    break;
                }
            }
        }
    }
}

std::string describe(field_type type, const field_value& v) {
    if (!v.exists) return "nothing";
    if (type == field_type::counter) return std::to_string(v.sum);
    if (type == field_type::bounded_counter) {
        auto text = std::to_string(v.sum) + " above " + std::to_string(v.bound) + ", rights";
        for (const auto rights : v.rights) text += ' ' + std::to_string(rights);
        return text;
    }
    if (type != field_type::last_writer && type != field_type::multi_value) return "present";
    std::string text;
    for (const auto& e : v.entries) {
        text += (text.empty() ? "" : ", ") + e.value.substr(0, 12) + " by " + std::to_string(e.origin) + '.' +
                std::to_string(e.sequence) + " at " + std::to_string(e.at.value);
    }
    return text;
}

}  // namespace anabranch::simulation
