// The scenario of the paper that mirrors requests in a proxy, on two services that replicate their state instead.
#include <cmath>

#include "driver/part.hpp"
#include "driver/table.hpp"

namespace bench::paper {

namespace {

constexpr std::string_view part_name = "paper";

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

void run_faults(driver& suite) {
    const auto length = lengths_of(suite.asked().size);
    const unsigned runs = suite.runs(5);
    std::vector<row> measured;
    for (unsigned run = 1; run <= runs; ++run) {
        driver::progress("paper, link cut and reboot, run " + std::to_string(run) + " of " + std::to_string(runs));
        measured.push_back(suite
                               .measure("faults", {{"seconds", length.seconds},
                                                   {"cut_seconds", length.cut},
                                                   {"down_seconds", length.down}})
                               .at(0));
    }
    const auto& kept = suite.keep(part_name, median_of(measured));
    const auto value = [&](const char* name) { return number_of(&kept, name); };
    table text({"link cut of " + significant(length.cut) + " s, SIGKILL and restart", "here", "paper"});
    text.add({"requests a second", significant(value("requests_per_s")), "13.1"});
    text.add({"latency, median, ms", significant(value("latency_p50_ms")), "-"});
    text.add({"latency, greatest, ms", significant(value("latency_max_ms")), "1,700"});
    text.add({"requests missed in the cut, both sides", whole(value("cut_missed")), "-"});
    text.add({"recovery from the cut, s", significant(value("cut_recovery_s")), "-"});
    text.add({"  per missed request, ms", significant(value("cut_recovery_ms_per_missed")), "95"});
    text.add({"requests missed in the reboot", whole(value("reboot_missed")), "-"});
    text.add({"recovery from the reboot, s", significant(value("reboot_recovery_s")), "-"});
    text.add({"  per missed request, ms", significant(value("reboot_recovery_ms_per_missed")), "235"});
    driver::say("\nThe paper's scenario: two services, one client each that waits for each answer, all on this machine\n\n" +
                text.to_text());
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
