// What the store's tests open stores with: a clock that stands still, identities that repeat, engines that
// count and fail, directories that go away.
#pragma once

#include <anabranch/store.hpp>
#include <atomic>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "oplog/chunk.hpp"
#include "storage/engine.hpp"

namespace anabranch::test {

struct world {
    std::atomic<std::int64_t> now_ms = 1'700'000'000'000;
    std::atomic<std::uint64_t> randomness = 0;
};

/// Stores of one world share its clock; no two of them get the same identity.
inline store_options options(const std::shared_ptr<world>& w) {
    store_options o;
    o.env.now = [w] { return std::chrono::milliseconds{w->now_ms.load()}; };
    o.env.random = [w] { return ++w->randomness * 0x9e37'79b9'7f4a'7c15; };
    return o;
}
inline store memory_store(const std::shared_ptr<world>& w = std::make_shared<world>()) {
    return store::in_memory(options(w)).value();
}

/// To the counter "c"; nothing where it could be committed.
errc add(bucket at, std::int64_t amount = 1);
/// What it says.
std::int64_t count(const bucket& at);

/// Everything that `to` lacks of `from`'s durable transactions.
result<oplog::applied> transfer(const bucket& from, const bucket& to);
/// The founder creates the bucket and lets the others in: one transaction of it each. All may write then.
void share(store& founder, std::initializer_list<store*> others, std::string_view bucket = "b");
/// Both ways, with a sync to disk before.
void exchange(store& a, store& b, std::string_view bucket = "b");

/// `to` hears what `from` has on disk, by whatever way.
void advertise(const store& from, const store& to, std::string_view bucket = "b");
/// Everybody exchanges everything with everybody, and tells what it has, until nobody has anything left to do.
void meet(std::initializer_list<store*> all, std::string_view bucket = "b");

/// How the sessions of two stores ended; nothing where they would have gone on.
struct ending {
    std::optional<error> one;
    std::optional<error> other;
    std::uint64_t bytes = 0;  ///< both ways
};
/// A session between two stores, until they have been silent for some seconds of its clock.
ending talk(const store& one, const store& other);

/// All that the feed has to tell now.
std::vector<feed_step> pull_all(feed& f);

/// Keys that a store has in its engine.
std::size_t log_keys(const store& s);
std::size_t row_keys(const store& s);
std::size_t leftover_keys(const store& s);

class temp_directory {
  public:
    temp_directory();
    ~temp_directory();
    temp_directory(const temp_directory&) = delete;
    temp_directory& operator=(const temp_directory&) = delete;
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

struct engine_use {
    std::atomic<std::size_t> gets = 0;
    std::atomic<std::size_t> scans = 0;
    std::atomic<std::size_t> steps = 0;  ///< of cursors
    std::atomic<std::size_t> writes = 0;
    std::atomic<std::size_t> changes = 0;
    std::atomic<std::size_t> log_bytes = 0;
    std::atomic<std::size_t> syncs = 0;
    std::function<void()> on_scan;  ///< before each
    std::atomic<bool> is_full = false;  ///< writes and syncs fail
    std::atomic<std::size_t> writes_left = SIZE_MAX;  ///< after so many writes fail

    void clear() { gets = scans = steps = writes = changes = log_bytes = syncs = 0; }
    std::size_t operations() const { return gets + scans + steps + writes + changes; }
};

std::unique_ptr<storage::engine> watched_engine(std::shared_ptr<engine_use> use, std::unique_ptr<storage::engine> engine = nullptr);

}  // namespace anabranch::test
