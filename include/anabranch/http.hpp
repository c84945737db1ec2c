// What a service behind a mesh needs of HTTP: requests' identities from headers, statuses for errors, readiness. No sockets
// and no HTTP library, so that it fits any server. docs/http.md
#pragma once

#include <anabranch/replica.hpp>
#include <anabranch/request.hpp>
#include <anabranch/result.hpp>
#include <anabranch/store.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// All functions here are thread-safe and keep nothing of what they are given.
namespace anabranch::http {

// Requests.

/// Bytes of a key, a principal or a tenant.
inline constexpr std::size_t max_value = 1024;

/// All values of a header in the order in which they came; empty where there is none. The name is in lower case, and has
/// to be compared without regard to case. ":authority" is asked for, too: HTTP/1 has none. What it returns needs to live only
/// until the function that was given the lookup returns.
using header_lookup = std::function<std::vector<std::string_view>(std::string_view name)>;

/// For servers that list (name, value). Refers to the list, which must outlive it.
header_lookup lookup_in(std::span<const std::pair<std::string_view, std::string_view>> headers);

struct request_options {
    std::string key_header = "Idempotency-Key";
    std::string issued_header = "Idempotency-Issued";
    /// Whom the gateway has authenticated. It must overwrite what a client sends: whoever can set it can use others' keys.
    std::string principal_header = "x-principal";
    std::string tenant_header = "x-tenant";
    /// The tenant where that header is missing.
    std::string default_tenant = "default";
    /// A mirrored copy is one whose host ends in this before the port, as Envoy makes it, unless empty; or one with this mark.
    std::string mirror_suffix = "-shadow";
    std::string mirror_header = "x-mirrored";
    std::string mirror_mark = "1";

    /// Without a key x-request-id is one. Off, because proxies may replace it: a client that tries again has another one
    /// then, and its request counts twice.
    bool request_id_is_key = false;
    /// Where nothing tells when a request was issued, take the time of arrival. Off, because a client's second try then has
    /// another one: only a gateway that stamps covers the mesh's own copies, and nothing covers a client that comes back late.
    bool stamp = false;
    /// Where the principal's header is missing, take the empty principal. Off, because all such clients share their keys:
    /// whoever guesses one is given the answer to somebody else.
    bool allow_anonymous = false;
};

/// What a request asks for.
struct request_content {
    std::string_view method;
    std::string_view target;  ///< path and query, as received: every instance must receive the same
    std::string_view body;    ///< whole, as received
};

/// 128 bits of SHA-256 over method, target and body, each behind its length: the same in every instance and release.
hash128 digest(const request_content& content);

/// The identity of a request; nothing where it has none, as it has no key: commit it without one, or refuse it.
/// `now`: since 1970; only option `stamp` uses it. errc::invalid_argument, to be answered with 400, for a header that is
/// malformed, too long or given twice, and where the issue time or the principal is missing.
result<std::optional<request>> read_request(const header_lookup& headers, const request_content& content,
                                            std::chrono::milliseconds now, const request_options& options = {});

/// When a UUID of version 7 was made (RFC 9562, section 5.7); nothing for any other text.
std::optional<std::chrono::milliseconds> time_of_uuid7(std::string_view text);
/// A time as text: milliseconds since 1970 ("1795531977123"), or RFC 3339 ("2026-11-24T14:52:57.123Z", any offset; what is
/// finer than milliseconds is cut off). Nothing for any other text, and for times before 1970.
std::optional<std::chrono::milliseconds> parse_time(std::string_view text);

// Answers.

struct answer {
    unsigned status = 200;
    std::string code;                     ///< for programs: "committed", "refused", "behind", or as errc has it
    std::string text;                     ///< for people; of a receipt the stored result. Not escaped.
    std::chrono::seconds retry_after{0};  ///< the header Retry-After; zero: none
};

/// 200 where it was committed, otherwise what the service takes for a refusal; the same for the first answer and for repeats.
answer answer_to(const receipt& done, unsigned status_of_refusal = 409);
/// docs/http.md lists the statuses.
answer answer_to(const error& failure);
/// 425 with Retry-After, to a session of which so many transactions are not here yet (bucket::missing(), wait_for()). Not
/// 503: another instance may serve it, and this one can serve everybody else, so outlier detection must not count it.
answer answer_to_early_session(std::uint64_t missing);

// Readiness, for the mesh's health checks.

struct instance_state {
    bool is_member = false;           ///< bucket::is_member()
    bool is_draining = false;         ///< an operator wants it to get no requests
    bool can_write = true;            ///< false once the disk is full or has failed
    bool has_caught_up = false;       ///< as the last readiness said; false at the start
    std::size_t connected_peers = 0;
    std::size_t live_peers = 0;       ///< connected ones, from which all has arrived that they had when they met
    std::uint64_t behind = 0;         ///< transactions still to arrive, of all buckets: the most of any connected peer
};

struct readiness_options {
    /// Transactions that an instance may lack when it has never caught up since it was started. Afterwards it may lack any
    /// number: to be behind for a while is better than not to answer.
    std::uint64_t max_behind = 1000;
    /// Peers that must be connected. 0, because an instance that is cut off from all of them goes on; more only where
    /// there is always another instance that a customer can reach.
    std::size_t min_connected_peers = 0;
    /// False for readers of the bucket (participation::reader).
    bool must_be_member = true;
};

struct readiness {
    unsigned status = 200;  ///< or 503
    std::string body;       ///< JSON: {"ready": ..., "reasons": [...], "behind": ...}
    /// Why it is not ready: "draining", "storage", "not_a_member", "behind", "too_few_peers".
    std::vector<std::string_view> reasons;
    std::chrono::seconds retry_after{0};
    bool has_caught_up = false;  ///< for the next instance_state

    bool is_ready() const { return reasons.empty(); }
};

readiness check_readiness(const instance_state& state, const readiness_options& options = {});
/// The same, with membership and peers filled in from those; `known` has the rest.
readiness check_readiness(const bucket& of, std::span<const peer_status> peers, instance_state known,
                          const readiness_options& options = {});

}  // namespace anabranch::http
