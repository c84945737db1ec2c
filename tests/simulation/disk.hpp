// A disk of a simulated replica: what is written survives the process, what is synced survives the loss of
// power.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>

#include "simulation/random.hpp"
#include "storage/engine.hpp"
#include "store/keys.hpp"
#include "support/crashable_engine.hpp"

namespace anabranch::simulation {

/// What a write or sync does when it is reached.
enum class fate { done, dies_before, dies_after };

/// Engines that it opens are the process's hold on it: once that has died they fail, and nothing that a
/// destructor still tries to write arrives.
class disk {
  public:
    /// Asked before every write and sync.
    using fate_source = std::function<fate()>;

    /// In memory, or on RocksDB in a directory. That one cannot lose power.
    explicit disk(fate_source fates)
        : fates_(std::move(fates)), simulated_(std::make_shared<test::simulated_disk>()) {}
    disk(fate_source fates, std::shared_ptr<test::simulated_disk> holding)
        : fates_(std::move(fates)), simulated_(std::move(holding)) {}
    disk(fate_source fates, std::filesystem::path directory)
        : fates_(std::move(fates)), directory_(std::move(directory)) {}

    /// For one process, after the one before has ended.
    result<std::unique_ptr<storage::engine>> open();
    /// What is on it now. In memory only.
    std::shared_ptr<test::simulated_disk> copy() const { return simulated_->copy(); }
    void kill() { *alive_ = false; }
    /// Lets go of the engine. The process that had it open has been destroyed.
    void close() { engine_.reset(); }
    bool is_dead() const { return !*alive_; }
    /// The process that had it open has been destroyed. A random prefix of the writes since the last sync
    /// survives; returns how many do not.
    std::size_t lose_power(random_source& chance);

    void set_full(bool full) {
        is_full_ = full;
        fills_in_.reset();
    }
    /// It is full after that many writes.
    void fill_after(std::size_t writes) { fills_in_ = writes; }
    bool is_full() const { return is_full_; }
    bool is_filling() const { return fills_in_.has_value(); }

    /// Writes so far that survived; how many of them are on disk for certain; the last that held a log
    /// record.
    std::size_t writes() const { return writes_; }
    std::size_t synced() const { return synced_; }
    std::size_t last_log_write() const { return last_log_write_; }
    std::size_t row_writes() const { return row_writes_; }
    std::size_t log_cuts() const { return log_cuts_; }
    std::size_t watermarks() const { return watermarks_; }
    std::size_t rows_pruned() const { return rows_pruned_; }
    /// How often a state has begun to enter the bucket of that number.
    std::size_t states_entered(store_keys::bucket_number bucket) const;
    /// Of them, those that brought only what had changed; and how often one went on where it had broken off.
    std::size_t states_in_part() const { return states_in_part_; }
    std::size_t states_gone_on() const { return states_gone_on_; }

  private:
    class handle;

    result<void> write(const storage::batch& changes);
    result<void> sync();

    fate_source fates_;
    std::filesystem::path directory_;
    std::shared_ptr<test::simulated_disk> simulated_;
    std::shared_ptr<storage::engine> engine_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(false);
    bool is_full_ = false;
    std::optional<std::size_t> fills_in_;
    std::size_t writes_ = 0;
    std::size_t synced_ = 0;
    std::size_t last_log_write_ = 0;
    std::size_t row_writes_ = 0;
    std::size_t log_cuts_ = 0;
    std::size_t watermarks_ = 0;
    std::size_t rows_pruned_ = 0;
    std::map<std::string, std::size_t, std::less<>> states_entered_;  // by key
    std::size_t states_in_part_ = 0;
    std::size_t states_gone_on_ = 0;
};

}  // namespace anabranch::simulation
