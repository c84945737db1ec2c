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

}  // namespace anabranch::storage
