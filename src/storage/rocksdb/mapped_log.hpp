// RocksDB's log files, written through mapped memory.
#pragma once

#include <rocksdb/file_system.h>

#include <memory>

namespace anabranch::storage {

/// `rest`, but for log files. A record that has been copied into mapped memory survives the death of the process as one that
/// has been given to write() does, and four tenths of a small write to RocksDB are that system call. Space is taken from the
/// disk before it is mapped, so a full disk is an error and no signal; on file systems that cannot do that, or map nothing, log
/// files are those of `rest`. After the death of a process a log ends with zeros, which RocksDB passes over.
std::shared_ptr<rocksdb::FileSystem> with_mapped_logs(std::shared_ptr<rocksdb::FileSystem> rest);

}  // namespace anabranch::storage
