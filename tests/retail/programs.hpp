// The programs under test, and how to run them.
#pragma once

#include <stdlib.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace retail::test {

/// A directory that goes away.
class temporary_directory {
  public:
    temporary_directory() {
        std::string name = (std::filesystem::temp_directory_path() / "retail-test-XXXXXX").string();
        if (::mkdtemp(name.data())) path_ = name;
    }
    ~temporary_directory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    temporary_directory(const temporary_directory&) = delete;
    temporary_directory& operator=(const temporary_directory&) = delete;
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

inline std::string read_file(const std::filesystem::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
}

inline void write_file(const std::filesystem::path& file, const std::string& content) {
    std::ofstream(file, std::ios::binary) << content;
}

struct finished {
    int exit_code = -1;
    std::string out;
    std::string err;
};

/// Runs a shell command in `directory`.
inline finished run(const std::filesystem::path& directory, const std::string& command) {
    const std::string line =
        "cd '" + directory.string() + "' && (" + command + ") >stdout.txt 2>stderr.txt </dev/null";
    const int status = std::system(line.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(directory / "stdout.txt"),
            read_file(directory / "stderr.txt")};
}

}  // namespace retail::test
