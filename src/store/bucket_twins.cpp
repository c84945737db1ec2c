// Executions of one request mostly say the same: sent to a peer that has another one, they travel without that. docs/oplog.md
#include <algorithm>

#include "base/hash.hpp"
#include "store/bucket_state.hpp"
#include "store/log_stream.hpp"
#include "store/store_state.hpp"

namespace anabranch::detail {
namespace {

// Saving less is not worth the looking.
constexpr std::size_t least_common = 64;

oplog::common_digest digest_of(const hash128& seal, std::string_view common) {
    const auto whole = sha256_128({as_bytes(seal), common});
    oplog::common_digest digest{};
    std::copy_n(whole.begin(), digest.size(), digest.begin());
    return digest;
}

/// `use(body, origin, sequence)` for each record that the chunk holds as such, until one fails.
template <class Use>
result<void> for_each_body(oplog::chunk& chunk, const Use& use) {
    std::vector<std::uint64_t> next;
    for (const auto& r : chunk.ranges) next.push_back(r.first);
    for (auto& e : chunk.entries) {
        if (auto done = use(e.body, chunk.ranges[e.range].origin, next[e.range]++); !done) return done;
    }
    if (!chunk.folded) return {};
    for (auto& a : chunk.folded->asides) {
        if (auto done = use(a.body, chunk.ranges[a.range].origin, a.sequence); !done) return done;
    }
    return {};
}

}  // namespace

bool bucket_state::has_executions() const {
    const std::shared_lock lock(mutex_);
    return !open_.executions.empty();
}

/// Of an execution in the log; nothing where there is none.
result<std::optional<std::string>> bucket_state::logged_common(const dot& id) const {
    const auto value = logged_value(id);
    if (!value) return fail(value.error());
    const auto record = *value ? oplog::decode_record(body_of(**value)) : std::nullopt;
    if (!record || record->kind != oplog::record_kind::execution) return std::optional<std::string>{};
    return std::optional(std::string(record->common));
}

result<std::vector<oplog::listed_execution>> bucket_state::list_executions(const positions& peer) const {
    std::vector<dot> beyond;
    hash128 seal{};
    {
        const std::shared_lock lock(mutex_);
        if (!members_.roster().founder) return {};
        seal = members_.roster().seal;
        for (const auto& [writer, last] : durable()) {
            const auto known = peer.find(store_.origins().id(writer));
            const auto from = known == peer.end() ? 0 : known->second;
            for (auto next = open_.executions.next(writer, from + 1); next && *next <= last.sequence; next = open_.executions.next(writer, *next + 1)) {
                if (beyond.size() == limits::listed_executions) break;
                beyond.push_back({writer, *next});
            }
        }
    }
    std::vector<oplog::listed_execution> listed;
    const std::shared_lock uncut(cut_mutex_);
    for (const auto& id : beyond) {
        const auto common = logged_common(id);
        if (!common) return fail(common.error());
        if (!*common || (*common)->size() < least_common) continue;
        listed.push_back({digest_of(seal, **common), {store_.origins().id(id.writer), id.sequence}});
    }
    return listed;
}

/// Another execution of the request that the peer has, too, and that says the same.
result<std::optional<transaction_id>> bucket_state::find_twin(const transaction_id& id, std::string_view common, const positions& peer) const {
    const auto identity = crdt::identity_in(common);
    const auto known = identity ? requests_.find(*identity) : std::optional<known_request>{};
    if (!known) return fail(known.error());
    if (!*known) return std::optional<transaction_id>{};
    for (const auto& x : (*known)->executions) {
        const transaction_id other{store_.origins().id(x.id.writer), x.id.sequence};
        if (other == id || !holds(peer, other.origin, other.sequence)) continue;
        const auto its = logged_common(x.id);
        if (!its) return fail(its.error());
        if (*its && **its == common) return std::optional(other);
    }
    return std::optional<transaction_id>{};
}

result<void> bucket_state::abbreviate(oplog::chunk& chunk, const std::vector<oplog::listed_execution>& listed, const positions& peer) const {
    const std::shared_lock lock(mutex_);
    const auto& seal = members_.roster().seal;
    return for_each_body(chunk, [&](std::string& body, const replica_id& origin, std::uint64_t sequence) -> result<void> {
        const auto record = oplog::is_execution(body) ? oplog::decode_record(body) : std::nullopt;
        if (!record || record->common.size() < least_common) return {};
        std::optional<transaction_id> like;
        if (!listed.empty()) {
            const auto digest = digest_of(seal, record->common);
            const auto it = std::ranges::lower_bound(listed, digest, {}, &oplog::listed_execution::digest);
            if (it != listed.end() && it->digest == digest) like = it->id;
        }
        if (!like) {
            auto found = find_twin({origin, sequence}, record->common, peer);
            if (!found) return fail(found.error());
            like = *found;
        }
        if (!like) return {};
        auto place = std::ranges::find(chunk.twins, like->origin);
        if (place == chunk.twins.end()) place = chunk.twins.insert(place, like->origin);
        body = oplog::abbreviate(body, {static_cast<std::uint32_t>(place - chunk.twins.begin()), like->sequence});
        return {};
    });
}

result<bool> bucket_state::expand(oplog::chunk& chunk) const {
    bool is_whole = true;
    std::size_t bytes = 0;
    const std::shared_lock uncut(cut_mutex_);
    auto expanded = for_each_body(chunk, [&](std::string& body, const replica_id&, std::uint64_t) -> result<void> {
        const auto like = oplog::twin_of(body);
        if (!like || !is_whole) return {};
        if (like->place >= chunk.twins.size()) return fail(errc::malformed, "an execution in bucket \"" + name_ + "\" is like one of nobody");
        const auto writer = store_.origins().find(chunk.twins[like->place]);
        const auto common = writer ? logged_common({*writer, like->sequence}) : std::optional<std::string>{};
        if (!common) return fail(common.error());
        is_whole = common->has_value();
        if (!is_whole) return {};
        bytes += (*common)->size();
        // Little that is sent must not become more than could have been sent.
        if (bytes > limits::fold) return fail(errc::malformed, "executions in bucket \"" + name_ + "\" are too long");
        body = oplog::expand(body, **common);
        return {};
    });
    chunk.twins.clear();
    if (!expanded) return fail(expanded.error());
    return is_whole;
}

}  // namespace anabranch::detail
