#include "storage/rocksdb/rocksdb_engine.hpp"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/perf_level.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <mutex>
#include <system_error>

#include "storage/rocksdb/directory.hpp"
#include "storage/rocksdb/mapped_log.hpp"

namespace anabranch::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, space_count> family_names = {"default", "rows", "log"};

constexpr std::size_t mebibyte = std::size_t{1} << 20;
constexpr std::size_t largest_kept_batch = mebibyte / 16;

std::size_t index(space where) { return static_cast<std::size_t>(where); }
rocksdb::Slice slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view view(const rocksdb::Slice& bytes) { return {bytes.data(), bytes.size()}; }

// ---- errors

bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

tl::unexpected<error> failure(const fs::path& directory, const rocksdb::Status& status) {
    errc code = errc::storage_failure;
    if (status.IsNoSpace()) code = errc::storage_full;
    if (status.IsCorruption()) code = errc::corrupt;
    return fail(code, directory.string() + ": " + status.ToString());
}

/// RocksDB tells some causes apart only in its messages.
tl::unexpected<error> open_failure(const fs::path& directory, const rocksdb::Status& status) {
    const std::string text = status.ToString();
    if (status.IsIOError() && (contains(text, "lock hold by") || contains(text, "While lock file"))) {
        return fail(errc::locked, directory.string() + " is open already: " + text);
    }
    if (status.IsNotSupported() || contains(text, "newer version of RocksDB") ||
        (status.IsInvalidArgument() && contains(text, "Column families not opened"))) {
        return fail(errc::newer_format, directory.string() + ": " + text);
    }
    return failure(directory, status);
}

// ---- options

rocksdb::CompressionType best_supported(std::initializer_list<rocksdb::CompressionType> wanted) {
    const auto supported = rocksdb::GetSupportedCompressions();
    for (const auto type : wanted) {
        if (std::find(supported.begin(), supported.end(), type) != supported.end()) return type;
    }
    return rocksdb::kNoCompression;
}

/// Remembers that a write or sync of RocksDB's log failed. What follows a torn record is lost at the next
/// open, and after a failed fsync the kernel may have dropped what it was to write, so that log must not be
/// written on. RocksDB 7.8 would recover from a full disk by itself, but when its memtables are empty it goes
/// on in the torn log, where its next write stops the process by an assertion.
class log_watch final : public rocksdb::EventListener {
  public:
    const char* Name() const override { return "anabranch::log_watch"; }

    void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* status) override {
        if (!concerns_log(reason, *status)) return;
        const std::lock_guard lock(mutex_);
        if (first_.ok()) first_ = *status;
        failed_.store(true, std::memory_order_release);
    }
    void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason reason, rocksdb::Status status,
                              bool* recover) override {
        if (concerns_log(reason, status)) *recover = false;
    }

    bool failed() const { return failed_.load(std::memory_order_acquire); }
    rocksdb::Status first() const {
        const std::lock_guard lock(mutex_);
        return first_;
    }

  private:
    static bool concerns_log(rocksdb::BackgroundErrorReason reason, const rocksdb::Status& status) {
        switch (reason) {
            case rocksdb::BackgroundErrorReason::kWriteCallback:
            case rocksdb::BackgroundErrorReason::kMemTable:
                return true;
            // A flush syncs closed logs first. Only its lack of space is surely about a table.
            case rocksdb::BackgroundErrorReason::kFlush:
                return !status.IsNoSpace();
            default:
                return false;
        }
    }

    std::atomic<bool> failed_{false};
    mutable std::mutex mutex_;
    rocksdb::Status first_;
};

