// One open store: its engine, identity, clock and buckets.
#pragma once

#include <anabranch/store.hpp>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <shared_mutex>

#include "causality/hybrid_clock.hpp"
#include "causality/origin_table.hpp"
#include "storage/engine.hpp"
#include "store/bucket_state.hpp"
#include "store/host_token.hpp"

namespace anabranch::detail {

/// Thread-safe. Locks are taken in this order: a bucket's, then the store's.
class store_state : public std::enable_shared_from_this<store_state> {
  public:
    /// `host` may be nullptr: then a copy of the data is not recognised here.
    static result<std::shared_ptr<store_state>> open(std::unique_ptr<storage::engine> engine, std::unique_ptr<storage::host_files> host,
                                                     store_options options);
    ~store_state();

    /// The bucket, created where there is none; only what is `below`, if that says anything. Keeps the store open.
    result<std::shared_ptr<bucket_state>> bucket(std::string_view name, participation as, std::optional<part> below);
    /// nullptr where there is none.
    std::shared_ptr<bucket_state> find_bucket(std::string_view name);
    std::vector<std::string> bucket_names() const;

    storage::engine& engine() { return *engine_; }
    origin_table& origins() { return origins_; }
    hybrid_clock& clock() { return clock_; }
    const store_options& options() const { return options_; }
    /// Who commits here now.
    struct incarnation {
        origin number;
        replica_id id;
    };
    const incarnation& self() const { return *self_.load(); }

    /// By chance, for as long as it is open: what somebody remembers of it means something to this one only.
    std::uint64_t opening() const { return opening_; }

    /// Timestamps above this are too far in the future to be taken.
    timestamp horizon() const;
    result<void> accept_until(timestamp at);

    /// Adds what must be on disk before a record that mentions replicas which this store has not met before.
    void persist_origins(storage::batch& batch) const;
    /// The same at once, for numbers that are about to be written without a record.
    result<void> persist_origins();
    /// That batch is written.
    void origins_persisted(std::size_t count);
    /// A peer knows more of this replica than it does itself: from now on it commits as a new incarnation.
    /// Adds that to `batch`; take_incarnation() once it is written.
    origin next_incarnation(storage::batch& batch);
    void take_incarnation(origin next);

    /// Called after every write to the log, and whenever durable progress may have changed; outside all locks.
    std::uint64_t subscribe(std::function<void()> woken);
    void unsubscribe(std::uint64_t subscription);
    void notify() const;

    /// Something was written to the log, and is not on disk yet.
    void wrote() { written_.fetch_add(1); }
    bool has_undurable() const { return synced_.load() != written_.load(); }
    /// Does what members have to do for each other, if there is anything; then waits until everything written before is
    /// on disk. Callers share one sync of the engine.
    result<void> sync();
    bool has_duties() const;
    result<void> backup(const std::filesystem::path& to);

  private:
    /// What there is of this replica's identity beside the data.
    struct kept_identity {
        std::optional<replica_id> id;
        std::optional<host_entry> host;
        bool is_restored = false;  ///< from a backup, and not opened since
    };

    store_state(std::unique_ptr<storage::engine> engine, std::unique_ptr<storage::host_files> host, store_options options);
    result<void> load();
    result<void> take_identity(const kept_identity& kept);
    result<void> add_bucket(std::string name, store_keys::bucket_number number, participation as);
    result<void> sync_log();
    result<std::uint64_t> sync_engine();

    std::unique_ptr<storage::engine> engine_;
    std::optional<host_token> host_;
    store_options options_;
    origin_table origins_;
    hybrid_clock clock_;
    std::uint64_t opening_ = 0;
    std::deque<incarnation> incarnations_;  // they stay where they are; under identity_mutex_
    std::atomic<const incarnation*> self_ = nullptr;
    std::atomic<std::size_t> persisted_origins_ = 0;
    std::atomic<std::uint64_t> accepted_ = 0;
    std::mutex identity_mutex_;

    mutable std::shared_mutex buckets_mutex_;
    std::map<std::string, std::unique_ptr<bucket_state>, std::less<>> buckets_;
    std::uint32_t next_bucket_ = 0;  // never one that a name has, or had, even if opening that bucket failed

    mutable std::shared_mutex subscribers_mutex_;
    std::map<std::uint64_t, std::function<void()>> subscribers_;
    std::atomic<bool> has_subscribers_ = false;  // every commit asks
    std::uint64_t next_subscription_ = 1;

    std::atomic<std::uint64_t> written_ = 0;
    std::atomic<std::uint64_t> synced_ = 0;
    std::mutex sync_mutex_;
    std::condition_variable sync_done_;
    bool syncing_ = false;

    std::mutex backup_mutex_;
};

}  // namespace anabranch::detail
