// The store: one replica of any number of buckets, on RocksDB or in memory.
#pragma once

#include <anabranch/environment.hpp>
#include <anabranch/ids.hpp>
#include <anabranch/result.hpp>
#include <anabranch/transaction.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace anabranch {

namespace storage {
class engine;
}
namespace detail {
class bucket_state;
class store_state;
class snapshot_access;
}  // namespace detail

/// What a commit waits for. Either way nothing is sent to a peer before it is on disk.
enum class durability {
    os,    ///< handed to the operating system: survives the death of the process
    disk,  ///< on disk: survives the loss of power. Commits of several threads share one sync.
};

struct store_options {
    environment env = environment::system();
    /// A transaction of another replica whose timestamp is further ahead of this clock is held until
    /// the clock gets there or accept_until() is called. Raise it where clocks are known to be poor.
    std::chrono::milliseconds max_clock_drift{60'000};
    /// Bytes of changed rows that may wait in memory, per bucket, before they are written behind the log.
    /// Bounds what is replayed after a crash. Larger: fewer writes of hot rows.
    std::size_t write_behind_bytes = 8 * 1024 * 1024;
};

/// A consistent state of one bucket that stays as it is. Movable; reads from any one thread at a time.
/// Keeps its bucket's store alive. Holding one for long keeps superseded row versions on disk.
class snapshot : public map_view {
  public:
    explicit snapshot(std::unique_ptr<detail::snapshot_access> access);
    snapshot(snapshot&&) noexcept;
    snapshot& operator=(snapshot&&) noexcept;
    ~snapshot();

  private:
    std::unique_ptr<detail::snapshot_access> access_;
};

/// The unit of replication, causality and atomicity: a map, replicated under its name. A cheap handle;
/// all of it may be used from several threads at once.
class bucket {
  public:
    explicit bucket(std::shared_ptr<detail::bucket_state> state) : state_(std::move(state)) {}

    const std::string& name() const;

    /// Runs `fn(transaction&)` and commits what it did as one atomic transaction. `fn` returns nothing, a
    /// value, or a result; an error from it, or from any of its writes, commits nothing. Transactions of
    /// a bucket are serialisable: one runs at a time, so keep closures short and do no IO in them.
    /// A transaction without changes leaves no trace.
    template <class Function>
    auto commit(Function&& fn, durability wait_for = durability::os) {
        using returned = std::invoke_result_t<Function, transaction&>;
        using outcome = typename as_result<returned>::type;
        outcome value = fail(errc::closed, "the transaction did not run");
        result<void> committed = commit_erased(
            [&](transaction& tx) -> result<void> {
                value = invoke<outcome>(fn, tx);
                if (!value) return fail(value.error());
                return {};
            },
            wait_for);
        if (!committed) value = fail(std::move(committed.error()));
        return value;
    }

    /// Runs `fn(const map_view&)` on the latest state, which does not change meanwhile. Cheaper than a
    /// snapshot for a few reads; keeps writers of this bucket waiting.
    template <class Function>
    auto read(Function&& fn) const {
        using returned = std::invoke_result_t<Function, const map_view&>;
        using outcome = typename as_result<returned>::type;
        outcome value = fail(errc::closed, "the read did not run");
        result<void> done = read_erased([&](const map_view& view) { value = invoke<outcome>(fn, view); });
        if (!done) value = fail(std::move(done.error()));
        return value;
    }

    result<anabranch::snapshot> snapshot() const;

    /// What this replica has of the bucket, per origin.
    frontier progress() const;
    /// The part of progress() that is on disk: all that peers are ever told about.
    frontier durable_progress() const;

    /// A fingerprint of the whole state, equal on two replicas iff they hold the same state (up to 2^-64
    /// chance); independent of the order of arrival. Scans: O(rows).
    result<hash128> digest() const;

    const std::shared_ptr<detail::bucket_state>& state() const { return state_; }

  private:
    template <class T>
    struct as_result {
        using type = result<T>;
    };
    template <class T>
    struct as_result<result<T>> {
        using type = result<T>;
    };
    template <class Outcome, class Function, class Argument>
    static Outcome invoke(Function& fn, Argument& argument) {
        if constexpr (std::is_void_v<std::invoke_result_t<Function&, Argument&>>) {
            fn(argument);
            return {};
        } else {
            return fn(argument);
        }
    }
    result<void> commit_erased(const std::function<result<void>(transaction&)>& fn, durability wait_for);
    result<void> read_erased(const std::function<void(const map_view&)>& fn) const;

    std::shared_ptr<detail::bucket_state> state_;
};

/// One replica. A cheap handle, copied freely; the last one closes the store. Thread-safe.
class store {
  public:
    /// Opens the directory, creating it where there is none. errc::locked, foreign_directory,
    /// newer_format, corrupt, storage_failure say what stands in the way.
    static result<store> open(const std::filesystem::path& directory, store_options options = {});
    /// Keeps everything in memory, for tests and caches. Otherwise the same.
    static result<store> in_memory(store_options options = {});
    /// On a storage engine of one's own.
    static result<store> on(std::unique_ptr<storage::engine> engine, store_options options = {});

    /// The bucket of that name, created where there is none.
    result<anabranch::bucket> bucket(std::string_view name);
    /// Names of the buckets here, sorted.
    std::vector<std::string> buckets() const;

    /// This replica, as others see it. The incarnation may rise while it runs.
    replica_id id() const;

    /// Waits until everything committed before the call is on disk.
    result<void> sync();

    /// Takes transactions with timestamps up to `at` (and max_clock_drift beyond) however far ahead of
    /// this clock they are: the operator's answer to held transactions. Persisted.
    result<void> accept_until(timestamp at);

    const std::shared_ptr<detail::store_state>& state() const { return state_; }

  private:
    explicit store(std::shared_ptr<detail::store_state> state) : state_(std::move(state)) {}
    std::shared_ptr<detail::store_state> state_;
};

}  // namespace anabranch
