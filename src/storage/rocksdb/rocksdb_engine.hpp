// The storage engine on RocksDB.
#pragma once

#include <filesystem>

#include "storage/engine.hpp"

namespace anabranch::storage {

/// Opens the RocksDB database in `directory`, creating both where there is none.
/// errc::locked: another process (or this one) has it open. errc::foreign_directory: the directory holds
/// other files, or a database that this library did not create. errc::newer_format: it holds column
/// families or RocksDB format versions that this version does not know. errc::storage_full,
/// errc::corrupt, errc::storage_failure as they say; messages name the directory.
///
/// Below 32 MiB of free disk writes are refused with errc::storage_full, and taken again when there is more: a disk that
/// runs full in the middle of RocksDB's own log cannot be written on until it is opened anew.
result<std::unique_ptr<engine>> open_rocksdb(const std::filesystem::path& directory);

/// Makes a database in `directory` out of what engine::backup() made, with these changes in it before it can be opened.
/// errc::foreign_directory: `backup` is none, or was not finished. errc::invalid_argument: `directory` holds something already.
/// Others as above; `directory` is empty after any. What a crash leaves of it open_rocksdb() refuses.
result<void> restore_rocksdb(const std::filesystem::path& backup, const std::filesystem::path& directory, const batch& changes);

}  // namespace anabranch::storage
