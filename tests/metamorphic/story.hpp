// One history of a few replicas behind a mesh, as a list of what happens: so that it can be told again with one thing changed.
#pragma once

#include <anabranch/request.hpp>
#include <anabranch/transaction.hpp>
#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

namespace anabranch::test {

inline constexpr std::size_t replica_count = 3;

/// Whose requests go where decides what the mesh's copies may not change.
enum class customer_kind {
    /// All primary copies reach one replica, and the others another one, in the same order; some are lost. So whoever executes
    /// a request has seen, of what this customer may touch, only what its first replica had seen before: its fields may be of
    /// any type, and removed.
    ordered,
    /// First the primary copy at its own replica, then others anywhere, in any order. Its registers are only assigned.
    loose,
    /// The primary copy anywhere, too. Several write the same registers.
    contending,
};

struct customer {
    std::string name;
    customer_kind kind{};
    std::size_t home = 0;
    std::size_t mirror = 0;
};

struct told_request {
    std::size_t by = 0;  ///< a customer
    std::string key;
    std::int64_t issued = 0;  ///< milliseconds after the beginning
};

struct copy {
    std::size_t request = 0;
    std::size_t replica = 0;
    request_role role = request_role::primary;
    std::uint32_t attempt = 1;

    /// The one that there is without mirroring, retries and failover, too.
    bool is_first() const { return attempt == 1 && role == request_role::primary; }
};
/// Two replicas get what the other has.
struct visit {
    std::size_t one = 0;
    std::size_t other = 0;
};
struct event {
    std::int64_t at = 0;  ///< milliseconds after the beginning; no two at the same time
    std::variant<copy, visit> what;
};

struct story {
    std::vector<customer> customers;
    std::vector<told_request> requests;
    std::vector<event> events;
};

struct story_options {
    bool has_contending = false;
    /// The copies of ordered customers come in any order, too: then mirroring changes what they end with.
    bool is_disorderly = false;
};
story random_story(std::uint64_t seed, const story_options& options);

struct program_options {
    bool branches = false;         ///< on what it finds
    bool reads_its_clock = false;  ///< instead of the request's time: then executions differ
};
/// What the request asks for. Everywhere the same, unless the options say otherwise. Returns the register that it has assigned
/// where others may, without having seen it; or nothing.
std::string run_program(const request& r, const customer& by, transaction& tx, const program_options& options);

}  // namespace anabranch::test
