// What a store's directory holds, seen from outside.
#pragma once

#include <cstdint>
#include <filesystem>

namespace bench::disk {

struct file_sizes {
    std::uint64_t write_ahead = 0;  ///< RocksDB's *.log
    std::uint64_t tables = 0;       ///< *.sst
    std::uint64_t others = 0;
    std::uint64_t total() const { return write_ahead + tables + others; }
};

/// Now; files may come and go meanwhile.
file_sizes sizes_in(const std::filesystem::path& directory);

struct contents {
    std::uint64_t write_buffer = 0;  ///< bytes that the engine keeps of a family before it writes a table
    std::uint64_t rows = 0;
    std::uint64_t marks = 0;  ///< of rows that have something to forget
    std::uint64_t log_records = 0;
};

/// Of a store that is closed: bare RocksDB writes what is in memory to tables, and compacts each of them with all others.
contents compact(const std::filesystem::path& directory);

}  // namespace bench::disk
