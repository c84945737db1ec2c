// Runs a hidden test case of this same program in another process.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string>

namespace anabranch::test {

/// Started anew (fork and exec): RocksDB's threads do not survive a fork alone.
class child_process {
  public:
    /// Runs the test cases with `tag` and the argument `directory`.
    child_process(const std::string& tag, const std::filesystem::path& directory);
    child_process(const child_process&) = delete;
    child_process& operator=(const child_process&) = delete;
    ~child_process();

    /// Waits until the child has sent `count` bytes in all; false when it ended before.
    bool wait_for(std::size_t count);
    /// SIGKILL; returns how many bytes the child had sent.
    std::size_t kill();
    /// Waits for the end; whether all its checks held.
    bool succeeded();

    /// In the child: the argument, and a sign of life to the parent.
    static std::filesystem::path directory();
    static void send_byte();

  private:
    bool receive();
    int wait();

    pid_t id_ = -1;
    int pipe_ = -1;
    std::size_t received_ = 0;
};

}  // namespace anabranch::test
