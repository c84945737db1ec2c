#include "simulation/rocksdb_kill.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <utility>
#include <vector>

namespace anabranch::simulation {
namespace {

/// What a process tells of an event, and of its end.
struct step {
    std::uint64_t event;
    std::uint64_t trace;
};

class scratch_folder {
  public:
    scratch_folder() {
        auto pattern = (std::filesystem::temp_directory_path() / "anabranch-sim-XXXXXX").string();
        if (mkdtemp(pattern.data()) == nullptr) violate("no temporary folder");
        path_ = pattern;
    }
    ~scratch_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    scratch_folder(const scratch_folder&) = delete;
    scratch_folder& operator=(const scratch_folder&) = delete;
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

void tell(int to, const void* bytes, std::size_t size) {
    if (write(to, bytes, size) != static_cast<ssize_t>(size)) _exit(3);
}

/// Runs `work(pipe)` in a process of its own, without the threads that RocksDB keeps; returns all that it
/// told.
template <class Work>
std::string in_child(Work work, int& status) {
    int ends[2];
    if (pipe(ends) != 0) violate("no pipe");
    std::fflush(stdout);
    const auto child = fork();
    if (child < 0) violate("no process");
    if (child == 0) {
        close(ends[0]);
        work(ends[1]);
        std::fflush(stdout);
        _exit(0);
    }
    close(ends[1]);
    std::string told;
    char buffer[4096];
    for (ssize_t n = 0; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
        told.append(buffer, static_cast<std::size_t>(n));
    close(ends[0]);
    waitpid(child, &status, 0);
    return told;
}

}  // namespace

world_outcome run_with_kill(std::uint64_t seed, world_options common) {
    const bool is_traced = std::exchange(common.is_traced, false);
    common.keeps_power = true;
    common.dies_at = UINT64_MAX;  // never, and all else as if it were to
    std::vector<std::uint64_t> in_requests;
    common.request_calls = &in_requests;
    const auto calls = world(seed, common).run().disk_calls;
    common.request_calls = nullptr;
    std::erase_if(in_requests, [&](std::uint64_t call) { return call >= calls; });
    random_source chance(seed);
    const auto any = chance.below(static_cast<std::size_t>(calls));
    common.dies_at = in_requests.empty() || chance.chance(50) ? any : chance.pick(in_requests);
    const scratch_folder folder;

    int status = 0;
    const auto told = in_child(
        [&](int to) {
            auto options = common;
            options.directory = folder.path();
            options.on_death = [] { raise(SIGKILL); };
            options.after_event = [to](std::uint64_t event, std::uint64_t trace) {
                const step s{event, trace};
                tell(to, &s, sizeof s);
            };
            try {
                world(seed, options).run();
            } catch (const violation& broken) {
                std::printf("on RocksDB: %s\n", broken.what());
                std::fflush(stdout);
                _exit(2);
            }
        },
        status);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        violate("the history on RocksDB failed before it was to be killed");
    std::vector<step> steps(told.size() / sizeof(step));
    std::memcpy(steps.data(), told.data(), steps.size() * sizeof(step));

    const auto rest = in_child(
        [&](int to) {
            auto options = common;
            options.is_traced = is_traced;
            options.survivors = folder.path();
            options.after_event = [&](std::uint64_t event, std::uint64_t trace) {
                if (event <= steps.size() && steps[event - 1].trace != trace)
                    violate("RocksDB and memory gave different traces");
            };
            try {
                const auto outcome = world(seed, options).run();
                tell(to, &outcome, sizeof outcome);
            } catch (const violation& broken) {
                tell(to, broken.what(), std::strlen(broken.what()));
                _exit(2);
            }
        },
        status);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2) violate(rest);
    world_outcome outcome;
    if (status != 0 || rest.size() != sizeof outcome) {
        violate("the process that goes on crashed, with wait status " + std::to_string(status));
    }
    std::memcpy(static_cast<void*>(&outcome), rest.data(), sizeof outcome);
    return outcome;
}

}  // namespace anabranch::simulation
