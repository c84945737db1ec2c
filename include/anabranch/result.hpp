// Errors as values: what every fallible call of anabranch returns.
#pragma once

#include <string>
#include <system_error>
#include <tl/expected.hpp>

namespace anabranch {

/// What went wrong, for programs to branch on. Convertible to `std::error_code`.
enum class errc {
    invalid_argument = 1,  ///< a name, value or option that can never be accepted
    limit_exceeded,        ///< a documented limit (limits.hpp) would be passed
    overflow,              ///< a counter would leave, or has left, the range of int64
    nested_transaction,    ///< commit() called on a bucket from inside one of its own closures
    undecodable,           ///< stored bytes are not a value of the type asked for
    closed,                ///< the store, replica or session has been closed
    storage_failure,       ///< the disk failed; reads go on, writes after opening anew, which may show that the failed one was kept
    storage_full,          ///< too little space left; nothing of the failed call was applied
    corrupt,               ///< bytes on disk are not what this library wrote
    locked,                ///< another process has the directory open
    foreign_directory,     ///< the directory holds something that is not an anabranch store
    newer_format,          ///< the directory was written by a newer version of the library
    malformed,             ///< a peer's bytes break the protocol; the session ends
    unsupported_protocol,  ///< the peer speaks no protocol version that this one does, or a bucket holds what this build does not know
    diverged,              ///< two different transactions carry one dot (restored backup, cloned disk, flipped bit)
    self_connection,       ///< the peer is this same replica
    timed_out,             ///< the peer made no progress within the deadline
    network,               ///< the operating system's or TLS's network error, named in the message
    cancelled,             ///< stop() was called meanwhile
    refused,               ///< for user closures that want to leave without committing
    not_a_member,          ///< only members write in a bucket: this replica has not met one yet that lets it in, or it has left
    not_the_authority,     ///< only the member that bucket::authority() names may do this
    retired,               ///< the replica was retired from the bucket: what it wrote since does not count
    foreign_bucket,        ///< the peer has another bucket of that name, with another founder
    behind_cut,            ///< who was away has missed more than the log still holds
    insufficient_rights,   ///< of a bounded counter this replica may not spend so much
    invalid_token,         ///< damaged, forged, or not of this bucket or replica
    request_too_old,       ///< issued before this replica's fence: ask what became of it, then issue a new key
    request_from_future,   ///< its issue time is further ahead of this clock than store_options::request_max_lead
    request_conflict,      ///< the key has been used for a request with other content
    too_many_requests,     ///< as many identities wait to be forgotten as store_options::request_capacity allows
    not_held,              ///< outside of what this replica holds of the bucket, or not here yet
};

std::error_code make_error_code(errc code) noexcept;

/// An error: what (`code`) and, for people, what exactly and where (`message`).
struct error {
    errc code{};
    std::string message;
};

template <class T = void>
using result = tl::expected<T, error>;

/// `return fail(errc::locked, "...")` from any function that returns a result.
[[nodiscard]] inline tl::unexpected<error> fail(errc code, std::string message) {
    return tl::unexpected<error>(error{code, std::move(message)});
}

/// Passes an error on from one result type to another.
[[nodiscard]] inline tl::unexpected<error> fail(error e) { return tl::unexpected<error>(std::move(e)); }

}  // namespace anabranch

template <>
struct std::is_error_code_enum<anabranch::errc> : std::true_type {};
