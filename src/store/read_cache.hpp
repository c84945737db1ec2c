// Rows that are read and not written.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace anabranch::detail {

/// Encoded rows by path: a few of those that were read last, so that what is read again and again costs the same however
/// much there is beside it. Thread-safe; whoever changes a row forgets it here, while nobody reads it from the engine.
class read_cache {
  public:
    std::optional<std::string> find(std::string_view path) const {
        const std::lock_guard lock(mutex_);
        const auto it = rows_.find(path);
        return it == rows_.end() ? std::nullopt : std::optional(it->second);
    }
    void keep(std::string_view path, std::string_view encoded) {
        const auto bytes = footprint(path, encoded);
        if (bytes > budget / 16) return;
        const std::lock_guard lock(mutex_);
        if (bytes_ + bytes > budget) {
            rows_.clear();
            bytes_ = 0;
        }
        if (rows_.try_emplace(std::string(path), encoded).second) bytes_ += bytes;
    }
    void clear() {
        const std::lock_guard lock(mutex_);
        rows_.clear();
        bytes_ = 0;
    }
    void forget(std::string_view path) {
        const std::lock_guard lock(mutex_);
        const auto it = rows_.find(path);
        if (it == rows_.end()) return;
        bytes_ -= footprint(path, it->second);
        rows_.erase(it);
    }

  private:
    static constexpr std::size_t budget = 256 * 1024;

    static std::size_t footprint(std::string_view path, std::string_view encoded) {
        return path.size() + encoded.size() + sizeof(std::pair<std::string, std::string>);
    }

    struct hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
    };

    mutable std::mutex mutex_;
    boost::unordered_flat_map<std::string, std::string, hash, std::equal_to<>> rows_;
    std::size_t bytes_ = 0;
};

}  // namespace anabranch::detail
