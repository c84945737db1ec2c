#include "convergence/network.hpp"

#include <algorithm>
#include <map>

#include "measure/measurement.hpp"
#include "retail_reconnect/workload.hpp"

namespace bench::convergence {

namespace {

constexpr const char* bucket_name = "retail";
// Larger pieces would arrive as late as their last byte.
constexpr std::size_t segment = 16 * 1024;
constexpr virtual_time patience = std::chrono::hours(1);
constexpr std::chrono::milliseconds epoch = std::chrono::hours(24 * 365 * 50);

anabranch::store_options options_of(const std::shared_ptr<virtual_time>& now, std::uint64_t seed) {
    auto random = std::make_shared<retail::splitmix64>(seed);
    anabranch::store_options options;
    options.env.now = [now] { return epoch + std::chrono::duration_cast<std::chrono::milliseconds>(*now); };
    options.env.random = [random] { return random->next(); };
    return options;
}

std::uint64_t sequence_in(const anabranch::frontier& known, const anabranch::replica_id& origin) {
    const auto found = std::ranges::find(known, origin, &anabranch::progress_entry::origin);
    return found == known.end() ? 0 : found->sequence;
}

}  // namespace

network::network(std::size_t replicas) {
    std::vector<pair> star;
    for (std::size_t i = 0; i < replicas; ++i) {
        auto store = expect(anabranch::store::in_memory(options_of(now_, 1 + i)));
        auto bucket = expect(i == 0 ? store.create_bucket(bucket_name) : store.bucket(bucket_name));
        expect(store.sync());
        replicas_.push_back(std::make_unique<replica>(replica{store, bucket, {}, false}));
        if (i > 0) star.emplace_back(0, i);
    }
    // Being let in is a transaction that begins after they have met: once more, and everybody has all of them.
    for (int round = 0; round < 3; ++round) converge(star, {}, {});
    for (const auto& one : replicas_) {
        if (!one->bucket.is_member()) throw std::runtime_error("a replica was not let in");
    }
}

void network::converge(const std::vector<pair>& links, const link_shape& shape,
                       const anabranch::session_options& options) {
    bytes_ = 0;
    for (const auto& one : replicas_) expect(one->store.sync());
    for (const auto& both : links) connect(both, options);
    expect_all();
    for (std::size_t i = 0; i < replicas_.size(); ++i) settle(i, shape);
    const auto deadline = now() + patience;
    while (incomplete_ > 0) {
        if (events_.empty() || now() > deadline) throw std::runtime_error("the replicas do not converge");
        step(shape);
    }
    // What the first meeting starts, being let in above all, is let finish; it is no part of the time.
    const auto converged_at = now();
    const auto bytes = bytes_;
    while (!events_.empty() && now() < converged_at + std::chrono::seconds(10)) step(shape);
    events_ = {};
    ends_.clear();
    for (const auto& one : replicas_) one->ends.clear();
    *now_ = converged_at;
    bytes_ = bytes;
}

void network::connect(const pair& both, const anabranch::session_options& options) {
    const std::size_t first = ends_.size();
    ends_.push_back({both.first, first + 1, {replicas_[both.first]->store, options, session_time()}, {}, false});
    ends_.push_back({both.second, first, {replicas_[both.second]->store, options, session_time()}, {}, false});
    replicas_[both.first]->ends.push_back(first);
    replicas_[both.second]->ends.push_back(first + 1);
}

void network::step(const link_shape& shape) {
    const event next = events_.top();
    events_.pop();
    *now_ = std::max(*now_, next.at);
    auto& at = ends_[next.to];
    if (next.bytes.empty()) {
        at.is_sending = false;
        return send(next.to, shape);
    }
    bytes_ += next.bytes.size();
    at.session.receive(next.bytes, session_time());
    if (const auto& failure = at.session.failure()) throw std::runtime_error("a session ended: " + failure->message);
    settle(at.owner, shape);
}

/// Syncs the replica for all its sessions, and sends what they have to say.
void network::settle(std::size_t owner, const link_shape& shape) {
    auto& one = *replicas_[owner];
    const auto wants_sync = [&](std::size_t i) { return ends_[i].session.wants_sync(); };
    while (std::ranges::any_of(one.ends, wants_sync)) {
        expect(one.store.sync());
        for (const auto i : one.ends) ends_[i].session.poll(session_time());
    }
    for (const auto i : one.ends) send(i, shape);
    look_at(one);
}

void network::send(std::size_t from, const link_shape& shape) {
    auto& at = ends_[from];
    if (at.is_sending) return;
    if (at.waiting.empty()) at.waiting = at.session.take_output();
    if (at.waiting.empty()) return;
    const auto size = std::min(at.waiting.size(), segment);
    const auto takes = shape.bits_per_second > 0 ? static_cast<double>(size) * 8e6 / shape.bits_per_second : 0;
    const auto sent = now() + virtual_time(static_cast<virtual_time::rep>(takes));
    at.is_sending = true;
    schedule(sent + shape.latency, at.peer, at.waiting.substr(0, size));
    at.waiting.erase(0, size);
    schedule(sent, from, {});
}

void network::schedule(virtual_time at, std::size_t to, std::string bytes) {
    events_.push({at, next_order_++, to, std::move(bytes)});
}

/// From now on everybody is to have what anybody has.
void network::expect_all() {
    std::map<anabranch::replica_id, anabranch::progress_entry> furthest;
    for (const auto& one : replicas_) {
        for (const auto& entry : one->bucket.durable_progress()) {
            auto& known = furthest.try_emplace(entry.origin, entry).first->second;
            if (entry.sequence > known.sequence) known = entry;
        }
    }
    goal_.clear();
    for (const auto& [origin, entry] : furthest) goal_.push_back(entry);
    incomplete_ = replicas_.size();
    for (const auto& one : replicas_) {
        one->is_complete = false;
        look_at(*one);
    }
}

void network::look_at(replica& one) {
    if (one.is_complete) return;
    const auto known = one.bucket.durable_progress();
    one.is_complete = std::ranges::all_of(
        goal_, [&](const auto& entry) { return sequence_in(known, entry.origin) >= entry.sequence; });
    if (one.is_complete) --incomplete_;
}

}  // namespace bench::convergence
