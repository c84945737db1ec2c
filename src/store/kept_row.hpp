// A row in memory: its path and its encoding in one allocation.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory_resource>
#include <new>
#include <string_view>

namespace anabranch::detail {

/// Rows are read and changed far less often than they lie in memory: encoded, most of them are a tenth as large as decoded ones.
class kept_row {
  public:
    /// Lives as long as the memory does.
    static kept_row* make(std::pmr::memory_resource& memory, std::string_view path, std::string_view encoded) {
        // Room to grow: sums and sequences get longer.
        const auto room = static_cast<std::uint32_t>(std::max<std::size_t>(least_room, (encoded.size() + 15) / 8 * 8));
        void* place = memory.allocate(sizeof(kept_row) + path.size() + room, alignof(kept_row));
        auto* made = new (place) kept_row(static_cast<std::uint32_t>(path.size()), room);
        path.copy(made->bytes(), path.size());
        made->set(encoded);
        return made;
    }

    std::string_view path() const { return {bytes(), path_size_}; }
    /// Empty where the row holds nothing.
    std::string_view encoded() const { return {bytes() + path_size_, size_}; }
    /// False, and nothing changed, where it does not fit.
    bool set(std::string_view encoded) {
        if (encoded.size() > room_) return false;
        encoded.copy(bytes() + path_size_, encoded.size());
        size_ = static_cast<std::uint32_t>(encoded.size());
        return true;
    }
    /// What it takes of memory.
    std::size_t footprint() const { return sizeof(kept_row) + path_size_ + room_; }

    /// Its place among the changed rows; `unchanged` where it is not one of them.
    static constexpr std::uint32_t unchanged = UINT32_MAX;
    std::uint32_t place_among_changed = unchanged;

  private:
    static constexpr std::size_t least_room = 24;  // most rows of two replicas

    kept_row(std::uint32_t path_size, std::uint32_t room) : path_size_(path_size), room_(room) {}
    char* bytes() { return reinterpret_cast<char*>(this + 1); }
    const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }

    std::uint32_t path_size_;
    std::uint32_t room_;
    std::uint32_t size_ = 0;
};

}  // namespace anabranch::detail
