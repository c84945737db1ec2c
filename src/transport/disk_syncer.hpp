// Syncs the store to disk for all sessions at once, off the thread that serves them.
#pragma once

#include <anabranch/store.hpp>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace anabranch::transport {

/// Works in rounds, numbered from 1: one store::sync(), then `synced` is told, and the round is over when
/// round_done() is called. However many requests arrive during a round, one more round follows: under load
/// the commits of a whole round share one sync, one wake-up and one packet a peer. Thread-safe.
class disk_syncer {
  public:
    using round = std::uint64_t;

    /// `synced` is called on the syncer's thread.
    disk_syncer(store local, std::function<void(round, result<void>)> synced);
    ~disk_syncer() { stop(); }
    disk_syncer(const disk_syncer&) = delete;
    disk_syncer& operator=(const disk_syncer&) = delete;

    /// May throw std::system_error, where there are no more threads.
    void start();
    /// Waits for a sync under way. Idempotent; called by one thread at a time, not by `synced`.
    void stop();

    /// A round from now on. Cheap while one is under way, and from inside the syncer's own call of
    /// store::sync().
    void request();
    void round_done();
    /// The latest round whose sync may have begun: what has been committed so far is on disk after any later
    /// one.
    round latest() const { return latest_; }

  private:
    enum class stage { idle, busy, busy_and_requested };

    void begin_round();
    void run();

    store store_;
    std::function<void(round, result<void>)> synced_;
    std::atomic<stage> stage_ = stage::idle;
    std::atomic<round> latest_ = 0;
    std::atomic<std::thread::id> own_thread_{};
    std::mutex mutex_;
    std::condition_variable due_or_stopped_;
    bool due_ = false;      // guarded by mutex_
    bool stopped_ = false;  // guarded by mutex_
    std::thread thread_;
};

}  // namespace anabranch::transport
