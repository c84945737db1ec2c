#include "simulation/specification.hpp"

#include <algorithm>
#include <map>
#include <ranges>
#include <tuple>

namespace anabranch::simulation {
namespace {

bool is(const placed& p, action a) { return p.op().what == a; }

bool is_remove_wins(field_type type) {
    return type == field_type::disable_wins_flag || type == field_type::remove_wins_set;
}

bool writes(const effect& e) { return e.write != nullptr; }
bool removes(const effect& e) { return e.removes; }
bool clears(const effect& e) { return e.clears; }

/// A removal of a remove-wins element covers nothing: additions have to have seen it.
bool has_seen_write(field_type type, const group& g, const group& of) {
    return has_seen(g, [&](const effect& e) { return !is_remove_wins(type) || writes(e) || clears(e); }, of, writes);
}

std::tuple<timestamp, std::size_t, std::uint64_t> age_of(const group& g) {
    const auto& by = *g.does()->by;
    return {by.at, by.origin, by.sequence};
}

/// An addition counts until a reset, of the counter or of something above it, has seen it.
bool is_reset(const group& g, const std::vector<group>& all) {
    return std::ranges::any_of(all, [&](const group& r) { return r.clears() && has_seen(r, clears, g, writes); });
}

/// Writes are gone that a plain transaction has seen, or a request that only removes, or one whose own write is gone: whoever
/// overwrote them counts, whatever became of that one.
std::vector<bool> find_gone(field_type type, const std::vector<group>& all) {
    std::vector<bool> gone(all.size());
    std::vector<const group*> takers;
    for (const auto& g : all) {
        // The removal of a remove-wins element is no reason to forget additions: they have to have seen it.
        const bool is_removal = g.clears() || (g.removes() && !is_remove_wins(type));
        if (g.is_plain ? g.writes() || is_removal : is_removal && !g.writes()) takers.push_back(&g);
    }
    while (!takers.empty()) {
        const auto* taker = takers.back();
        takers.pop_back();
        for (std::size_t i = 0; i < all.size(); ++i) {
            if (gone[i] || !all[i].writes() || !has_seen_write(type, *taker, all[i])) continue;
            gone[i] = true;
            if (!all[i].is_plain) takers.push_back(&all[i]);
        }
    }
    return gone;
}

/// Of writes, the places of those that the one at `from` has seen, directly or transitively.
std::vector<bool> find_seen(field_type type, const std::vector<const group*>& all, std::size_t from) {
    std::vector<bool> seen(all.size());
    std::vector<std::size_t> next{from};
    while (!next.empty()) {
        const auto* by = all[next.back()];
        next.pop_back();
        // What a plain write has seen is gone.
        if (by->is_plain) continue;
        for (std::size_t i = 0; i < all.size(); ++i) {
            if (seen[i] || !has_seen_write(type, *by, *all[i])) continue;
            seen[i] = true;
            next.push_back(i);
        }
    }
    return seen;
}

/// Of writes that are not gone, those that no other has seen; of a circle of requests that nobody outside has seen, a register
/// shows the latest, and a set all.
std::vector<const group*> shown_of(field_type type, const std::vector<const group*>& all) {
    if (std::ranges::all_of(all, &group::is_plain)) return all;
    const bool is_register = type == field_type::last_writer || type == field_type::multi_value;
    std::vector<std::vector<bool>> seen;
    for (std::size_t i = 0; i < all.size(); ++i) seen.push_back(find_seen(type, all, i));
    std::vector<const group*> shown;
    for (std::size_t i = 0; i < all.size(); ++i) {
        const auto hides = [&](std::size_t j) {
            if (j == i || !seen[j][i]) return false;
            return !seen[i][j] || (is_register && age_of(*all[j]) > age_of(*all[i]));
        };
        const auto places = std::views::iota(std::size_t{0}, all.size());
        if (std::ranges::none_of(places, hides)) shown.push_back(all[i]);
    }
    return shown;
}

/// Remove-wins: an insertion counts while it has seen every removal of the element itself. One that removes and then inserts
/// has seen its own removal.
bool has_seen_all_removals(const group& g, const std::vector<group>& all) {
    return std::ranges::all_of(all, [&](const group& r) {
        return &r == &g || !r.removes() || has_seen(g, writes, r, removes);
    });
}

/// Whose write is shown, or counts.
std::vector<const group*> live(field_type type, const std::vector<group>& all) {
    std::vector<const group*> found;
    if (type == field_type::counter) {
        for (const auto& g : all) {
            if (g.writes() && !is_reset(g, all)) found.push_back(&g);
        }
        return found;
    }
    const auto gone = find_gone(type, all);
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (all[i].writes() && !gone[i]) found.push_back(&all[i]);
    }
    found = shown_of(type, found);
    if (is_remove_wins(type)) std::erase_if(found, [&](const group* g) { return !has_seen_all_removals(*g, all); });
    return found;
}

shown_entry entry_of(const group& g) {
    const auto& by = *g.does()->by;
    return {by.at, by.origin, by.sequence, g.does()->write->value};
}

field_value evaluate_escrow(const history& h, std::size_t leaf, const cut& of, const heirs& who,
                            const transaction_record* pending, const fixed_requests& fixed) {
    field_value value;
    for (const auto& g : escrow_generations(h, leaf, of, pending, fixed)) {
        if (!g.is_live) continue;
        value.exists = true;
        value.sum += g.value;
        value.bound += g.bound;
        for (std::size_t i = 0; i < most_replicas; ++i) value.rights[who[i]] += g.rights[i];
    }
    for (auto& rights : value.rights) rights = std::max<std::int64_t>(rights, 0);
    return value;
}

/// What a counter's row holds follows from who had to do with it last, and when, and from which of that counts: a sequence may be
/// used again after a loss of power, a time not.
std::string live_escrow(const history& h, std::size_t leaf, const cut& of) {
    std::string text;
    for (const auto& g : escrow_generations(h, leaf, of, nullptr, {})) {
        if (!g.is_live) continue;
        text += std::to_string(g.birth.origin) + '.' + std::to_string(g.birth.sequence) + ':';
        for (std::size_t o = 0; o < g.last.size(); ++o) {
            const auto* last = h.find(o, g.last[o]);
            text += last == nullptr ? "," : std::to_string(last->sequence) + '@' + std::to_string(last->at.value) + ',';
        }
        for (const auto& [value, bound] : g.counted) text += std::to_string(value) + '/' + std::to_string(bound) + ',';
    }
    return text;
}

bool is_later(const shown_entry& a, const shown_entry& b) {
    return std::tie(a.at, a.origin, a.sequence) > std::tie(b.at, b.origin, b.sequence);
}

}  // namespace

