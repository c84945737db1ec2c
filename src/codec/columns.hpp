// Many alike structures column by column: the same field of all of them stands together, which compresses far
// better than one structure after the other. docs/encoding.md has the format.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/archive.hpp"

namespace anabranch::codec {

/// A column that is written, and those of the fields inside its structures.
class written_column {
  public:
    void number(std::uint64_t v) {
        low_.push_back(static_cast<std::uint32_t>(v));
        if (v >> 32 == 0) return;
        high_.resize(low_.size());
        high_.back() = static_cast<std::uint32_t>(v >> 32);
    }
    void bytes(std::string_view v) {
        number(v.size());
        bytes_ += v;
    }
    written_column& field(std::size_t place) {
        while (fields_.size() <= place) fields_.emplace_back();
        return fields_[place];
    }
    /// Itself, then its fields. Numbers stand in planes: the least bytes of all of them, then the next.
    void append_to(output& out) const;

  private:
    bool are_all_equal() const;

    std::vector<std::uint32_t> low_;
    std::vector<std::uint32_t> high_;  // as far as there is a number that needs it: hardly any does
    std::string bytes_;
    std::deque<written_column> fields_;  // they stay where they are
};

/// A column that is read from bytes that it does not own. After the last value it says that there is none.
class read_column {
  public:
    void load(input& in);
    std::optional<std::uint64_t> number();
    std::optional<std::string_view> bytes();
    /// One without values where nothing was written.
    read_column& field(std::size_t place) { return place < fields_.size() ? fields_[place] : empty(); }
    /// Everything has been read, here and in the fields, but for those of its own whose place's bit is set.
    bool is_complete(std::uint64_t but = 0) const;

  private:
    void load(input& in, int depth, std::size_t& left);
    static read_column& empty();

    std::string_view planes_;
    std::uint64_t count_ = 0;
    std::uint64_t stride_ = 0;  ///< from one plane to the next: 1 where all numbers are the same
    std::uint64_t next_ = 0;
    unsigned width_ = 0;
    std::string_view bytes_;
    std::vector<read_column> fields_;
};

}  // namespace anabranch::codec
