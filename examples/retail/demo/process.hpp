// A child process whose standard output is read line by line.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace retail {

/// Ends with its owner: the destructor kills it, and so does the death of the thread that started it.
class process {
  public:
    /// Throws std::system_error where it cannot be started.
    explicit process(const std::vector<std::string>& command);
    ~process();
    process(const process&) = delete;
    process& operator=(const process&) = delete;

    /// The next line of its output; nothing where it ends, or says nothing for that long.
    std::optional<std::string> read_line(std::chrono::milliseconds patience);
    /// Waits for its end; SIGKILL after `patience`. True where it ended by itself with 0.
    bool wait(std::chrono::milliseconds patience);
    /// SIGKILL, and waits for its end.
    void kill();
    /// SIGTERM, and wait().
    bool terminate(std::chrono::milliseconds patience);

    /// SIGSTOP: it takes no step until resume(). Both from any thread, while it has not been ended.
    void pause();
    void resume();

    pid_t id() const { return id_; }

  private:
    bool ended();

    pid_t id_ = -1;
    int output_ = -1;
    int status_ = -1;
    bool reaped_ = false;
    std::string buffer_;
};

}  // namespace retail