rocksdb::DBOptions database_options() {
    rocksdb::DBOptions options;
    options.create_if_missing = true;
    options.create_missing_column_families = true;
    // What survives a loss of power is a prefix of the writes: replay ends at the first damaged record. The
    // families share the log, and RocksDB syncs a closed log before it flushes any of them to tables; so they
    // stay in step without atomic_flush.
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
    // The log of a killed process is on disk only when it was flushed to tables: SyncWAL() does not reach
    // logs of earlier processes.
    options.avoid_flush_during_recovery = false;
    // All write buffers. The few bytes of the smallest family would keep the log of all for much longer.
    options.max_total_wal_size = 8 * mebibyte;
    options.max_open_files = 256;
    options.skip_stats_update_on_db_open = true;
    options.writable_file_max_buffer_size = mebibyte / 8;
    options.stats_dump_period_sec = 0;
    options.stats_persist_period_sec = 0;
    options.keep_log_file_num = 2;
    options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
    return options;
}

std::vector<rocksdb::ColumnFamilyDescriptor> family_descriptors() {
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(8 * mebibyte);
    rocksdb::ColumnFamilyOptions options;
    options.compression = best_supported({rocksdb::kLZ4Compression, rocksdb::kSnappyCompression});
    options.level_compaction_dynamic_level_bytes = true;

    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (const space where : {space::meta, space::rows, space::log}) {
        // Tables of the log are moved down as they are, as long as they stay compressed as they are.
        options.bottommost_compression = where == space::log ? options.compression : best_supported({rocksdb::kZSTD, options.compression});
        options.write_buffer_size = where == space::rows ? 2 * mebibyte : mebibyte;
        options.max_write_buffer_number = where == space::log ? 4 : 2;
        table.filter_policy.reset(where == space::rows ? rocksdb::NewBloomFilterPolicy(10) : nullptr);
        options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
        families.emplace_back(family_names[index(where)], options);
    }
    return families;
}

// ---- the engine

/// What RocksDB counts for each thread (its perf context) costs a tenth of a small write, and nobody here reads it.
class uncounted {
  public:
    uncounted() : before_(rocksdb::GetPerfLevel()) { rocksdb::SetPerfLevel(rocksdb::PerfLevel::kDisable); }
    ~uncounted() { rocksdb::SetPerfLevel(before_); }
    uncounted(const uncounted&) = delete;
    uncounted& operator=(const uncounted&) = delete;

  private:
    rocksdb::PerfLevel before_;
};

class rocksdb_snapshot final : public snapshot {
  public:
    explicit rocksdb_snapshot(rocksdb::DB& db) : db_(db), at_(db.GetSnapshot()) {}
    rocksdb_snapshot(const rocksdb_snapshot&) = delete;
    rocksdb_snapshot& operator=(const rocksdb_snapshot&) = delete;
    ~rocksdb_snapshot() override { db_.ReleaseSnapshot(at_); }

    static rocksdb::ReadOptions read_options(const snapshot* at) {
        rocksdb::ReadOptions options;
        if (at) options.snapshot = static_cast<const rocksdb_snapshot*>(at)->at_;
        return options;
    }

  private:
    rocksdb::DB& db_;
    const rocksdb::Snapshot* const at_;
};

class rocksdb_cursor final : public cursor {
  public:
    rocksdb_cursor(const fs::path& directory, std::unique_ptr<rocksdb::Iterator> at, std::string_view from)
        : directory_(directory), at_(std::move(at)) {
        at_->Seek(slice(from));
    }

    bool valid() const override { return at_->Valid(); }
    std::string_view key() const override { return view(at_->key()); }
    std::string_view value() const override { return view(at_->value()); }
    void next() override { at_->Next(); }
    void seek(std::string_view key) override { at_->Seek(slice(key)); }
    result<void> status() const override {
        if (const auto status = at_->status(); !status.ok()) return failure(directory_, status);
        return {};
    }

  private:
    const fs::path& directory_;
    const std::unique_ptr<rocksdb::Iterator> at_;
};

