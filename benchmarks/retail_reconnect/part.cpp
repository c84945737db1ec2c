// Runs the workload on this library, on its peers and on the floor, in turns, and prints how they compare.
#include <map>

#include "driver/part.hpp"
#include "driver/peers.hpp"
#include "driver/table.hpp"
#include "retail_reconnect/measurements.hpp"
#include "retail_reconnect/report.hpp"

namespace bench::retail {

namespace {

/// Something to be run on the workload with n operations a side.
struct contender {
    std::string name;
    std::function<row(std::uint64_t n)> run;
};

std::vector<contender> contenders(const driver& suite, const peers& others) {
    std::vector<contender> all;
    for (const char* engine : {"memory", "rocksdb"}) {
        for (const bool is_folded : {true, false}) {
            all.push_back({std::string(engine) + (is_folded ? "" : ", unfolded"), [&suite, engine, is_folded](auto n) {
                               return suite.measure("reconnect", {{"engine", engine}, {"n", n}, {"folded", is_folded}}).at(0);
                           }});
        }
    }
    for (const auto& system : others.systems()) {
        all.push_back({system, [&others, system](auto n) { return others.measure(system, n); }});
    }
    for (const auto system : floor_systems()) {
        all.push_back({std::string(system), [&suite, system](auto n) {
                           return suite.measure("floor", {{"system", system}, {"n", n}}).at(0);
                       }});
    }
    return all;
}

/// In turns, so that what else goes on in the machine meets all of them.
void run_with(driver& suite, const std::vector<contender>& all, std::uint64_t n, unsigned runs) {
    std::map<std::string, std::vector<row>> measured;
    for (unsigned run = 1; run <= runs; ++run) {
        for (const auto& each : all) {
            driver::progress("retail-reconnect, N = " + grouped(n) + ", run " + std::to_string(run) + " of " +
                             std::to_string(runs) + ": " + each.name);
            measured[each.name].push_back(each.run(n));
        }
    }
    for (const auto& each : all) suite.keep(part_name, median_of(measured[each.name]));
}

std::vector<std::uint64_t> sizes(const settings& asked) {
    if (asked.n) return {*asked.n};
    if (asked.size == extent::smoke) return {200};
    if (asked.size == extent::quick) return {1'000, 10'000};
    return {1'000, 10'000, 100'000, 1'000'000};
}

}  // namespace

void run_part(driver& suite) {
    const peers others(suite.asked());
    const auto all = contenders(suite, others);
    const auto all_sizes = sizes(suite.asked());
    for (const auto n : all_sizes) {
        const unsigned runs = suite.runs(n >= 1'000'000 ? 3 : 5);
        run_with(suite, all, n, runs);
        driver::say(report(suite.kept(), n, runs));
    }
    for (const auto& [name, drawn] : pictures(suite.kept(), all_sizes)) suite.keep_picture(name, drawn);
}

}  // namespace bench::retail
