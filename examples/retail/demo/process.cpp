#include "demo/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <thread>

namespace retail {

namespace {

/// In the child, between fork and exec: only what is safe there.
[[noreturn]] void become(char* const* arguments, int output, pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    ::setpgid(0, 0);  // Ctrl-C is the parent's business
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::dup2(output, STDOUT_FILENO);
    ::execv(arguments[0], arguments);
    ::_exit(127);
}

}  // namespace

process::process(const std::vector<std::string>& command) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    std::vector<char*> arguments;
    for (const auto& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    const pid_t parent = ::getpid();
    id_ = ::fork();
    if (id_ == 0) become(arguments.data(), ends[1], parent);
    const int failure = errno;
    ::close(ends[1]);
    output_ = ends[0];
    if (id_ < 0) {
        ::close(output_);
        throw std::system_error(failure, std::generic_category(), "fork");
    }
}

process::~process() {
    kill();
    ::close(output_);
}

std::optional<std::string> process::read_line(std::chrono::milliseconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (true) {
        if (const auto end = buffer_.find('\n'); end != std::string::npos) {
            std::string line = buffer_.substr(0, end);
            buffer_.erase(0, end + 1);
            return line;
        }
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        if (left.count() <= 0) return {};
        pollfd waiting{output_, POLLIN, 0};
        if (::poll(&waiting, 1, static_cast<int>(left.count())) <= 0) continue;
        char bytes[512];
        const ssize_t n = ::read(output_, bytes, sizeof bytes);
        if (n == 0 || (n < 0 && errno != EINTR)) return {};
        if (n > 0) buffer_.append(bytes, static_cast<std::size_t>(n));
    }
}

bool process::ended() {
    if (!reaped_ && ::waitpid(id_, &status_, WNOHANG) == id_) reaped_ = true;
    return reaped_;
}

void process::kill() {
    if (reaped_) return;
    ::kill(id_, SIGKILL);
    while (::waitpid(id_, &status_, 0) < 0 && errno == EINTR) {
    }
    reaped_ = true;
}

void process::pause() { ::kill(id_, SIGSTOP); }
void process::resume() { ::kill(id_, SIGCONT); }

bool process::terminate(std::chrono::milliseconds patience) {
    if (!ended()) ::kill(id_, SIGTERM);
    return wait(patience);
}

bool process::wait(std::chrono::milliseconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!ended() && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    kill();
    return WIFEXITED(status_) && WEXITSTATUS(status_) == 0;
}

}  // namespace retail