class rocksdb_engine final : public engine {
  public:
    rocksdb_engine(fs::path directory, std::shared_ptr<const log_watch> log, std::unique_ptr<rocksdb::Env> env,
                   std::unique_ptr<rocksdb::DB> db, const std::vector<rocksdb::ColumnFamilyHandle*>& families)
        : directory_(std::move(directory)), log_(std::move(log)), env_(std::move(env)), db_(std::move(db)) {
        std::copy(families.begin(), families.end(), families_.begin());
    }
    rocksdb_engine(const rocksdb_engine&) = delete;
    rocksdb_engine& operator=(const rocksdb_engine&) = delete;
    ~rocksdb_engine() override {
        // Into tables, so that the next opening has no log to apply. Where that fails the log has it all.
        if (!log_->failed() && has_room(0)) db_->Flush({}, {families_.begin(), families_.end()}).PermitUncheckedError();
        for (auto* family : families_) db_->DestroyColumnFamilyHandle(family).PermitUncheckedError();
    }

    result<std::optional<std::string>> get(space where, std::string_view key,
                                           const snapshot* at) const override {
        std::string value;
        const auto options = rocksdb_snapshot::read_options(at);
        const auto status = db_->Get(options, families_[index(where)], slice(key), &value);
        if (status.IsNotFound()) return std::nullopt;
        if (!status.ok()) return failure(directory_, status);
        return value;
    }

    std::unique_ptr<cursor> scan(space where, std::string_view from, const snapshot* at) const override {
        return std::make_unique<rocksdb_cursor>(directory_, iterator(where, at), from);
    }

    result<std::optional<std::pair<std::string, std::string>>> last(space where,
                                                                    std::string_view key) const override {
        const auto at = iterator(where, nullptr);
        at->SeekForPrev(slice(key));
        if (at->Valid()) return std::pair(at->key().ToString(), at->value().ToString());
        if (const auto status = at->status(); !status.ok()) return failure(directory_, status);
        return std::nullopt;
    }

    std::unique_ptr<snapshot> take_snapshot() const override {
        return std::make_unique<rocksdb_snapshot>(*db_);
    }

    result<void> write(const batch& changes) override {
        if (changes.empty()) return {};
        if (auto usable = check_log(); !usable) return usable;
        if (!has_room(changes.bytes()))
            return fail(errc::storage_full, directory_.string() + ": disk is full");
        // Most batches are small, and allocating one costs as much as filling it.
        thread_local rocksdb::WriteBatch all;
        all.Clear();
        const uncounted quiet;
        rocksdb::Status status;
        for (const batch::change& c : changes.changes()) {
            auto* family = families_[index(c.where)];
            switch (c.what) {
                case batch::kind::put:
                    status = all.Put(family, c.key, c.value);
                    break;
                case batch::kind::erase:
                    status = all.Delete(family, c.key);
                    break;
                case batch::kind::erase_range:
                    // RocksDB takes an end before the beginning for an error.
                    if (c.key < c.value) status = all.DeleteRange(family, c.key, c.value);
                    break;
            }
            if (!status.ok()) return failure(directory_, status);
        }
        status = db_->Write({}, &all);
        if (all.GetDataSize() > largest_kept_batch) all = rocksdb::WriteBatch();
        if (!status.ok()) return failure(directory_, status);
        return {};
    }

    result<void> sync() override {
        if (auto usable = check_log(); !usable) return usable;
        if (const auto status = db_->SyncWAL(); !status.ok()) return failure(directory_, status);
        return {};
    }

    result<void> backup(const fs::path& path) override {
        const fs::path to = path.has_filename() ? path : path.parent_path();
        if (auto usable = check_log(); !usable) return usable;
        std::error_code cause;
        if (fs::exists(to, cause)) return fail(errc::invalid_argument, to.string() + " exists already");
        if (!has_room(0)) return fail(errc::storage_full, directory_.string() + ": disk is full");
        if (to.has_parent_path()) {
            if (auto made = make_directory(to.parent_path()); !made) return made;
        }
        rocksdb::Checkpoint* opened = nullptr;
        if (const auto status = rocksdb::Checkpoint::Create(db_.get(), &opened); !status.ok()) return failure(directory_, status);
        const std::unique_ptr<rocksdb::Checkpoint> checkpoint(opened);
        if (const auto status = checkpoint->CreateCheckpoint(to.string()); !status.ok()) return failure(to, status);
        auto done = sync().and_then([&] { return write_marker(to, backup_marker); });
        if (!done) fs::remove_all(to, cause);
        return done;
    }

