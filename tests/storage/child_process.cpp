#include "storage/child_process.hpp"

#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>

#include <array>
#include <stdexcept>

namespace anabranch::test {
namespace {

constexpr const char* directory_variable = "ANABRANCH_TEST_CHILD_DIRECTORY";
constexpr const char* pipe_variable = "ANABRANCH_TEST_CHILD_PIPE";

}  // namespace

child_process::child_process(const std::string& tag, const std::filesystem::path& directory) {
    std::array<int, 2> ends;
    if (::pipe(ends.data()) != 0) throw std::runtime_error("pipe failed");
    ::setenv(directory_variable, directory.c_str(), 1);
    ::setenv(pipe_variable, std::to_string(ends[1]).c_str(), 1);
    id_ = ::fork();
    if (id_ < 0) throw std::runtime_error("fork failed");
    if (id_ == 0) {
        ::close(ends[0]);
        ::execl("/proc/self/exe", "child", tag.c_str(), static_cast<char*>(nullptr));
        ::_exit(127);
    }
    ::close(ends[1]);
    pipe_ = ends[0];
}

child_process::~child_process() {
    if (id_ > 0) kill();
    ::close(pipe_);
}

bool child_process::receive() {
    std::array<char, 4096> bytes;
    const ssize_t size = ::read(pipe_, bytes.data(), bytes.size());
    if (size > 0) received_ += static_cast<std::size_t>(size);
    return size > 0;
}

int child_process::wait() {
    int status = -1;
    ::waitpid(id_, &status, 0);
    id_ = -1;
    return status;
}

bool child_process::wait_for(std::size_t count) {
    while (received_ < count && receive()) {
    }
    return received_ >= count;
}

std::size_t child_process::kill() {
    ::kill(id_, SIGKILL);
    wait();
    while (receive()) {
    }
    return received_;
}

bool child_process::succeeded() {
    const int status = wait();
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::filesystem::path child_process::directory() {
    const char* given = ::getenv(directory_variable);
    return given ? given : "";
}

void child_process::send_byte() {
    const char* number = ::getenv(pipe_variable);
    const char byte = 0;
    if (!number || ::write(std::stoi(number), &byte, 1) != 1) throw std::runtime_error("the parent is gone");
}

}  // namespace anabranch::test
