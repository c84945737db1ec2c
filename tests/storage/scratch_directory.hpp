// A directory of its own for a test, removed with all it holds.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

namespace anabranch::test {

class scratch_directory {
  public:
    scratch_directory() {
        std::string name = (parent() / "anabranch-XXXXXX").string();
        if (!::mkdtemp(name.data())) throw std::runtime_error("cannot create " + name);
        path_ = name;
    }
    scratch_directory(const scratch_directory&) = delete;
    scratch_directory& operator=(const scratch_directory&) = delete;
    ~scratch_directory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    const std::filesystem::path& path() const { return path_; }
    /// Where no directory is yet.
    std::filesystem::path store() const { return path_ / "store"; }

  private:
    /// In memory where there is such a place: no test depends on a disk, but each waits for its fsyncs.
    static std::filesystem::path parent() {
        if (!std::getenv("TMPDIR") && ::access("/dev/shm", W_OK) == 0) return "/dev/shm";
        return std::filesystem::temp_directory_path();
    }

    std::filesystem::path path_;
};

}  // namespace anabranch::test
