// The end of every history: everything works again, and soon all replicas have the same.
#include <algorithm>

#include "simulation/world.hpp"
#include "store/bucket_state.hpp"
#include "store/store_state.hpp"

namespace anabranch::simulation {
namespace {

/// Links on the longest way between two replicas.
std::size_t diameter(const std::vector<link>& links, std::size_t replicas) {
    std::size_t longest = 0;
    for (std::size_t start = 0; start < replicas; ++start) {
        std::vector<std::size_t> distance(replicas, replicas);
        distance[start] = 0;
        for (std::size_t round = 0; round < replicas; ++round) {
            for (const auto& l : links) {
                for (const auto& [a, b] :
                     {std::pair(l.ends[0], l.ends[1]), std::pair(l.ends[1], l.ends[0])}) {
                    distance[a] = std::min(distance[a], distance[b] + 1);
                }
            }
        }
        for (const auto d : distance) longest = std::max(longest, d < replicas ? d : 0);
    }
    return longest;
}

}  // namespace

void world::heal() {
    trace("heal");
    is_healing_ = true;
    for (auto& l : links_) l.is_cut = false;
    for (auto& c : connections_) break_up(c, false);
    settle();
    for (auto& r : replicas_) {
        r->storage->set_full(false);
        r->dies_in.reset();
    }
    settle();
    for (auto& r : replicas_) {
        if (!r->is_old) continue;
        if (r->open) end(*r, upgrades_.chance(50) ? ending::clean : ending::kill);
        upgrade(*r);
    }
    start_all();
    settle_clocks();
    const bool is_generous = chance_.chance(70);
    connect_all(is_generous);

    std::uint64_t transactions = 0;
    for (const auto& h : histories_) {
        for (const auto n : h.everything()) transactions += n;
    }
    // A round trip or two a hop, and as many before for the greetings. Windows of one transaction take one
    // for each.
    const auto hops = diameter(links_, replicas_.size());
    auto most_rounds =
        6 * (hops + 2) + (limits_logs_ || copies_disks_ ? 20 * (hops + 1) : 0) + (is_generous ? 0 : 4 * static_cast<std::size_t>(transactions) * (hops + 1));
    // A chunk may be one transaction, and wait for some heartbeats.
    if (is_metered_) most_rounds = 10 * (most_rounds + static_cast<std::size_t>(transactions) * (hops + 1));
    if (limits_logs_) break_walks(chance_.below(4), is_generous, most_rounds);
    run_to_rest(most_rounds);
    meet_again(is_generous, most_rounds);
    catch_up_feeds(30);
    check_forgetting(is_generous, most_rounds);
    meet_again(is_generous, most_rounds);
    check_convergence();
    check_returns();
    catch_up_feeds(100);
    check_parts();
    check_repairs(is_generous, most_rounds);
}

/// Again where the process dies as it opens them, which it does once at most.
void world::start_all() {
    settle();
    while (std::ranges::any_of(replicas_, [&](const auto& r) { return is_down(*r); })) {
        for (std::size_t i = 0; i < replicas_.size(); ++i) {
            if (is_down(*replicas_[i])) start(*replicas_[i]);
        }
        settle();
    }
}

void world::connect_all(bool is_generous) {
    for (std::size_t i = 0; i < links_.size(); ++i) {
        const bool is_connected = std::ranges::any_of(connections_, [&](const connection& c) { return c.over == i && !c.is_broken; });
        if (!is_connected && are_open(links_[i])) connect(i, is_generous);
    }
}

/// All clocks agree, so that what members write for each other from now on is nowhere in the future.
void world::settle_clocks() {
    timestamp latest;
    for (std::size_t b = 0; b < buckets_; ++b) {
        for (std::size_t o = 0; o < replicas_.size(); ++o) {
            const auto* last = histories_[b].find(o, histories_[b].everything()[o]);
            if (last != nullptr) latest = std::max(latest, last->at);
        }
    }
    for (const auto& r : replicas_) {
        if (r->open) latest = std::max(latest, r->open->state()->clock().last());
    }
    auto skew = replicas_.front()->skew;
    for (const auto& r : replicas_) skew = std::max(skew, r->skew);
    const bool by_clock = chance_.chance(50);
    for (auto& r : replicas_) {
        r->skew = skew;
        if (by_clock) {
            r->skew = std::max(r->skew, latest.wall().count() + 1 - start_of_time - now_);
        } else if (!r->open) {
            continue;
        } else if (auto done = r->open->accept_until(latest); !done) {
            violate("cannot accept: " + done.error().message);
        } else {
            r->accepted = std::max(r->accepted, latest);
        }
    }
}

/// Every replica syncs and hears of it, and everything that is on its way arrives, but for what `mute` has sent. False where
/// there was nothing to do.
bool world::run_round(std::optional<std::size_t> mute) {
    bool is_active = false;
    for (auto& r : replicas_) {
        const bool is_wanted = std::ranges::any_of(connections_, [&](const connection& c) {
            return !c.is_broken && std::ranges::any_of(c.ends, [&](const endpoint& e) {
                return e.replica == r->index && e.machine->wants_sync();
            });
        });
        if (!is_wanted || r->storage->is_dead()) continue;
        sync(*r);
        is_active = true;
    }
    for (auto& c : connections_) {
        for (std::size_t side = 0; side < 2; ++side) {
            c.ends[side].is_writing = false;
            poll(c, side);
        }
    }
    for (auto& c : connections_) {
        if (c.is_broken || links_[c.over].is_cut) continue;
        const auto there = c.ends[0].replica == mute ? 0 : c.ends[0].wire.size();
        const auto back = c.ends[1].replica == mute ? 0 : c.ends[1].wire.size();
        if (there > 0) deliver(c, 0, there);
        if (back > 0) deliver(c, 1, back);
        // Rows are read in portions.
        const bool reads = audits_rows_ && std::ranges::any_of(c.ends, [&](const endpoint& e) { return e.machine->next_poll().count() <= now_; });
        is_active = is_active || there > 0 || back > 0 || reads;
    }
    ++now_;
    return is_active || wait_for_budgets();
}

/// Where sessions have something to send and no room for it, time goes on to when one of them wants to be polled.
bool world::wait_for_budgets() {
    std::optional<std::int64_t> next;
    bool is_waited_for = false;
    for (const auto& c : connections_) {
        for (const auto& e : c.ends) {
            if (c.is_broken || links_[c.over].is_cut) continue;
            is_waited_for = is_waited_for || e.machine->progress().budget_wait.count() > 0;
            next = std::min(next.value_or(INT64_MAX), e.machine->next_poll().count());
        }
    }
    if (is_waited_for) now_ = std::max(now_, *next);
    return is_waited_for;
}

/// Sessions that bring a state break off, so often, and begin again; meanwhile commits may go on at the source.
void world::break_walks(std::size_t times, bool is_generous, std::size_t most_rounds) {
    const auto brings_state = [&](const connection& c) {
        return !c.is_broken && std::ranges::any_of(c.ends, [&](const endpoint& e) {
            return std::ranges::any_of(replicas_[e.replica]->shares, [](const auto& s) { return s.handle && s.handle->state()->is_receiving_walk(); });
        });
    };
    for (std::size_t round = 0; times > 0 && round < most_rounds && run_round(); ++round) {
        const auto it = std::ranges::find_if(connections_, brings_state);
        if (it == connections_.end() || !chance_.chance(40)) continue;
        const auto over = it->over;
        break_up(*it, false);
        settle();
        if (are_open(links_[over])) connect(over, is_generous);
        --times;
    }
}

std::size_t world::run_to_rest(std::size_t most_rounds) {
    for (std::size_t round = 0;; ++round) {
        if (round > most_rounds) violate("no rest after " + std::to_string(most_rounds) + " rounds");
        if (!run_round()) return round;
    }
}

/// Groups of replicas that hold the bucket and reach each other over sessions that go on.
std::vector<std::vector<std::size_t>> world::holders(std::size_t b) const {
    std::vector<std::size_t> group(replicas_.size());
    for (std::size_t i = 0; i < group.size(); ++i) group[i] = i;
    for (std::size_t round = 0; round < group.size(); ++round) {
        for (const auto& c : connections_) {
            const auto x = c.ends[0].replica, y = c.ends[1].replica;
            if (c.is_broken || !replicas_[x]->shares[b].is_wanted || !replicas_[y]->shares[b].is_wanted) continue;
            group[x] = group[y] = std::min(group[x], group[y]);
        }
    }
    std::vector<std::vector<std::size_t>> groups(replicas_.size());
    for (std::size_t i = 0; i < group.size(); ++i) {
        if (replicas_[i]->shares[b].is_wanted) groups[group[i]].push_back(i);
    }
    std::erase_if(groups, [](const auto& g) { return g.empty(); });
    return groups;
}

/// All that members of the group ever did, and of whoever is retired what counts.
cut world::expected_of(const std::vector<std::size_t>& group, std::size_t b) const {
    cut expected{};
    for (const auto i : group) {
        expected = joined(expected, replicas_[i]->shares[b].has);
        if (!replicas_[i]->shares[b].is_retired)
            expected[i] = histories_[b].everything()[i];
    }
    return expected;
}

void world::check_convergence() {
    for (const auto& c : connections_) {
        for (const auto& e : c.ends) {
            if (c.is_broken) continue;
            ++checks_;
            const auto& left = e.machine->progress();
            if (!e.machine->in_sync())
                violate("a session of replica " + std::to_string(e.replica) + " is at rest and not in sync");
            if (!e.machine->held().empty()) violate("a transaction is still held");
            if (left.transactions_to_send > 0 || left.transactions_to_receive > 0)
                violate("a session in sync says that something is left");
        }
    }
    for (std::size_t b = 0; b < buckets_; ++b) {
        for (const auto& group : holders(b)) {
            const auto expected = expected_of(group, b);
            const auto roster = replicas_[group.front()]->shares[b].handle->state()->roster();
            for (const auto i : group) {
                auto& r = *replicas_[i];
                if (r.shares[b].has != expected) {
                    violate("after healing replica " + std::to_string(i) + " has " +
                            to_string(r.shares[b].has) + " of " + to_string(expected));
                }
                if (r.shares[b].handle->state()->roster() != roster)
                    violate("after healing replica " + std::to_string(i) + " knows other members");
                check_digest(r, b);
            }
            for (const auto& [id, m] : roster.members) {
                if (m.at != crdt::roster::stage::retired) continue;
                counts_.count(covered::retirements_done);
                if (!m.heir) violate("who was retired has no heir");
            }
        }
    }
    for (std::size_t i = 1; i < set_up_ && copies_disks_; i += 2) {
        for (const auto& s : replicas_[i]->shares) counts_.count(covered::copies_let_in, s.handle && s.handle->is_member());
    }
    // The same again from the disk alone.
    std::vector<replica*> present;
    for (auto& r : replicas_) {
        if (r->open) present.push_back(r.get());
    }
    auto& again = *chance_.pick(present);
    for (auto& r : replicas_) check_whole(*r);
    end(again, chance_.chance(50) ? ending::kill : ending::power_loss);
    start(again);
    check_whole(again);
    for (std::size_t b = 0; b < buckets_; ++b) {
        if (again.shares[b].handle) check_digest(again, b);
    }
}

}  // namespace anabranch::simulation
