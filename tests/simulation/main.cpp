// anabranch_sim: runs histories from seeds. The exit code is 0 when everything held in all of them.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <iostream>
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
    bool is_crowded = false;
    bool audits_rows = false;
    bool holds_parts = false;
    bool demands_coverage = false;
    std::vector<std::string> demanded;
    std::string engine = "memory";
};

constexpr int interrupted = 130;  // as shells have it
std::atomic<bool> is_interrupted = false;

/// The histories that run are finished first. Whoever does not want to wait for that asks again.
extern "C" void interrupt(int) {
    is_interrupted = true;
    std::signal(SIGINT, SIG_DFL);
}

/// For whoever watches.
class progress_line {
  public:
    explicit progress_line(std::uint64_t expected) : expected_(expected) {}
    void finished_one() {
        const std::lock_guard lock(mutex_);
        ++finished_;
        const auto now = std::chrono::steady_clock::now();
        if (!is_watched_ || now - told_ < std::chrono::seconds{10}) return;
        told_ = now;
        std::fprintf(stderr, "%llu of %llu histories\n", static_cast<unsigned long long>(finished_),
                     static_cast<unsigned long long>(expected_));
    }

  private:
    const std::uint64_t expected_;
    const bool is_watched_ = isatty(STDERR_FILENO) != 0;
    std::mutex mutex_;
    std::uint64_t finished_ = 0;
    std::chrono::steady_clock::time_point told_ = std::chrono::steady_clock::now();
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
    world_options options;
    options.events = a.events;
    options.is_traced = a.is_traced;
    options.is_crowded = a.is_crowded;
    options.audits_rows = a.audits_rows;
    options.holds_parts = a.holds_parts;
    if (a.engine == "rocksdb") return run_with_kill(seed, std::move(options));
    auto outcome = world(seed, options).run();
    if (seed % repeat_every == 0 && !a.is_traced) {
        if (world(seed, options).run().trace != outcome.trace) violate("the same seed gave another trace");
        outcome.counts.count(covered::repeated_with_equal_trace);
    }
    return outcome;
}

void run_many(const arguments& a, std::uint64_t first, std::uint64_t count, totals& all) {
    std::atomic<std::uint64_t> next = 0;
    progress_line progress(count);
    const auto work = [&] {
        world_outcome mine;
        std::uint64_t histories = 0;
        while (!is_interrupted) {
            const auto n = next.fetch_add(1);
            if (n >= count) break;
            try {
                const auto outcome = run_one(first + n, a);
                mine.events += outcome.events;
                mine.checks += outcome.checks;
                mine.counts.join(outcome.counts);
                ++histories;
                progress.finished_one();
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

/// False where something never happened that had to.
bool report_coverage(const coverage& counts, const arguments& a) {
    bool is_whole = true;
    for (std::size_t i = 0; i < covered_count; ++i) {
        std::printf("  %-32s %12llu\n", covered_names[i], static_cast<unsigned long long>(counts.of(i)));
        const bool is_everywhere = i != static_cast<std::size_t>(covered::kills_in_requests);
        const bool is_demanded = (a.demands_coverage && is_everywhere) || std::ranges::find(a.demanded, covered_names[i]) != a.demanded.end();
        if (counts.of(i) > 0 || !is_demanded) continue;
        std::printf("FAILED: %s never happened\n", covered_names[i]);
        is_whole = false;
    }
    return is_whole;
}

/// What is wrong with it; nothing where it is above zero.
std::string judge_number(const std::string& text) {
    const bool is_number = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
    return is_number && text.find_first_not_of('0') != std::string::npos ? std::string() : text + " is no whole number above zero";
}

}  // namespace

int main(int argc, char** argv) {
    arguments a;
    CLI::App app("Simulates replicas on a bad network with bad disks and clocks, and checks what they show.", "./run sim");
    const CLI::Validator positive(judge_number, "");
    app.add_option("--seeds", a.seeds, "How many histories")->check(positive)->capture_default_str();
    app.add_option("--first", a.first, "Seed of the first")->capture_default_str();
    auto* one = app.add_option("--seed", a.seed, "Only this one")->excludes("--seeds")->excludes("--first");
    app.add_option("--events", a.events, "Events in each, before it heals")->check(positive)->capture_default_str();
    app.add_option("--jobs", a.jobs, "Threads")->check(positive)->capture_default_str();
    app.add_flag("--trace", a.is_traced, "Print what happens")->needs(one);
    app.add_flag("--crowded", a.is_crowded, "Requests of the same one or two fields, forgotten soon");
    app.add_flag("--audited", a.audits_rows, "Replicas compare their rows, and a disk changes some");
    app.add_flag("--parts", a.holds_parts, "Readers hold parts of the buckets");
    app.add_flag("--coverage", a.demands_coverage, "Fail where a class of event never happened");
    app.add_option("--demand", a.demanded, "Fail where this class of event never happened")
        ->check(CLI::IsMember(std::vector<std::string>(covered_names.begin(), covered_names.end())).description("EVENT"));
    app.add_option("--engine", a.engine, "Storage engine; with rocksdb each history is killed once")
        ->check(CLI::IsMember({"memory", "rocksdb"}))
        ->capture_default_str();
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& asked_for_help) {
        return app.exit(asked_for_help);
    } catch (const CLI::ParseError& wrong) {
        std::cerr << "sim: " << wrong.what() << "\n\n" << app.help();
        return 2;
    }
    if (a.seed) {
        a.first = *a.seed;
        a.seeds = 1;
    }
    if (a.engine == "rocksdb") a.jobs = 1;  // it forks
    std::signal(SIGINT, interrupt);

    totals all;
    const auto begin = std::chrono::steady_clock::now();
    run_many(a, a.first, a.seeds, all);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    if (all.failed) {
        const auto& [seed, what] = *all.failed;
        std::printf("FAILED at seed %llu: %s\n", static_cast<unsigned long long>(seed), what.c_str());
        std::printf("again: ./run sim --seed %llu --trace", static_cast<unsigned long long>(seed));
        if (a.events != 200) std::printf(" --events %zu", a.events);
        if (a.is_crowded) std::printf(" --crowded");
        if (a.audits_rows) std::printf(" --audited");
        if (a.holds_parts) std::printf(" --parts");
        if (a.engine != "memory") std::printf(" --engine %s", a.engine.c_str());
        std::printf("\n");
        return 1;
    }
    const bool is_whole = is_interrupted || a.seeds == 1 || report_coverage(all.counts, a);
    if (is_interrupted) std::printf("interrupted; of %llu: ", static_cast<unsigned long long>(a.seeds));
    std::printf("%llu histories, %llu events, %llu checks, %.1f s: all held\n",
                static_cast<unsigned long long>(all.histories), static_cast<unsigned long long>(all.events),
                static_cast<unsigned long long>(all.checks), took.count());
    if (is_interrupted) return interrupted;
    return is_whole ? 0 : 1;
}
