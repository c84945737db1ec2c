// A directory for one measurement, gone with its owner.
#pragma once

#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace bench {

class scratch_directory {
  public:
    explicit scratch_directory(const std::filesystem::path& below) {
        std::string name = (below / "anabranch-bench-XXXXXX").string();
        if (!::mkdtemp(name.data())) throw std::system_error(errno, std::generic_category(), name);
        path_ = name;
    }
    ~scratch_directory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    scratch_directory(const scratch_directory&) = delete;
    scratch_directory& operator=(const scratch_directory&) = delete;

    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

}  // namespace bench