  private:
    /// Of a clock that is exact to some milliseconds, and costs a tenth of one that is.
    static std::chrono::milliseconds coarse_time() {
        timespec now{};
        ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
        return std::chrono::seconds(now.tv_sec) + std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::nanoseconds(now.tv_nsec));
    }

    std::unique_ptr<rocksdb::Iterator> iterator(space where, const snapshot* at) const {
        auto options = rocksdb_snapshot::read_options(at);
        // The log is read once from end to end: it would push the rows out of the cache.
        options.fill_cache = where != space::log;
        return std::unique_ptr<rocksdb::Iterator>(db_->NewIterator(options, families_[index(where)]));
    }

    result<void> check_log() const {
        if (!log_->failed()) return {};
        auto cause = failure(directory_, log_->first()).value();
        cause.message += " (writable again after it is opened anew)";
        return fail(std::move(cause));
    }

    /// Whether the disk keeps `reserve` for RocksDB's tables. Refused here, before RocksDB sees a full disk,
    /// a write does no harm, and works as soon as there is space.
    bool has_room(std::size_t bytes) {
        constexpr std::size_t reserve = 32 * mebibyte;
        const auto now = coarse_time();
        const std::size_t written = unchecked_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
        if (written < mebibyte && now - checked_.load(std::memory_order_relaxed) < check_interval)
            return true;
        std::error_code cause;
        const fs::space_info space = fs::space(directory_, cause);
        if (!cause && space.available < reserve + bytes) {
            checked_.store({}, std::memory_order_relaxed);
            return false;
        }
        unchecked_.store(0, std::memory_order_relaxed);
        checked_.store(now, std::memory_order_relaxed);
        return true;
    }

    static constexpr std::chrono::milliseconds check_interval{100};

    const fs::path directory_;
    const std::shared_ptr<const log_watch> log_;
    const std::unique_ptr<rocksdb::Env> env_;
    const std::unique_ptr<rocksdb::DB> db_;
    std::array<rocksdb::ColumnFamilyHandle*, space_count> families_;
    std::atomic<std::size_t> unchecked_ = 0;     ///< bytes written since the last look at the disk
    std::atomic<std::chrono::milliseconds> checked_ = {};  ///< when that was
};

/// The directory is prepared.
result<std::unique_ptr<engine>> open_database(const fs::path& directory) {
    std::vector<rocksdb::ColumnFamilyHandle*> families;
    rocksdb::DB* opened = nullptr;
    const auto log = std::make_shared<log_watch>();
    rocksdb::DBOptions options = database_options();
    options.listeners.push_back(log);
    auto env = rocksdb::NewCompositeEnv(with_mapped_logs(rocksdb::FileSystem::Default()));
    options.env = env.get();
    const auto status =
        rocksdb::DB::Open(options, directory.string(), family_descriptors(), &families, &opened);
    if (!status.ok()) return open_failure(directory, status);
    return std::make_unique<rocksdb_engine>(directory, log, std::move(env), std::unique_ptr<rocksdb::DB>(opened), families);
}

}  // namespace

result<std::unique_ptr<engine>> open_rocksdb(const fs::path& directory) {
    return prepare_directory(directory).and_then([&] { return open_database(directory); });
}

result<void> restore_rocksdb(const fs::path& backup, const fs::path& directory, const batch& changes) {
    if (auto sound = check_backup(backup); !sound) return sound;
    if (auto empty = make_empty_directory(directory); !empty) return empty;
    auto done = copy_backup(backup, directory)
                    .and_then([&] { return open_database(directory); })
                    .and_then([&](std::unique_ptr<engine> restored) { return restored->write(changes).and_then([&] { return restored->sync(); }); })
                    .and_then([&] { return write_marker(directory, store_marker); });
    if (!done) clear_directory(directory);
    return done;
}

}  // namespace anabranch::storage
