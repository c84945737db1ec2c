// A storage engine on a simulated disk: for tests that lose power, kill processes and let the disk fail.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "storage/engine.hpp"

namespace anabranch::test {

/// What outlives the process that wrote it. It goes as far as the port allows: without sync() nothing is safe
/// from a loss of power, however often the disk was opened and closed in between.
///
///     const auto disk = std::make_shared<simulated_disk>();
///     auto engine = crashable_engine::open(disk).value();
///     ... write, sync, write ...
///     engine.reset();                       // the process ends; killed or not makes no difference
///     disk->lose_power(disk->pending() / 2);
///     engine = crashable_engine::open(disk).value();
///
/// Functions may be called from any thread.
class simulated_disk {
  public:
    simulated_disk();

    /// As it is now, as if all of it were on disk.
    std::shared_ptr<simulated_disk> copy() const;

    /// Batches written and not synced: what the next loss of power may take.
    std::size_t pending() const;

    /// The first `survivors` of the pending batches reach the disk, the others are gone. Only while no engine
    /// is open on the disk.
    void lose_power(std::size_t survivors);

    /// The write() after the next `after` ones fails and changes nothing. As with RocksDB, storage_full
    /// passes, and any other failure lasts (for writes and syncs, not for reads) until the disk is opened
    /// again.
    void fail_write(errc code, std::size_t after = 0);

    /// The sync() after the next `after` ones fails with storage_failure, and so does every write and sync
    /// behind it until the disk is opened again.
    void fail_sync(std::size_t after = 0);

  private:
    friend class crashable_engine;

    struct fault {
        errc code;
        std::size_t after;
    };
    /// Whether it is the turn of `armed`, which is then disarmed.
    static std::optional<errc> due(std::optional<fault>& armed);

    mutable std::mutex mutex_;
    std::unique_ptr<storage::engine> durable_;
    std::unique_ptr<storage::engine> live_;  ///< `durable_` and all `pending_`
    std::vector<storage::batch> pending_;
    std::optional<fault> write_fault_;
    std::optional<fault> sync_fault_;
    bool broken_ = false;
    bool open_ = false;
};

/// Reads and writes a simulated disk, which it keeps alive.
class crashable_engine final : public storage::engine {
  public:
    /// errc::locked while another engine has the disk open.
    static result<std::unique_ptr<storage::engine>> open(const std::shared_ptr<simulated_disk>& disk);

    ~crashable_engine() override;
    crashable_engine(const crashable_engine&) = delete;
    crashable_engine& operator=(const crashable_engine&) = delete;

    result<std::optional<std::string>> get(storage::space where, std::string_view key,
                                           const storage::snapshot* at) const override;
    std::unique_ptr<storage::cursor> scan(storage::space where, std::string_view from,
                                          const storage::snapshot* at) const override;
    result<std::optional<std::pair<std::string, std::string>>> last(storage::space where,
                                                                    std::string_view key) const override;
    std::unique_ptr<storage::snapshot> take_snapshot() const override;
    result<void> write(const storage::batch& changes) override;
    result<void> sync() override;

  private:
    explicit crashable_engine(std::shared_ptr<simulated_disk> disk);

    const std::shared_ptr<simulated_disk> disk_;
    storage::engine& live_;  ///< stays the same while the disk is open
};

}  // namespace anabranch::test
