// Readers that hold a part of a bucket: beside the replicas, and fed by them.
#include <algorithm>
#include <cstdio>
#include <span>

#include "simulation/world.hpp"
#include "store/bucket_state.hpp"
#include "store/store_state.hpp"

namespace anabranch::simulation {
namespace {

constexpr std::size_t most_parts = 2;
constexpr std::size_t chunk_sizes[] = {1, 60, 500, 256 * 1024};

bool is_below(const std::vector<field>& path, const std::vector<field>& above) {
    return path.size() >= above.size() && std::ranges::equal(above, std::span(path).first(above.size()));
}

detail::positions positions_of(const frontier& all) {
    detail::positions has;
    for (const auto& entry : all) has[entry.origin] = entry.sequence;
    return has;
}

}  // namespace

/// It reads what is at and below one to three nodes.
void world::draw_part(part_reader& p) {
    p.wanted.clear();
    for (auto n = parts_.between(1, 3); n > 0; --n) p.wanted.push_back(fields_to(static_cast<int>(1 + parts_.below(fields_.nodes.size() - 1))));
}

void world::set_up_parts() {
    if (!holds_parts_) return;
    for (auto n = parts_.between(1, most_parts); n > 0; --n) {
        auto& p = *part_readers_.emplace_back(std::make_unique<part_reader>(parts_.split()));
        p.storage = std::make_unique<disk>([this, &p] {
            if (is_healing_ || !parts_.one_in(60)) return fate::done;
            return parts_.chance(50) ? fate::dies_before : fate::dies_after;
        });
        p.options.env.now = [this] { return std::chrono::milliseconds{start_of_time + now_}; };
        p.options.env.random = [&p] { return p.entropy.next(); };
        p.options.journal_step = 1 + parts_.below(3);
        p.bucket = parts_.below(buckets_);
        draw_part(p);
    }
}

/// Beside the events of all histories.
void world::happen_to_parts() {
    for (std::size_t i = 0; i < 3 * part_readers_.size(); ++i) happen_to_some_part();
}

void world::happen_to_some_part() {
    auto& p = *parts_.pick(part_readers_);
    if (!p.open) {
        if (parts_.one_in(3)) start(p);
    } else if (parts_.one_in(40)) {
        end(p, parts_.chance(50));
    } else if (parts_.one_in(100)) {
        draw_part(p);
        trace("want another part");
        counts_.count(covered::parts_changed);
        if (const auto wanted = p.open->bucket_part(bucket_names[p.bucket], p.wanted); !wanted && !p.storage->is_dead()) violate("another part is refused: " + wanted.error().message);
        observe(p);
    } else if (p.source && parts_.one_in(12)) {
        counts_.count(covered::parts_broken_off, p.handle->state()->is_receiving_walk());
        p.machines = {};
        p.source.reset();
    } else if (!p.source) {
        const auto& r = *parts_.pick(replicas_);
        if (r.open && !r.storage->is_dead()) connect(p, r);
    } else {
        exchange(p);
    }
    settle();
}

void world::start(part_reader& p) {
    auto engine = p.storage->open();
    if (!engine) violate("the disk of a part cannot be opened: " + engine.error().message);
    auto opened = store::on(std::move(*engine), p.options);
    if (opened) {
        p.open = std::move(*opened);
        auto found = p.open->bucket_part(bucket_names[p.bucket], p.wanted);
        if (found) p.handle = std::move(*found);
        else if (!p.storage->is_dead()) violate("no part: " + found.error().message);
    } else if (!p.storage->is_dead()) {
        violate("the store of a part cannot be opened: " + opened.error().message);
    }
    trace("start part", {{"ok", p.handle.has_value()}});
    // What had not been synced may have gone.
    if (p.handle) p.has = {};
    observe(p);
}

void world::end(part_reader& p, bool loses_power) {
    trace("end part");
    p.machines = {};
    p.source.reset();
    p.storage->kill();
    p.handle.reset();
    p.open.reset();
    if (loses_power) p.storage->lose_power(parts_);
}

void world::connect(part_reader& p, const replica& r) {
    trace("connect part", {{"to", r.index}});
    p.source = r.index;
    session_options options;
    options.chunk_bytes = is_healing_ ? session_options{}.chunk_bytes : parts_.pick(chunk_sizes);
    options.adverts = adverts_;
    p.machines[0].emplace(*r.open, options, steady_time{now_});
    p.machines[1].emplace(*p.open, options, steady_time{now_});
    p.wires = {};
}

/// Some bytes cross, each way; all of them in the end. False where there were none.
bool world::exchange(part_reader& p) {
    bool is_active = false;
    for (std::size_t side = 0; side < 2 && p.source; ++side) {
        const auto is_dead = [&] { return p.storage->is_dead() || replicas_[*p.source]->storage->is_dead(); };
        if (is_dead()) break;
        if (side == 1 && p.machines[1]->wants_sync()) (void)p.open->sync();
        if (is_dead()) break;
        p.machines[side]->poll(steady_time{now_});
        p.wires[side] += p.machines[side]->take_output();
        if (is_dead()) break;
        const auto n = is_healing_ ? p.wires[side].size() : parts_.below(p.wires[side].size() + 1);
        is_active = is_active || n > 0;
        p.machines[1 - side]->receive(p.wires[side].substr(0, n), steady_time{now_});
        p.wires[side].erase(0, n);
        const auto& failure = p.machines[side]->failure();
        if (!failure) continue;
        trace("session of part failed", {{"code", static_cast<std::uint64_t>(failure->code)}});
        if (options_.is_traced) std::printf("%21s%s\n", "", failure->message.c_str());
        if (!is_possible(*failure) && !is_dead()) violate("a session with the holder of a part failed: " + failure->message);
        p.machines = {};
        p.source.reset();
    }
    observe(p);
    return is_active;
}

/// Why a session with the holder of a part may end, as things go.
bool world::is_possible(const error& why) const {
    switch (why.code) {
        case errc::unsupported_protocol: return later_leaves_ != 0;
        case errc::retired:
        case errc::closed: return is_anybody_retired();
        case errc::behind_cut: return !is_healing_;  // another incarnation of what was told, or gone back with the power
        case errc::refused: return !is_healing_;     // from too far in the future
        case errc::timed_out: return true;
        default: return is_from_disk(why.code);
    }
}

void world::drop_part_readers(const replica& r) {
    for (auto& p : part_readers_) {
        if (p->source != r.index) continue;
        p->machines = {};
        p->source.reset();
    }
}

/// What it shows is what its transactions say, and of nothing else it shows anything.
void world::observe(part_reader& p) {
    if (!p.open || p.storage->is_dead()) {
        if (p.open) end(p, parts_.chance(50));
        return;
    }
    const auto& h = histories_[p.bucket];
    cut now{};
    for (const auto& entry : p.handle->progress()) {
        const auto origin = std::ranges::find_if(replicas_, [&](const auto& r) { return r->id == entry.origin; });
        if (origin == replicas_.end()) return;  // one that comes back; it is told apart soon
        now[(*origin)->index] = entry.sequence;
    }
    const auto held = p.handle->held();
    const bool is_news = now != p.has || held != p.held;
    const bool has_what_does_not_count = !covers(h.everything(), now);
    if (!covers(now, p.has) && !is_anybody_retired()) violate("what the holder of a part has went back");
    if (has_what_does_not_count && !is_anybody_retired()) violate("the holder of a part has " + to_string(now) + ", and there was " + to_string(h.everything()));
    counts_.count(covered::parts_brought, is_news && !held.empty());
    p.has = now;
    p.held = held;
    if (!is_news || has_what_does_not_count) return;
    const auto done = p.handle->read([&](const map_view& root) {
        for (std::size_t leaf = 0; leaf < fields_.leaves.size(); ++leaf) {
            ++checks_;
            const auto& l = fields_.leaves[leaf];
            const auto path = fields_to(l.at);
            if (std::ranges::none_of(held, [&](const auto& above) { return is_below(path, above); })) {
                const auto map = find_map(fields_, root, fields_.nodes[static_cast<std::size_t>(l.at)].parent);
                const auto read = map.exists();
                if (read || read.error().code != errc::not_held) violate("the holder of a part reads what it does not hold");
                continue;
            }
            auto expected = evaluate(h, leaf, now, {});
            expected.rights = {};
            auto found = read_leaf(root, leaf, expected);
            found.rights = {};
            if (found != expected)
                violate("a part shows " + fields_.describe(l) + " as " + describe(l.type, found) + " at " + to_string(now) + ", and it is " + describe(l.type, expected));
            counts_.count(covered::part_reads_checked);
        }
    });
    if (!done) violate("a read of a part failed: " + done.error().message);
}

/// All is well, and the replicas are at rest.
void world::check_parts() {
    for (auto& each : part_readers_) {
        auto& p = *each;
        while (!p.open) start(p);
        // Clocks of replicas may have been far ahead.
        if (!p.open->accept_until({UINT64_MAX / 2})) violate("the holder of a part cannot accept");
        for (std::size_t turn = 0;; ++turn) {
            p.machines = {};
            p.source.reset();
            const auto it = std::ranges::find_if(replicas_, [&](const auto& r) {
                const auto& s = r->shares[p.bucket];
                return r->open && s.handle && s.handle->state()->roster().founder && s.handle->state()->has_durable(positions_of(p.handle->progress()));
            });
            // Where nobody has what it has got of one who is gone.
            if (it == replicas_.end()) break;
            auto& r = **it;
            sync(r);
            connect(p, r);
            for (std::size_t round = 0; p.source && round < 10'000; ++round) {
                if (exchange(p) || !p.source) continue;
                if (p.machines[0]->in_sync() && p.machines[1]->in_sync() && p.handle->progress() == r.shares[p.bucket].handle->durable_progress()) break;
                now_ = std::max(now_ + 1, std::min(p.machines[0]->next_poll(), p.machines[1]->next_poll()).count());
            }
            if (!p.source && turn < 3) continue;  // it has been relieved
            ++checks_;
            // Not every retirement comes to its end here, and who has heard of one takes no more from those that have not.
            if (!p.source && is_anybody_retired()) break;
            if (!p.source) violate("the holder of a part finds no rest");
            if (p.handle->progress() != r.shares[p.bucket].handle->durable_progress()) violate("the holder of a part lacks something");
            auto wanted = p.wanted;
            std::erase_if(wanted, [&](const auto& path) {
                return std::ranges::any_of(p.wanted, [&](const auto& other) { return other != path && is_below(path, other); });
            });
            for (const auto& path : wanted) {
                if (std::ranges::find(p.held, path) == p.held.end()) violate("the holder of a part holds another one than it wants");
                if (p.handle->digest(path).value() != r.shares[p.bucket].handle->digest(path).value()) violate("a part has another digest at its holder than at a member");
            }
            counts_.count(covered::parts_converged);
            break;
        }
        counts_.count(covered::parts_gone_on, p.storage->states_gone_on());
        end(p, false);
    }
}

}  // namespace anabranch::simulation
