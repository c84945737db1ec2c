// How much of a state a peer may have this one hold at once. docs/reconciliation.md, "The pieces"
#pragma once

#include <anabranch/limits.hpp>
#include <optional>
#include <string_view>

#include "codec/archive.hpp"
#include "store/walk.hpp"

namespace anabranch::detail {

/// What is sent in one piece: about so many bytes, or one row.
inline constexpr std::size_t largest_piece = limits::frame;
/// What an item, a row or anything else in a piece counts for at least, however short it is.
inline constexpr std::size_t least_entry = 8;
/// So there are no more of them. Each holds two strings at most.
inline constexpr std::size_t most_piece_strings = 2 * (largest_piece / least_entry + 2);
/// Paths of items that are asked for; none is shorter than three bytes.
inline constexpr std::size_t most_request_strings = most_touched / 3 + limits::depth + 2 + limits::part_paths;
/// How often the rows and requests of a piece name replicas: once in two bytes, but for one row, which may be larger.
inline constexpr std::size_t most_names = 2 * 1024 * 1024;

/// Takes no more than so many strings: each takes its place in memory, and those that are empty hardly any bytes.
class walk_input final : public codec::basic_input<walk_input> {
  public:
    walk_input(std::string_view in, std::size_t most_strings) : basic_input(in), left_(most_strings) {}

    std::string_view bytes() {
        if (left_ == 0) fail();
        else --left_;
        return basic_input::bytes();
    }

  private:
    std::size_t left_;
};

/// Nothing where the bytes are not exactly one of them, or hold more than an honest peer sends.
template <class T>
std::optional<T> decode_walk(std::string_view bytes, std::size_t most_strings) {
    std::optional<T> value(std::in_place);
    walk_input in(bytes, most_strings);
    in(*value);
    if (!in.complete()) value.reset();
    return value;
}

}  // namespace anabranch::detail
