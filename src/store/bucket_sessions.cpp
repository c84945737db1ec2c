// Session tokens: what a client has seen, and whether that is here.
#include <anabranch/limits.hpp>
#include <algorithm>
#include <condition_variable>

#include "base/hash.hpp"
#include "codec/archive.hpp"
#include "store/bucket_state.hpp"
#include "store/store_state.hpp"

namespace anabranch {

std::uint64_t session_token::short_name(const replica_id& id) {
    const auto hash = sha256_128({codec::encode(id)});
    return store_keys::read_big_endian(as_bytes(hash).substr(0, sizeof(std::uint64_t)));
}

namespace detail {

// Of the bucket and not of the replica: any other instance reads it.
result<token_seal> bucket_state::seal_of() const {
    if (auto allowed = check_outside(); !allowed) return fail(allowed.error());
    const std::shared_lock lock(mutex_);
    const auto& roster = members_.roster();
    if (!roster.founder) {
        return fail(errc::not_a_member, "this replica has not yet met a member of bucket \"" + name_ + "\", so it can make and read no tokens of it");
    }
    return token_seal{name_, roster.seal};
}

result<std::string> bucket_state::seal(const session_token& token) const {
    return seal_of().map([&](const token_seal& seal) {
        std::string content;
        codec::output out(content);
        out.varint(token.seen().size());
        for (const auto& [origin, sequence] : token.seen()) {
            out.raw(store_keys::big_endian64(origin));
            out.varint(sequence);
        }
        return seal.close(token_kind::session, content);
    });
}

result<session_token> bucket_state::unseal(std::string_view text) const {
    const auto seal = seal_of();
    if (!seal) return fail(seal.error());
    const auto content = seal->open(token_kind::session, text);
    if (!content) return fail(content.error());
    codec::input in(*content);
    session_token token;
    for (auto n = in.count(9); n > 0 && in.ok(); --n) {
        const auto origin = store_keys::read_big_endian(in.raw(sizeof(std::uint64_t)));
        token.raise(origin, in.varint());
    }
    if (!in.complete()) return fail(errc::invalid_token, "the session token is of another version of the library (bucket \"" + name_ + "\")");
    return token;
}

result<std::uint64_t> bucket_state::missing(const session_token& token) const {
    if (auto allowed = check_outside(); !allowed) return fail(allowed.error());
    auto seen = token.seen();
    for (const auto& [writer, last] : capture()) {
        const auto it = seen.find(session_token::short_name(store_.origins().id(writer)));
        if (it != seen.end()) it->second -= std::min(it->second, last.sequence);
    }
    std::uint64_t all = 0;
    for (const auto& [origin, sequence] : seen) {
        if (__builtin_add_overflow(all, sequence, &all)) all = UINT64_MAX;
    }
    if (all == 0) return 0;
    const std::shared_lock lock(mutex_);
    for (const auto& [id, m] : members_.roster().members) {
        const auto it = seen.find(session_token::short_name(id));
        // What is here, at the retired one itself above all, is not missing.
        if (m.at != crdt::roster::stage::retired || it == seen.end() || it->second == 0 || token.seen().at(it->first) <= m.last) continue;
        return fail(errc::retired, "the session has seen transaction " + std::to_string(token.seen().at(it->first)) + " of replica " +
                                       to_string(id) + " in bucket \"" + name_ + "\", which was retired after its transaction " +
                                       std::to_string(m.last));
    }
    return all;
}

result<std::uint64_t> bucket_state::wait_for(const session_token& token, std::chrono::milliseconds most) const {
    struct {
        std::mutex mutex;
        std::condition_variable changed;
        std::uint64_t changes = 0;
    } waiter;
    constexpr std::chrono::milliseconds year = std::chrono::hours{24 * 365};
    const auto until = std::chrono::steady_clock::now() + std::clamp(most, std::chrono::milliseconds{0}, year);
    const struct subscribed {
        store_state& to;
        std::uint64_t number;
        ~subscribed() { to.unsubscribe(number); }
    } subscription{store_, store_.subscribe([&] {
                       const std::lock_guard lock(waiter.mutex);
                       ++waiter.changes;
                       waiter.changed.notify_one();
                   })};
    auto left = missing(token);
    std::unique_lock lock(waiter.mutex);
    for (std::uint64_t looked = 0; left && *left > 0;) {
        if (!waiter.changed.wait_until(lock, until, [&] { return waiter.changes != looked; })) break;
        looked = waiter.changes;
        lock.unlock();
        left = missing(token);
        lock.lock();
    }
    // Whoever wakes it holds the subscription and waits for the mutex.
    lock.unlock();
    return left;
}

}  // namespace detail
}  // namespace anabranch
