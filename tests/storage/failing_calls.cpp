#include "storage/failing_calls.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <string_view>
#include <utility>

namespace anabranch::test {
namespace {

std::atomic<bool> armed = false;
std::mutex mutex;
failing_calls::call failing;
std::string file_suffix;
bool half_written = false;

bool is_meant(int file) {
    std::array<char, 4096> name;
    const auto link = "/proc/self/fd/" + std::to_string(file);
    const ssize_t size = ::readlink(link.c_str(), name.data(), name.size());
    return size > 0 && std::string_view(name.data(), static_cast<std::size_t>(size)).ends_with(file_suffix);
}

enum class outcome { pass, half, full, broken };

outcome outcome_of_write(int file) {
    if (!armed) return outcome::pass;
    const std::lock_guard lock(mutex);
    const bool is_about_writing = failing == failing_calls::call::write_nothing || failing == failing_calls::call::write_half;
    if (!is_about_writing || !is_meant(file)) return outcome::pass;
    if (failing == failing_calls::call::write_nothing || half_written) return outcome::full;
    half_written = true;
    return outcome::half;
}

/// What the call fails with, or 0.
int failure_of_allocation(int file) {
    if (!armed) return 0;
    const std::lock_guard lock(mutex);
    if (failing == failing_calls::call::allocate && is_meant(file)) return ENOSPC;
    if (failing == failing_calls::call::allocate_ever && is_meant(file)) return EOPNOTSUPP;
    return 0;
}

outcome outcome_of_sync(int file) {
    if (!armed) return outcome::pass;
    const std::lock_guard lock(mutex);
    return failing == failing_calls::call::sync && is_meant(file) ? outcome::broken : outcome::pass;
}

}  // namespace

failing_calls::failing_calls(call what, std::string suffix) {
    const std::lock_guard lock(mutex);
    failing = what;
    file_suffix = std::move(suffix);
    half_written = false;
    armed = true;
}

failing_calls::~failing_calls() { armed = false; }

}  // namespace anabranch::test

// The linker prefers these to libc's, for calls from shared libraries too.

extern "C" ssize_t write(int file, const void* bytes, size_t size) {
    using namespace anabranch::test;
    switch (outcome_of_write(file)) {
        case outcome::half:
            size /= 2;
            break;
        case outcome::full:
            errno = ENOSPC;
            return -1;
        default:
            break;
    }
    return ::syscall(SYS_write, file, bytes, size);
}

extern "C" int fallocate(int file, int mode, off_t from, off_t size) {
    using namespace anabranch::test;
    if (const int cause = failure_of_allocation(file); cause != 0) {
        errno = cause;
        return -1;
    }
    return static_cast<int>(::syscall(SYS_fallocate, file, mode, from, size));
}

extern "C" int fdatasync(int file) {
    using namespace anabranch::test;
    if (outcome_of_sync(file) == outcome::broken) {
        errno = EIO;
        return -1;
    }
    return static_cast<int>(::syscall(SYS_fdatasync, file));
}
