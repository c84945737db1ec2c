#include "driver/child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace bench {

namespace {

volatile sig_atomic_t is_interrupted = 0;

/// Between fork and exec: only what is safe there.
[[noreturn]] void become(char* const* arguments, char* const* environment, int output, pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    ::setpgid(0, 0);  // Ctrl-C is the parent's business
    ::dup2(output, STDOUT_FILENO);
    ::execve(arguments[0], arguments, environment);
    ::_exit(127);
}

/// What a child has started dies with it, but not at once: until then it may still write to its scratch directory.
void await_orphans() {
    for (int attempt = 0; attempt < 200; ++attempt) {
        const pid_t ended = ::waitpid(-1, nullptr, WNOHANG);
        if (ended < 0) return;  // there are none
        if (ended == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

/// A running child. Its destructor ends it, and what it has started.
class child {
  public:
    child(char* const* arguments, char* const* environment) {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
        const pid_t parent = ::getpid();
        id_ = ::fork();
        if (id_ == 0) become(arguments, environment, ends[1], parent);
        const int failure = errno;
        ::close(ends[1]);
        output_ = ends[0];
        if (id_ < 0) {
            ::close(output_);
            throw std::system_error(failure, std::generic_category(), "fork");
        }
    }
    child(const child&) = delete;
    child& operator=(const child&) = delete;
    ~child() {
        if (!is_reaped_) {
            ::kill(-id_, SIGKILL);
            ::kill(id_, SIGKILL);  // it may not have its own group yet
            wait();
            await_orphans();
        }
        ::close(output_);
    }

    std::string read_all() const {
        std::string all;
        char bytes[4096];
        while (true) {
            throw_if_interrupted();
            pollfd waiting{output_, POLLIN, 0};
            if (::poll(&waiting, 1, 100) <= 0) continue;
            const ssize_t n = ::read(output_, bytes, sizeof bytes);
            if (n == 0) return all;
            if (n > 0) all.append(bytes, static_cast<std::size_t>(n));
        }
    }

    int wait() {
        while (!is_reaped_ && ::waitpid(id_, &status_, 0) < 0 && errno == EINTR) {
        }
        is_reaped_ = true;
        return status_;
    }

  private:
    pid_t id_ = -1;
    int output_ = -1;
    int status_ = -1;
    bool is_reaped_ = false;
};

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (auto& text : texts) all.push_back(text.data());
    all.push_back(nullptr);
    return all;
}

std::vector<std::string> environment_with(const environment_variables& more) {
    std::vector<std::string> all;
    for (const auto& [name, value] : more) all.push_back(name + "=" + value);
    for (char** entry = environ; *entry; ++entry) all.emplace_back(*entry);
    return all;
}

}  // namespace

void watch_for_interruption() {
    struct sigaction action {};
    action.sa_handler = [](int) { is_interrupted = 1; };
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(number, &action, nullptr);
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
}

void throw_if_interrupted() {
    if (is_interrupted) throw interrupted{};
}

std::string run_child(const std::vector<std::string>& command, const environment_variables& environment) {
    auto arguments = command;
    auto variables = environment_with(environment);
    child running(pointers(arguments).data(), pointers(variables).data());
    auto output = running.read_all();
    const int status = running.wait();
    if (WIFSIGNALED(status)) throw std::runtime_error(command[0] + " died of signal " + std::to_string(WTERMSIG(status)));
    if (WEXITSTATUS(status) != 0) {
        throw std::runtime_error(command[0] + " ended with " + std::to_string(WEXITSTATUS(status)));
    }
    return output;
}

std::filesystem::path find_program(const std::string& name) {
    const char* path = ::getenv("PATH");
    std::istringstream folders(path ? path : "");
    for (std::string folder; std::getline(folders, folder, ':');) {
        const auto candidate = std::filesystem::path(folder) / name;
        if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    }
    return {};
}

}  // namespace bench
