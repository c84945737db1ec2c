// Directories of stores and backups: what marks them, and how files in them get to the disk.
#pragma once

#include <anabranch/result.hpp>
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

namespace anabranch::storage {

class descriptor {
  public:
    descriptor(const std::filesystem::path& path, int flags) : number_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {}
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;
    ~descriptor() {
        if (number_ >= 0) ::close(number_);
    }
    int number() const { return number_; }

  private:
    const int number_;
};

std::error_code last_error();
tl::unexpected<error> failure(const std::filesystem::path& path, std::error_code cause);
result<void> sync_path(const std::filesystem::path& path);
/// With its parents, so that it survives a loss of power.
result<void> make_directory(const std::filesystem::path& directory);

/// The first line of a file of that name tells our directories from others, and its number how to read them. It is the last
/// that is written to one that is made of another.
inline constexpr const char* store_marker = "ANABRANCH";
inline constexpr const char* backup_marker = "ANABRANCH-BACKUP";
result<void> write_marker(const std::filesystem::path& directory, const char* name);

/// Makes sure that the directory is ours and fit to be opened by RocksDB.
result<void> prepare_directory(const std::filesystem::path& directory);
/// A backup, finished, and of a version that this one knows.
result<void> check_backup(const std::filesystem::path& backup);
/// Its files, but for the marker.
result<void> copy_backup(const std::filesystem::path& backup, const std::filesystem::path& directory);
/// Made where there is none. errc::invalid_argument: there is something in it.
result<void> make_empty_directory(const std::filesystem::path& directory);
void clear_directory(const std::filesystem::path& directory);

}  // namespace anabranch::storage
