#include "disk/directory.hpp"

#include <rocksdb/db.h>
#include <rocksdb/utilities/options_util.h>

#include <memory>
#include <stdexcept>
#include <vector>

namespace bench::disk {

namespace {

void check(const rocksdb::Status& status) {
    if (!status.ok()) throw std::runtime_error(status.ToString());
}

/// A closed store's database, with the options that the store gave it.
class bare_database {
  public:
    explicit bare_database(const std::filesystem::path& directory) {
        rocksdb::DBOptions options;
        check(rocksdb::LoadLatestOptions({}, directory.string(), &options, &families_));
        rocksdb::DB* opened = nullptr;
        check(rocksdb::DB::Open(options, directory.string(), families_, &handles_, &opened));
        db_.reset(opened);
    }
    ~bare_database() {
        for (auto* handle : handles_) db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
    }
    bare_database(const bare_database&) = delete;
    bare_database& operator=(const bare_database&) = delete;

    void compact() {
        rocksdb::CompactRangeOptions options;
        options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
        for (auto* handle : handles_) {
            check(db_->Flush({}, handle));
            check(db_->CompactRange(options, handle, nullptr, nullptr));
        }
    }

    contents count() const {
        contents found;
        for (std::size_t i = 0; i < handles_.size(); ++i) {
            const auto& name = families_[i].name;
            if (name == "rows") found.write_buffer = families_[i].options.write_buffer_size;
            if (name == rocksdb::kDefaultColumnFamilyName) continue;
            const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator({}, handles_[i]));
            for (at->SeekToFirst(); at->Valid(); at->Next()) {
                // docs/disk-layout.md: a mark stands in its bucket's number with the highest bit set.
                const bool is_mark = (at->key()[0] & 0x80) != 0;
                ++(name == "log" ? found.log_records : is_mark ? found.marks : found.rows);
            }
            check(at->status());
        }
        return found;
    }

  private:
    std::vector<rocksdb::ColumnFamilyDescriptor> families_;
    std::vector<rocksdb::ColumnFamilyHandle*> handles_;
    std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

file_sizes sizes_in(const std::filesystem::path& directory) {
    file_sizes sizes;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
        std::error_code gone;
        const auto bytes = entry.file_size(gone);
        if (gone) continue;
        const auto kind = entry.path().extension();
        (kind == ".log" ? sizes.write_ahead : kind == ".sst" ? sizes.tables : sizes.others) += bytes;
    }
    return sizes;
}

contents compact(const std::filesystem::path& directory) {
    bare_database database(directory);
    database.compact();
    return database.count();
}

}  // namespace bench::disk
