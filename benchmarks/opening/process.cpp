#include "opening/process.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>
#include <system_error>

namespace bench::opening {

namespace {

struct ended {
    std::string output;
    int status = 0;
};

[[noreturn]] void work_in_child(const std::function<std::string()>& work, int output, pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    try {
        const auto said = work();
        for (std::size_t at = 0; at < said.size();) {
            const auto written = ::write(output, said.data() + at, said.size() - at);
            if (written < 0) ::_exit(1);
            at += static_cast<std::size_t>(written);
        }
        ::_exit(0);
    } catch (const std::exception& failure) {
        std::cerr << "anabranch-bench: " << failure.what() << std::endl;
        ::_exit(1);
    }
}

ended run_in_child(const std::function<std::string()>& work) {
    int ends[2];
    if (::pipe(ends) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    const pid_t parent = ::getpid();
    const pid_t id = ::fork();
    if (id == 0) work_in_child(work, ends[1], parent);
    const int cause = errno;
    ::close(ends[1]);
    ended all;
    char bytes[4096];
    for (ssize_t n = 0; id > 0 && (n = ::read(ends[0], bytes, sizeof bytes)) != 0;) {
        if (n > 0) all.output.append(bytes, static_cast<std::size_t>(n));
    }
    ::close(ends[0]);
    if (id < 0) throw std::system_error(cause, std::generic_category(), "fork");
    while (::waitpid(id, &all.status, 0) < 0 && errno == EINTR) {
    }
    return all;
}

}  // namespace

row run_apart(const std::function<row()>& work) {
    const auto all = run_in_child([&] { return json::serialize(work()); });
    if (!WIFEXITED(all.status) || WEXITSTATUS(all.status) != 0) throw std::runtime_error("a process failed");
    return json::parse(all.output).as_object();
}

void run_to_end(const std::function<void()>& work) {
    run_apart([&]() -> row {
        work();
        return {};
    });
}

void run_and_kill(const std::function<void()>& work) {
    const auto all = run_in_child([&]() -> std::string {
        work();
        return {};
    });
    if (!WIFSIGNALED(all.status) || WTERMSIG(all.status) != SIGKILL) throw std::runtime_error("a process was not killed");
}

}  // namespace bench::opening
