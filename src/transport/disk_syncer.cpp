#include "transport/disk_syncer.hpp"

namespace anabranch::transport {

disk_syncer::disk_syncer(store local, std::function<void(round, result<void>)> synced)
    : store_(std::move(local)), synced_(std::move(synced)) {}

void disk_syncer::start() {
    thread_ = std::thread([this] { run(); });
}

void disk_syncer::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopped_ = true;
    }
    due_or_stopped_.notify_one();
    if (thread_.joinable()) thread_.join();
}

void disk_syncer::request() {
    // The store tells its subscribers of its syncs too; this one's effects are dealt with in this round
    // anyway.
    if (std::this_thread::get_id() == own_thread_.load(std::memory_order_relaxed)) return;
    auto now = stage_.load();
    while (now != stage::busy_and_requested) {
        const bool is_first = now == stage::idle;
        if (!stage_.compare_exchange_weak(now, is_first ? stage::busy : stage::busy_and_requested)) continue;
        if (is_first) begin_round();
        return;
    }
}

void disk_syncer::round_done() {
    auto expected = stage::busy;
    if (stage_.compare_exchange_strong(expected, stage::idle)) return;
    stage_.store(stage::busy);
    begin_round();
}

void disk_syncer::begin_round() {
    {
        const std::lock_guard lock(mutex_);
        due_ = true;
    }
    due_or_stopped_.notify_one();
}

void disk_syncer::run() {
    own_thread_ = std::this_thread::get_id();
    std::unique_lock lock(mutex_);
    for (;;) {
        due_or_stopped_.wait(lock, [this] { return due_ || stopped_; });
        if (stopped_) return;
        due_ = false;
        lock.unlock();
        const round number = ++latest_;
        synced_(number, store_.sync());
        lock.lock();
    }
}

}  // namespace anabranch::transport
