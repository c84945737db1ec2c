// What a directory holds.
#pragma once

#include <cstdint>
#include <filesystem>

namespace bench {

inline std::uint64_t bytes_of_files_in(const std::filesystem::path& directory) {
    std::uint64_t bytes = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
        if (entry.is_regular_file()) bytes += entry.file_size();
    }
    return bytes;
}

}  // namespace bench
