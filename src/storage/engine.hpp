// The port to a storage engine: ordered byte strings in three spaces, atomic batches, snapshots.
#pragma once

#include <anabranch/result.hpp>
#include <boost/container/small_vector.hpp>
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace anabranch::storage {

/// Kept apart because they are used differently: `meta` is tiny, `rows` is read at random and
/// overwritten, `log` is appended and cut. One batch may span all of them.
enum class space : std::uint8_t { meta, rows, log };
inline constexpr std::size_t space_count = 3;

/// Changes that happen together or not at all, in order.
class batch {
  public:
    enum class kind : std::uint8_t { put, erase, erase_range };
    struct change {
        kind what;
        space where;
        std::string key;
        std::string value;  ///< for erase_range: the end, exclusive
    };

    void put(space where, std::string key, std::string value) {
        add({kind::put, where, std::move(key), std::move(value)});
    }
    void erase(space where, std::string key) { add({kind::erase, where, std::move(key), {}}); }
    /// Every key in [from, to); none where `to` is not greater.
    void erase_range(space where, std::string from, std::string to) {
        add({kind::erase_range, where, std::move(from), std::move(to)});
    }

    /// All of the other's changes after these.
    void append(batch&& more) {
        bytes_ += more.bytes_;
        std::move(more.changes_.begin(), more.changes_.end(), std::back_inserter(changes_));
        more.clear();
    }

    using list = boost::container::small_vector<change, 1>;  // mostly one record for the log
    const list& changes() const { return changes_; }
    list& changes() { return changes_; }
    bool empty() const { return changes_.empty(); }
    /// Bytes of all keys and values.
    std::size_t bytes() const { return bytes_; }
    void clear() {
        changes_.clear();
        bytes_ = 0;
    }

  private:
    void add(change c) {
        bytes_ += c.key.size() + c.value.size();
        changes_.push_back(std::move(c));
    }

    list changes_;
    std::size_t bytes_ = 0;
};

/// What an engine held at one moment. Must not outlive the engine.
class snapshot {
  public:
    virtual ~snapshot() = default;
};

/// Walks keys upwards. Must not outlive its snapshot or engine. The views are valid until the next call. One thread at a time.
class cursor {
  public:
    virtual ~cursor() = default;
    virtual bool valid() const = 0;
    virtual std::string_view key() const = 0;
    virtual std::string_view value() const = 0;
    virtual void next() = 0;
    /// To the first key >= `key`.
    virtual void seek(std::string_view key) = 0;
    /// An error ends a walk early: look here once it is no longer valid.
    virtual result<void> status() const = 0;
};

/// All members may be called from several threads at once. After errc::storage_full a write may be tried again;
/// after any other failure of a write or sync both fail until the store is opened anew, and reads go on.
class engine {
  public:
    virtual ~engine() = default;

    virtual result<std::optional<std::string>> get(space where, std::string_view key,
                                                   const snapshot* at = nullptr) const = 0;
    /// A cursor at the first key >= `from`, over the state at `at`, or at the time of the call.
    virtual std::unique_ptr<cursor> scan(space where, std::string_view from, const snapshot* at = nullptr) const = 0;
    /// The entry with the greatest key <= `key`.
    virtual result<std::optional<std::pair<std::string, std::string>>> last(space where,
                                                                            std::string_view key) const = 0;
    virtual std::unique_ptr<snapshot> take_snapshot() const = 0;

    /// Applies the batch atomically. On return it survives the death of the process, and whatever of
    /// several batches survives a loss of power is a prefix of them in the order of the writes.
    virtual result<void> write(const batch& changes) = 0;
    /// On return everything written before the call survives a loss of power.
    virtual result<void> sync() = 0;

    /// Makes a new directory of what there is at one moment during the call, and writes go on; one call at a time. What is in it
    /// is on disk here, too. errc::invalid_argument: `to` exists, or this engine keeps no files.
    virtual result<void> backup(const std::filesystem::path& to) {
        return fail(errc::invalid_argument, to.string() + ": what is not kept in files has no backup");
    }
};

/// Writes the batch, and empties it, where it holds that many bytes: for what need not be written as one.
inline result<void> write_if_large(engine& to, batch& changes, std::size_t least_bytes = 1024 * 1024) {
    if (changes.bytes() < least_bytes) return {};
    auto written = to.write(changes);
    changes.clear();
    return written;
}

}  // namespace anabranch::storage
