// anabranch_sim: runs histories from seeds. The exit code is 0 when everything held in all of them.
#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <thread>

#include "simulation/rocksdb_kill.hpp"
#include "simulation/world.hpp"

namespace {

using namespace anabranch::simulation;

struct arguments {
    std::uint64_t seeds = 1000;
    std::uint64_t first = 1;
    std::optional<std::uint64_t> seed;
    std::size_t events = 200;
    unsigned jobs = std::max(1u, std::thread::hardware_concurrency());
    bool is_traced = false;
    bool demands_coverage = false;
    std::string engine = "memory";
};

struct totals {
    std::mutex mutex;
    std::uint64_t histories = 0;
    std::uint64_t events = 0;
    std::uint64_t checks = 0;
    coverage counts;
    std::optional<std::pair<std::uint64_t, std::string>> failed;  ///< seed, and what did not hold
};

constexpr std::uint64_t repeat_every = 50;

world_outcome run_one(std::uint64_t seed, const arguments& a) {
    if (a.engine == "rocksdb") return run_with_kill(seed, a.events, a.is_traced);
    world_options options;
    options.events = a.events;
    options.is_traced = a.is_traced;
    auto outcome = world(seed, options).run();
    if (seed % repeat_every == 0 && !a.is_traced) {
        if (world(seed, options).run().trace != outcome.trace) violate("the same seed gave another trace");
        outcome.counts.count(covered::repeated_with_equal_trace);
    }
    return outcome;
}

void run_many(const arguments& a, std::uint64_t first, std::uint64_t count, totals& all) {
    std::atomic<std::uint64_t> next = 0;
    const auto work = [&] {
        world_outcome mine;
        std::uint64_t histories = 0;
        while (true) {
            const auto n = next.fetch_add(1);
            if (n >= count) break;
            try {
                const auto outcome = run_one(first + n, a);
                mine.events += outcome.events;
                mine.checks += outcome.checks;
                mine.counts.join(outcome.counts);
                ++histories;
            } catch (const std::exception& broken) {
                next = count;
                const std::lock_guard lock(all.mutex);
                if (!all.failed || all.failed->first > first + n) all.failed = {first + n, broken.what()};
            }
        }
        const std::lock_guard lock(all.mutex);
        all.histories += histories;
        all.events += mine.events;
        all.checks += mine.checks;
        all.counts.join(mine.counts);
    };
    std::vector<std::thread> threads;
    for (unsigned i = 1; i < a.jobs; ++i) threads.emplace_back(work);
    work();
    for (auto& t : threads) t.join();
}

/// False where something never happened.
bool report_coverage(const coverage& counts, bool demands_all) {
    bool is_whole = true;
    for (std::size_t i = 0; i < covered_count; ++i) {
        std::printf("  %-32s %12llu\n", covered_names[i], static_cast<unsigned long long>(counts.of(i)));
        if (counts.of(i) == 0 && i < static_cast<std::size_t>(covered::requests_made)) is_whole = false;
    }
    if (!is_whole && demands_all) std::printf("FAILED: some of this never happened\n");
    return is_whole || !demands_all;
}

}  // namespace

int main(int argc, char** argv) {
    arguments a;
    CLI::App app("Simulates replicas on a bad network with bad disks and clocks, and checks what they show.");
    app.add_option("--seeds", a.seeds, "How many histories")->capture_default_str();
    app.add_option("--first", a.first, "Seed of the first")->capture_default_str();
    app.add_option("--seed", a.seed, "Only this one");
    app.add_option("--events", a.events, "Events in each, before it heals")->capture_default_str();
    app.add_option("--jobs", a.jobs, "Threads")->capture_default_str();
    app.add_flag("--trace", a.is_traced, "Print what happens; with --seed");
    app.add_flag("--coverage", a.demands_coverage, "Fail where a class of event never happened");
    app.add_option("--engine", a.engine, "Storage engine")
        ->check(CLI::IsMember({"memory", "rocksdb"}))
        ->capture_default_str();
    CLI11_PARSE(app, argc, argv);
    if (a.seed) {
        a.first = *a.seed;
        a.seeds = 1;
    }
    if (a.engine == "rocksdb") a.jobs = 1;  // it forks

    totals all;
    const auto begin = std::chrono::steady_clock::now();
    run_many(a, a.first, a.seeds, all);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    if (all.failed) {
        const auto& [seed, what] = *all.failed;
        std::printf("FAILED at seed %llu: %s\n", static_cast<unsigned long long>(seed), what.c_str());
        std::printf("again: ./run sim --seed %llu --trace", static_cast<unsigned long long>(seed));
        if (a.events != 200) std::printf(" --events %zu", a.events);
        if (a.engine != "memory") std::printf(" --engine %s", a.engine.c_str());
        std::printf("\n");
        return 1;
    }
    const bool is_whole = a.seeds == 1 || report_coverage(all.counts, a.demands_coverage);
    std::printf("%llu histories, %llu events, %llu checks, %.1f s: all held\n",
                static_cast<unsigned long long>(all.histories), static_cast<unsigned long long>(all.events),
                static_cast<unsigned long long>(all.checks), took.count());
    return is_whole ? 0 : 1;
}
