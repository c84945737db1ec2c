// Identities and times that cross replicas.
#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace anabranch {

/// Who writes: 128 random bits chosen when the store's directory is created, plus an incarnation: 1, until the replica
/// finds that it is a copy, or has lost some of its own past. Then it takes a greater one that no other copy has: the
/// time in milliseconds since 1970, times 2^20, plus 20 random bits.
struct replica_id {
    std::array<std::uint8_t, 16> value{};
    std::uint64_t incarnation = 0;

    auto operator<=>(const replica_id&) const = default;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(value, incarnation);
    }
};

/// "0f3a…9c.2": 32 hexadecimal digits, a dot, the incarnation.
std::string to_string(const replica_id& id);

/// A hybrid logical clock's reading: 48 bits of milliseconds since 1970, 16 bits of counter
/// (Kulkarni et al., "Logical Physical Clocks", OPODIS 2014). Ordered as a number; respects causality.
struct timestamp {
    std::uint64_t value = 0;

    static constexpr timestamp from(std::chrono::milliseconds wall, std::uint16_t counter = 0) {
        return {static_cast<std::uint64_t>(wall.count()) << 16 | counter};
    }
    constexpr std::chrono::milliseconds wall() const {
        return std::chrono::milliseconds{static_cast<std::int64_t>(value >> 16)};
    }

    auto operator<=>(const timestamp&) const = default;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(value);
    }
};

/// The name of one transaction in one bucket: the paper's *dot* (Almeida et al., "Scalable and accurate
/// causality tracking", 2014). Sequences count an origin's transactions in the bucket from 1, without gaps.
struct transaction_id {
    replica_id origin;
    std::uint64_t sequence = 0;

    auto operator<=>(const transaction_id&) const = default;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(origin, sequence);
    }
};

/// 128 bits of SHA-256.
using hash128 = std::array<std::uint8_t, 16>;

std::string to_string(const hash128& hash);

/// How far one origin's transactions are known, and the hash chain's head there.
struct progress_entry {
    replica_id origin;
    std::uint64_t sequence = 0;
    hash128 head{};

    bool operator==(const progress_entry&) const = default;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(origin, sequence, head);
    }
};

/// A version vector that can leave the process: sorted by origin, one entry each.
using frontier = std::vector<progress_entry>;

}  // namespace anabranch
