// The identity of a client's request: what makes it count once, however often and wherever it runs. docs/requests.md
#pragma once

#include <anabranch/ids.hpp>
#include <chrono>
#include <cstdint>
#include <limits>
#include <string>

namespace anabranch {

enum class request_role : std::uint8_t {
    primary = 1,  ///< its answer goes to the client
    mirror = 2,   ///< a copy that the mesh made, whose answer nobody sees
};

enum class request_outcome : std::uint8_t {
    committed = 1,
    refused = 2,  ///< transaction::refuse(): nothing was done, and that is an answer, too
};

/// Pseudo-random numbers that are the same wherever the request runs. A UniformRandomBitGenerator: SplitMix64 (Steele et al.,
/// "Fast splittable pseudorandom number generators", OOPSLA 2014). Not for secrets.
class request_rng {
  public:
    using result_type = std::uint64_t;
    explicit request_rng(std::uint64_t seed) : state_(seed) {}
    static constexpr result_type min() { return 0; }
    static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }
    result_type operator()() {
        auto z = state_ += 0x9e3779b97f4a7c15U;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
        z = (z ^ z >> 27) * 0x94d049bb133111ebU;
        return z ^ z >> 31;
    }

  private:
    std::uint64_t state_;
};

/// A client's request as it arrived. Two are the same request iff tenant, principal and key are.
struct request {
    std::string tenant;
    std::string principal;  ///< whoever has been authenticated: nobody can use another's keys
    std::string key;        ///< the client's, as in the header Idempotency-Key; not empty
    /// When the client made it up; travels with the key, and stays the same when it tries again.
    std::chrono::milliseconds issued{0};  ///< since 1970
    request_role role = request_role::primary;
    std::uint32_t attempt = 1;
    /// A digest of what it asks for. The same key with another one is errc::request_conflict.
    hash128 content{};

    /// What replicas know it by: 128 bits of SHA-256 of tenant, principal and key.
    hash128 identity() const;

    // Values that an execution makes up, so that every execution makes up the same.
    /// The request's n-th id, as an RFC 9562 UUID (version 8).
    std::string id(std::uint32_t n = 0) const;
    std::chrono::milliseconds time() const { return issued; }
    request_rng rng() const;
};

/// What became of a request.
struct receipt {
    request_outcome outcome{};
    std::string result;  ///< what the execution that counts returned, as far as is known here
    /// It had run before, here or elsewhere, and did not run again.
    bool is_repeat = false;
    transaction_id transaction;  ///< the execution that counts, as far as is known here
};

/// An execution that counts, and was a mirror's: no primary one has been heard of. It may be the only trace of an order that
/// a customer has been told is placed.
struct unconfirmed_request {
    hash128 identity{};
    std::chrono::milliseconds issued{0};
    transaction_id transaction;
    std::string result;
};

}  // namespace anabranch
