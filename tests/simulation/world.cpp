#include "simulation/world.hpp"
#include "store/bucket_state.hpp"

#include <algorithm>
#include <cstdio>

namespace anabranch::simulation {
namespace {

// Of all histories.
constexpr unsigned crowded_percent = 15;
constexpr unsigned copying_percent = 15;
constexpr unsigned metered_percent = 15;
constexpr unsigned audited_percent = 25;
constexpr unsigned parts_percent = 20;

constexpr std::size_t most_at_first = 5;

constexpr std::int64_t drifts[] = {0, 50, 1000, 60'000};
const std::chrono::milliseconds advert_times[] = {std::chrono::milliseconds{100}, session_options{}.adverts};
// More than what it takes to let all members in.
constexpr std::size_t journal_steps[] = {1, 2, 8, 256};
constexpr std::uint64_t log_limits[] = {1000, 1000, 2000, std::uint64_t{1} << 40};
constexpr std::chrono::milliseconds log_ages[] = {{}, {}, std::chrono::milliseconds{500}, std::chrono::milliseconds{5000}};
constexpr std::size_t budgets[] = {0, 300, 1000, 2000, 8 * 1024 * 1024};

bool is_connected(const std::vector<link>& links, std::size_t replicas) {
    std::vector<std::size_t> group(replicas);
    for (std::size_t i = 0; i < replicas; ++i) group[i] = i;
    for (std::size_t round = 0; round < replicas; ++round) {
        for (const auto& l : links) {
            const auto least = std::min(group[l.ends[0]], group[l.ends[1]]);
            group[l.ends[0]] = group[l.ends[1]] = least;
        }
    }
    return std::ranges::all_of(group, [](std::size_t g) { return g == 0; });
}

std::vector<link> draw_topology(std::size_t replicas, random_source& chance) {
    std::vector<link> links;
    const auto shape = chance.below(4);
    for (std::size_t a = 0; a < replicas; ++a) {
        for (std::size_t b = a + 1; b < replicas; ++b) {
            const bool is_star = a == 0;
            const bool is_chain = b == a + 1;
            const bool is_there = shape == 0   ? is_star
                                  : shape == 1 ? is_chain
                                               : shape == 2 || chance.chance(60);
            if (is_there) links.push_back({{a, b}});
        }
    }
    return is_connected(links, replicas) ? links : draw_topology(replicas, chance);
}

}  // namespace

world::world(std::uint64_t seed, world_options options)
    : options_(std::move(options)),
      chance_(random_source::scramble(seed ^ 0x616e6162)),
      upgrades_(random_source::scramble(seed ^ 0x75706772)),
      metering_(random_source::scramble(seed ^ 0x6d657472)),
      audits_(random_source::scramble(seed ^ 0x61756469)),
      audits_rows_((audits_.chance(audited_percent) || options_.audits_rows) && options_.directory.empty() && !options_.keeps_power),
      parts_(random_source::scramble(seed ^ 0x70617274)),
      holds_parts_((parts_.chance(parts_percent) || options_.holds_parts) && options_.directory.empty() && !options_.keeps_power),
      is_crowded_(chance_.chance(crowded_percent) || options_.is_crowded),
      copies_disks_(random_source(random_source::scramble(seed ^ 0x636f7079)).chance(copying_percent) && options_.directory.empty() &&
                    !options_.keeps_power),
      fields_(schema::random(chance_, is_crowded_)),
      histories_{history(fields_), history(fields_)},
      trace_(seed) {}

void world::set_up() {
    // A quiet history is one of what is stable, of folds and of what comes late.
    is_calm_ = is_crowded_ || chance_.chance(fields_.is_narrow ? 70 : 10);
    replicas_.reserve(most_replicas);
    const auto fewer = chance_.chance(is_calm_ && !is_crowded_ ? 20 : 60) ? 2 : 0;
    auto replicas = static_cast<std::size_t>(chance_.between(2, is_crowded_ ? 3 : most_at_first - fewer));
    if (copies_disks_) replicas = std::min(replicas, most_replicas / 2);
    links_ = draw_topology(replicas, chance_);
    if (copies_disks_) {
        replicas *= 2;
        for (auto& l : links_) l = {{2 * l.ends[0], 2 * l.ends[1]}};
    }
    buckets_ = chance_.chance(25) && !is_crowded_ ? 2 : 1;
    largest_transaction_ = chance_.chance(50) ? 3 : 8;
    uses_generous_sessions_ = chance_.chance(25);
    has_wild_clocks_ = chance_.chance(20);
    cuts_logs_ = chance_.chance(is_calm_ ? 30 : 75);
    folds_most_ = chance_.chance(is_calm_ ? 80 : 10);
    limits_logs_ = cuts_logs_ && chance_.chance(25) && !is_crowded_;
    adverts_ = is_calm_ ? std::chrono::milliseconds{0} : chance_.pick(advert_times);
    retires_often_ = chance_.chance(10) && !is_crowded_;
    is_metered_ = metering_.chance(metered_percent);
    set_up_requests();
    const auto drift = chance_.pick(drifts);
    const auto capacity = chance_.chance(10) ? 3 : store_options{}.request_capacity;
    for (std::size_t i = 0; i < replicas; ++i) {
        auto& r = add_replica();
        r.is_absent = copies_disks_ && i % 2 == 1;
        if (r.is_absent) r.id = replica_id{{}, i};  // which nobody has
        if (copies_disks_) r.host = std::make_shared<test::simulated_host>();
        r.options.max_clock_drift = std::chrono::milliseconds{drift};
        r.options.write_behind_bytes = chance_.pick(budgets);
        r.options.journal_step = chance_.pick(journal_steps);
        if (limits_logs_) {
            r.options.log_limit_bytes = chance_.pick(log_limits);
            r.options.log_limit_age = chance_.pick(log_ages);
            r.strays = chance_.chance(35);
        }
        r.options.log_retain_bytes = cuts_logs_ ? (chance_.chance(70) ? 0 : 500) : std::uint64_t{1} << 40;
        if (request_window_.count() > 0) r.options.request_window = request_window_;
        r.options.request_capacity = capacity;
        for (std::size_t b = 0; b < buckets_; ++b)
            r.shares[b].is_wanted = (buckets_ == 1 || chance_.chance(75)) && !r.is_absent;
    }
    for (std::size_t b = 0; b < buckets_; ++b) {
        for (const auto& r : replicas_) {
            if (r->shares[b].is_wanted && !founders_[b]) founders_[b] = r->index;
        }
    }
    set_up_ = replicas_.size();
    set_up_builds();
    for (auto& r : replicas_) {
        if (is_down(*r)) start(*r);
    }
    settle();
    found_buckets();
    for (auto& r : replicas_) {
        for (auto& s : r->shares) s.comes_late = !s.handle || !s.handle->state()->is_member();
    }
    for (auto& r : replicas_) r->skew = chance_.chance(50) ? 0 : chance_.between(-500, 500);
    for (std::size_t i = 0; i < links_.size(); ++i) {
        const bool is_possible = are_open(links_[i]);
        if (chance_.chance(80) && is_possible && !is_astray(links_[i])) connect(i, uses_generous_sessions_);
    }
}

/// `like`: it goes on with what that one has.
world::replica& world::add_replica(std::optional<std::size_t> like) {
    auto& r = *replicas_.emplace_back(std::make_unique<replica>(chance_.split()));
    r.index = replicas_.size() - 1;
    if (like) r.options = replicas_[*like]->options;
    const auto fates = [this, &r] { return fate_of(r); };
    r.storage = options_.directory.empty() ? std::make_unique<disk>(fates)
                                           : std::make_unique<disk>(fates, options_.directory / std::to_string(r.index));
    r.options.env.now = [this, &r] {
        r.latest = std::max(r.latest, wall(r));
        return std::chrono::milliseconds{wall(r)};
    };
    r.options.env.random = [&r] {
        // Identities sort as the replicas are numbered here, and so do equal timestamps.
        const auto bits = r.entropy.next();
        return r.draws++ == 0 ? (bits & ~std::uint64_t{0xff}) | r.index : bits;
    };
    return r;
}

/// Whoever holds a bucket at first is a member; whoever opens it later is let in by a session. Where logs are cut
/// nobody comes later.
void world::found_buckets() {
    for (bool again = true; again;) {
        again = false;
        for (auto& r : replicas_) {
            if (is_down(*r)) start(*r);
        }
        for (std::size_t b = 0; b < buckets_; ++b) {
            if (!founders_[b]) continue;
            auto& first = *replicas_[*founders_[b]];
            if (!first.open || !first.shares[b].handle) continue;
            for (auto& r : replicas_) {
                if (r->index == first.index || !r->open || !r->shares[b].handle) continue;
                if (r->shares[b].handle->is_member() || (!cuts_logs_ && chance_.chance(is_calm_ ? 70 : 30))) continue;
                (void)first.shares[b].handle->state()->sponsor(*r->id);
                if (first.storage->is_dead()) continue;
                observe(first, b, first.shares[b].has);
                sync(first);
                if (first.storage->is_dead()) continue;
                const auto chunk = first.shares[b].handle->state()->read_log({}, {UINT64_MAX}, {});
                if (!chunk) violate("the founder's log cannot be read: " + chunk.error().message);
                const auto applied = r->shares[b].handle->state()->apply(*chunk, {UINT64_MAX}, *first.id);
                if (r->storage->is_dead()) {
                    r->shares[b].may_have = first.shares[b].durable;
                } else {
                    if (!applied) violate("a new member cannot begin: " + applied.error().message);
                    observe(*r, b, first.shares[b].durable);
                }
            }
        }
        settle();
        for (const auto& r : replicas_) {
            again = again || is_down(*r);
            for (std::size_t b = 0; b < buckets_ && r->open && cuts_logs_; ++b)
                again = again || (r->shares[b].handle && !r->shares[b].handle->is_member());
        }
    }
}

world_outcome world::run() {
    set_up();
    set_up_parts();
    listen_to_requests();
    while (event_ < options_.events) step();
    const auto calls = disk_calls_;
    heal();
    for (std::size_t b = 0; b < buckets_; ++b) count_conflicts(histories_[b], counts_);
    connections_.clear();
    for (const auto& r : replicas_) {
        counts_.count(covered::flushes, r->storage->row_writes());
        counts_.count(covered::log_cuts, r->storage->log_cuts());
        counts_.count(covered::rows_pruned, r->storage->rows_pruned());
        counts_.count(covered::states_in_part, r->storage->states_in_part());
        counts_.count(covered::states_gone_on, r->storage->states_gone_on());
    }
    return {trace_, event_, checks_, calls, counts_};
}

void world::step() {
    struct choice {
        std::size_t weight;
        bool (world::*happen)();
        bool is_trouble = false;
    };
    static constexpr choice choices[] = {
        {300, &world::commit_somewhere}, {420, &world::deliver_something},
        {130, &world::sync_somewhere},   {80, &world::bring_late}, {60, &world::poll_somewhere},
        {40, &world::finish_write},      {60, &world::connect_somewhere},
        {18, &world::cut_or_heal_link, true},  {20, &world::break_connection},
        {22, &world::end_some_process, true},  {50, &world::restart_somewhere},
        {20, &world::change_clock, true},      {8, &world::fill_or_empty_disk, true},
        {12, &world::arm_death, true},         {6, &world::take_snapshot},
        {8, &world::check_snapshot},     {10, &world::check_something_whole},
        {4, &world::compare_digests},    {2, &world::create_bucket},
        {6, &world::retire_someone},     {1, &world::leave_somewhere},
        {1, &world::change_authority},
        {3, &world::accept_future},      {20, &world::let_time_pass},
        {6, &world::open_feed},          {40, &world::pull_feed},
        {12, &world::visit},             {90, &world::make_request},
        {250, &world::deliver_request},  {60, &world::run_some_rounds},
        {60, &world::overtake},
    };
    static constexpr std::size_t sum = [] {
        std::size_t n = 0;
        for (const auto& c : choices) n += c.weight;
        return n;
    }();
    for (auto& r : replicas_) {
        if ((r->storage->is_full() || r->storage->is_filling()) && chance_.one_in(20))
            r->storage->set_full(false);
    }
    if (copies_disks_) happen_to_disks();
    if (audits_rows_) audit_now_and_then();
    happen_to_parts();
    while (true) {
        auto at = chance_.below(sum);
        const auto* c = choices;
        while (at >= c->weight) at -= (c++)->weight;
        if (is_calm_ && c->is_trouble && !chance_.one_in(8)) continue;
        if ((this->*c->happen)()) break;
    }
    now_ += chance_.between(0, 20);
    settle();
    ++event_;
    if (options_.after_event) options_.after_event(event_, trace_);
}

/// Ends the processes that have died in the middle of what they did.
void world::settle() {
    if (is_process_dead_) {
        // From here on the replicas live on what the dead process left on its real disks.
        is_process_dead_ = false;
        for (auto& c : connections_) c.is_broken = true;
        for (auto& r : replicas_) {
            if (r->open) end(*r, ending::kill);
        }
        for (auto& r : replicas_) {
            if (options_.survivors.empty()) continue;
            r->storage = std::make_unique<disk>([this, &r = *r] { return fate_of(r); },
                                                options_.survivors / std::to_string(r->index));
        }
    }
    let_come_back();
    for (bool again = true; again;) {
        again = false;
        for (auto& r : replicas_) {
            if (!r->open) continue;
            if (r->storage->is_dead()) {
                counts_.count(covered::crashes_inside_calls);
                end(*r, chance_.chance(50) ? ending::kill : ending::power_loss);
                again = true;
            }
        }
    }
    std::erase_if(connections_, [](const connection& c) { return c.is_broken; });
}

fate world::fate_of(replica& r) {
    const auto call = disk_calls_++;
    if (options_.dies_at == call) {
        is_process_dead_ = true;
        for (auto& other : replicas_) other->storage->kill();
        if (options_.on_death) options_.on_death();
        return fate::dies_before;
    }
    if (!r.dies_in || (*r.dies_in)-- > 0) return fate::done;
    r.dies_in.reset();
    return r.dies_after ? fate::dies_after : fate::dies_before;
}

timestamp world::horizon(const replica& r) const {
    const auto at = std::max(std::chrono::milliseconds{wall(r)}, r.accepted.wall());
    return timestamp::from(at + r.options.max_clock_drift, UINT16_MAX);
}

void world::trace(const char* what, std::initializer_list<std::pair<const char*, std::uint64_t>> details) {
    for (const char* c = what; *c != '\0'; ++c)
        trace_ = random_source::scramble(trace_ + static_cast<unsigned char>(*c));
    for (const auto& [name, value] : details) trace_ = random_source::scramble(trace_ ^ value);
    if (!options_.is_traced) return;
    std::printf("%5llu %8lld ms  %-22s", static_cast<unsigned long long>(event_),
                static_cast<long long>(now_), what);
    for (const auto& [name, value] : details)
        std::printf(" %s=%llu", name, static_cast<unsigned long long>(value));
    std::printf("\n");
}

}  // namespace anabranch::simulation