field_value evaluate(const history& h, std::size_t leaf, const cut& of, const heirs& who, const transaction_record* pending,
                     const fixed_requests& fixed) {
    const auto type = h.fields().leaves[leaf].type;
    if (type == field_type::bounded_counter) return evaluate_escrow(h, leaf, of, who, pending, fixed);
    const auto all = groups_on(h, leaf, of, pending);
    const auto standing = live(type, all);
    field_value value;
    value.exists = !standing.empty();
    for (const auto* g : standing) {
        value.sum += g->does()->amount;
        if (g->does()->write->what == action::assign) value.entries.push_back(entry_of(*g));
    }
    std::ranges::sort(value.entries, is_later);
    // A last-writer register shows one, and keeps the others.
    if (type == field_type::last_writer && value.entries.size() > 1) value.entries.resize(1);
    return value;
}

std::vector<shown_entry> standing(const history& h, std::size_t leaf, const cut& of) {
    const auto all = groups_on(h, leaf, of, nullptr);
    std::vector<shown_entry> found;
    for (const auto* g : live(h.fields().leaves[leaf].type, all)) found.push_back(entry_of(*g));
    std::ranges::sort(found, is_later);
    return found;
}

std::string live_state(const history& h, const cut& of, std::uint64_t without) {
    std::string text;
    for (std::size_t leaf = 0; leaf < h.fields().leaves.size(); ++leaf) {
        if ((without >> leaf & 1) != 0) continue;
        const auto& l = h.fields().leaves[leaf];
        if (l.type == field_type::bounded_counter) {
            if (const auto escrow = live_escrow(h, leaf, of); !escrow.empty()) text += h.fields().describe(l) + '=' + escrow + ';';
            continue;
        }
        const auto all = groups_on(h, leaf, of, nullptr);
        const auto standing = live(l.type, all);
        if (standing.empty()) continue;
        text += h.fields().describe(l) + '=';
        if (l.type == field_type::counter) {
            // An origin's additions count as one, made by the last of them, be that suppressed.
            std::map<std::size_t, std::pair<std::uint64_t, std::int64_t>> totals;
            for (const auto* g : standing) totals[g->does()->by->origin].second += g->does()->amount;
            for (const auto& g : all) {
                if (is_reset(g, all)) continue;
                for (const auto& e : g.executions) {
                    const auto total = totals.find(e.by->origin);
                    if (e.write == nullptr || total == totals.end()) continue;
                    total->second.first = std::max(total->second.first, e.by->sequence);
                }
            }
            for (const auto& [origin, total] : totals) {
                text += std::to_string(origin) + '.' + std::to_string(total.first) + ':' +
                        std::to_string(total.second) + ',';
            }
        } else {
            std::map<std::pair<std::size_t, std::uint64_t>, std::string> dots;
            for (const auto* g : standing) {
                const auto e = entry_of(*g);
                dots[{e.origin, e.sequence}] = e.value;
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
    if (type == field_type::counter && (v.exists || v.sum != 0)) return std::to_string(v.sum);
    if (!v.exists) return "nothing";
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
