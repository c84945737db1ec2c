// What is shown of a state that is still on its way: what the one who sends it had, and nothing of what has not come.
#include <algorithm>

#include "codec/archive.hpp"
#include "simulation/world.hpp"
#include "store/bucket_state.hpp"
#include "sync/body.hpp"

namespace anabranch::simulation {

void world::note_state(std::size_t b, replica& to, const sync::state_piece& m) {
    const auto raw = sync::decompress(m);
    const auto piece = raw ? codec::decode<detail::walk_piece>(*raw) : std::nullopt;
    if (!piece) violate("a session sends a state that cannot be decoded");
    if (!piece->begin || !piece->begin->is_whole) return;
    sent_state s;
    s.goes_on = piece->begin->goes_on;
    for (const auto& last : piece->begin->reflects) {
        const auto o = index_of(last.origin);
        s.of[o] = last.at.sequence;
        s.heads[o] = last.at.head;
    }
    to.shares[b].sent_states.push_back(s);
}

/// What it reflects has happened, and has not been lost since with the power.
bool world::is_history(std::size_t b, const sent_state& s) const {
    for (std::size_t o = 0; o < s.of.size(); ++o) {
        if (s.of[o] == 0) continue;
        const auto* last = histories_[b].find(o, s.of[o]);
        if (last == nullptr || last->head != s.heads[o]) return false;
    }
    return true;
}

void world::check_arriving(replica& r, std::size_t b) {
    auto& s = r.shares[b];
    if (!s.handle || r.storage->is_dead() || r.is_old) return;
    const auto is_spoiled = [&](const auto& other) { return other->shares[b].is_spoiled; };
    if (std::ranges::any_of(replicas_, is_spoiled)) return;
    const auto arriving = s.handle->state()->take_arriving();
    if (!arriving && s.handle->snapshot()) violate("what has come of a state cannot be read: " + arriving.error().message);
    if (!arriving || !*arriving) return;
    auto& rows = **arriving;
    cut of{};
    for (std::size_t o = 0; o < of.size(); ++o) {
        const auto writer = replicas_.size() > o && replicas_[o]->id ? rows.origins().find(*replicas_[o]->id) : std::nullopt;
        if (writer) of[o] = rows.reflects().at(*writer);
    }
    const auto sent = std::ranges::find(s.sent_states.rbegin(), s.sent_states.rend(), of, &sent_state::of);
    if (sent == s.sent_states.rend()) violate("what comes of a state to replica " + std::to_string(r.index) + " was sent by nobody: " + to_string(of));
    // While what has changed since a break comes, rows may still be those of before.
    std::vector<cut> moments{of};
    bool is_judged = is_history(b, *sent);
    for (const auto& before : s.sent_states) {
        if (!sent->goes_on || before.of == of || !covers(of, before.of)) continue;
        is_judged = is_judged && is_history(b, before);
        moments.push_back(before.of);
    }
    if (!is_judged) return;
    counts_.count(sent->goes_on ? covered::arriving_read_after_break : covered::arriving_read);
    const map_view root(rows, {});
    for (std::size_t leaf = 0; leaf < fields_.leaves.size(); ++leaf) {
        ++checks_;
        const auto& l = fields_.leaves[leaf];
        if (!rows.has(path_of(fields_, l))) {
            const auto& n = fields_.nodes[static_cast<std::size_t>(l.at)];
            const auto map = find_map(fields_, root, n.parent);
            const auto told = !is_set(l.type)                      ? map.contenders(n.name, n.type)
                              : n.type == field_type::add_wins_set ? map.add_wins_set(n.name).contenders(l.element)
                                                                   : map.remove_wins_set(n.name).contenders(l.element);
            if (told || told.error().code != errc::not_held) violate("what has not come is shown: " + fields_.describe(l));
            continue;
        }
        const auto is_shown = [&](const cut& moment) {
            auto expected = evaluate(histories_[b], leaf, moment, {});
            auto found = read_leaf(root, leaf, expected);
            // Who may spend what depends on more than this row.
            expected.rights = found.rights = {};
            return found == expected;
        };
        if (std::ranges::none_of(moments, is_shown)) {
            violate("what has come of a state shows " + fields_.describe(l) + " at replica " + std::to_string(r.index) + " otherwise than it was at " + to_string(of));
        }
    }
    if (moments.size() == 1) check_arriving_fields(root, b, of);
}

/// Fields are listed as they were, or not at all.
void world::check_arriving_fields(const map_view& root, std::size_t b, const cut& of) {
    std::uint64_t existing = 0;  // nodes
    for (std::size_t leaf = 0; leaf < fields_.leaves.size(); ++leaf) {
        if (evaluate(histories_[b], leaf, of, {}).exists) existing |= fields_.leaves[leaf].above;
    }
    for (const int at : fields_.maps) {
        ++checks_;
        const auto listed = find_map(fields_, root, at).fields();
        if (!listed && listed.error().code == errc::not_held) continue;
        if (!listed) violate("what has come of a state cannot be listed: " + listed.error().message);
        std::size_t expected = 0;
        for (std::size_t i = 1; i < fields_.nodes.size(); ++i) expected += fields_.nodes[i].parent == at && (existing >> i & 1) != 0;
        if (listed->size() != expected) violate("the fields of " + fields_.describe(at) + " are listed, and have not all come");
    }
}

}  // namespace anabranch::simulation
