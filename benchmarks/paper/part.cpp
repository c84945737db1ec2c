// The scenario of the paper that mirrors requests in a proxy, on two services that replicate their state instead.
#include <cmath>

#include "driver/part.hpp"
#include "driver/table.hpp"

namespace bench::paper {

namespace {

constexpr double pace_of_the_paper = 13.1;

struct lengths {
    double seconds;
    double cut;
    double down;
    double large;
};

lengths lengths_of(extent size) {
    switch (size) {
        case extent::smoke:
            return {0.9, 0.2, 0.1, 0.1};
        case extent::quick:
            return {12, 3, 1, 1};
        case extent::full:
            break;
    }
    return {60, 10, 5, 3};
}

/// As many requests as the services answer, or as few as in the paper.
const row& measure_faults_at(driver& suite, double per_second, unsigned runs) {
    const auto length = lengths_of(suite.asked().size);
    std::vector<row> measured;
    for (unsigned run = 1; run <= runs; ++run) {
        driver::progress("paper, link cut and reboot, run " + std::to_string(run) + " of " + std::to_string(runs));
        measured.push_back(suite
                               .measure("faults", {{"seconds", length.seconds},
                                                   {"cut_seconds", length.cut},
                                                   {"down_seconds", length.down},
                                                   {"per_second", per_second}})
                               .at(0));
    }
    auto result = median_of(measured);
    result["asked_per_s"] = per_second > 0 ? json::value(per_second) : json::value(nullptr);
    return suite.keep(per_second > 0 ? "paper-pace" : "paper", std::move(result));
}

void run_faults(driver& suite) {
    const auto length = lengths_of(suite.asked().size);
    const row fast = measure_faults_at(suite, 0, suite.runs(5));
    const row slow = measure_faults_at(suite, pace_of_the_paper, suite.runs(3));
    table text({"link cut of " + significant(length.cut) + " s, SIGKILL and restart", "all it takes", "the paper's pace", "paper"});
    const auto add = [&](const char* what, const char* field, const char* paper) {
        text.add({what, significant(number_of(&fast, field)), significant(number_of(&slow, field)), paper});
    };
    add("requests a second", "requests_per_s", "13.1");
    add("latency, median, ms", "latency_p50_ms", "-");
    add("latency, greatest, ms", "latency_max_ms", "1,700");
    add("requests missed in the cut, both sides", "cut_missed", "-");
    add("recovery from the cut, s", "cut_recovery_s", "-");
    add("  per missed request, ms", "cut_recovery_ms_per_missed", "95");
    add("requests missed in the reboot", "reboot_missed", "-");
    add("recovery from the reboot, s", "reboot_recovery_s", "-");
    add("  per missed request, ms", "reboot_recovery_ms_per_missed", "235");
    driver::say("\nThe paper's scenario: two services, one client each that waits for each answer, all on this machine\n\n" +
                text.to_text() +
                "  Recovery includes the wait before the next attempt to connect, and the start of the process.\n");
}

void run_large_updates(driver& suite) {
    table text({"large updates, a second", "alone", "replicated", "change %", "paper %"});
    for (const std::uint64_t bytes : {10'000, 100'000, 1'000'000}) {
        std::vector<row> alone;
        std::vector<row> replicated;
        for (unsigned run = suite.runs(5); run > 0; --run) {
            driver::progress("paper, updates of " + grouped(bytes) + " bytes");
            for (const bool is_replicated : {false, true}) {
                const json::object parameters{{"bytes", bytes},
                                              {"seconds", lengths_of(suite.asked().size).large},
                                              {"replicated", is_replicated}};
                (is_replicated ? replicated : alone).push_back(suite.measure("large-updates", parameters).at(0));
            }
        }
        const auto with = median_of(replicated);
        const auto without = median_of(alone);
        const double change =
            (*number_of(&with, "requests_per_s") / *number_of(&without, "requests_per_s") - 1) * 100;
        const auto& kept = suite.keep("paper-large", {{"system", "anabranch"},
                                                      {"engine", "rocksdb"},
                                                      {"bytes", bytes},
                                                      {"alone_per_s", without.at("requests_per_s")},
                                                      {"replicated_per_s", with.at("requests_per_s")},
                                                      {"change_percent", change},
                                                      {"caught_up_s", with.at("caught_up_s")}});
        text.add({grouped(bytes) + " bytes", significant(number_of(&kept, "alone_per_s")),
                  significant(number_of(&kept, "replicated_per_s")), (change < 0 ? "-" : "+") + significant(std::abs(change)),
                  "-17"});
    }
    driver::say("\n" + text.to_text());
}

}  // namespace

void run_part(driver& suite) {
    run_faults(suite);
    run_large_updates(suite);
}

}  // namespace bench::paper
