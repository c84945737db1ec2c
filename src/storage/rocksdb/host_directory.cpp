#include "storage/rocksdb/host_directory.hpp"

#include <sys/file.h>

#include <array>

#include "storage/rocksdb/directory.hpp"

namespace anabranch::storage {
namespace {

namespace fs = std::filesystem;

/// Written in place, under a lock that the system lets go of with the process: a new file in its place would not be locked.
class locked_file final : public host_file {
  public:
    locked_file(const fs::path& path, int flags) : path_(path), file_(path, flags) {}

    /// Whether there is such a file.
    result<bool> lock() {
        if (file_.number() < 0 && errno == ENOENT) return false;
        if (file_.number() >= 0 && ::flock(file_.number(), LOCK_EX | LOCK_NB) == 0) return true;
        if (errno == EWOULDBLOCK) return fail(errc::locked, path_.string() + " is held already");
        return failure(path_, last_error());
    }

    result<std::string> read() const override {
        std::array<char, 4096> content;
        const ssize_t size = ::pread(file_.number(), content.data(), content.size(), 0);
        if (size < 0) return failure(path_, last_error());
        return std::string(content.data(), static_cast<std::size_t>(size));
    }

    result<void> write(std::string_view content) override {
        const ssize_t written = ::pwrite(file_.number(), content.data(), content.size(), 0);
        if (written < 0) return failure(path_, last_error());
        if (static_cast<std::size_t>(written) < content.size()) return fail(errc::storage_full, path_.string());
        const auto size = static_cast<off_t>(content.size());
        if (::ftruncate(file_.number(), size) != 0 || ::fsync(file_.number()) != 0) return failure(path_, last_error());
        return sync_path(path_.parent_path());
    }

  private:
    const fs::path path_;
    const descriptor file_;
};

class host_directory final : public host_files {
  public:
    explicit host_directory(fs::path directory) : directory_(std::move(directory)) {}

    result<std::unique_ptr<host_file>> open(const std::string& name) override { return lock(name, O_RDWR); }
    result<std::unique_ptr<host_file>> create(const std::string& name) override {
        return make_directory(directory_).and_then([&] { return lock(name, O_RDWR | O_CREAT); });
    }

  private:
    result<std::unique_ptr<host_file>> lock(const std::string& name, int flags) const {
        auto file = std::make_unique<locked_file>(directory_ / name, flags);
        return file->lock().map([&](bool exists) -> std::unique_ptr<host_file> {
            if (!exists) return nullptr;
            return std::move(file);
        });
    }

    const fs::path directory_;
};

}  // namespace

std::unique_ptr<host_files> open_host_directory(fs::path directory) { return std::make_unique<host_directory>(std::move(directory)); }

}  // namespace anabranch::storage
