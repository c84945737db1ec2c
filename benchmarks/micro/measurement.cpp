#include <benchmark/benchmark.h>

#include <sstream>

#include "measure/cost.hpp"
#include "micro/measurements.hpp"
#include "micro/objects.hpp"

namespace bench::micro {

namespace {

/// Keeps what others print.
class collector final : public benchmark::BenchmarkReporter {
  public:
    bool ReportContext(const Context&) override { return true; }

    void ReportRuns(const std::vector<Run>& runs) override {
        for (const auto& run : runs) {
            if (run.error_occurred) throw std::runtime_error(run.benchmark_name() + ": " + run.error_message);
            // Of each item where a benchmark counts those; of each turn otherwise.
            const auto counted = run.counters.find("items_per_second");
            const bool has_items = counted != run.counters.end();
            const double cpu_ns = run.GetAdjustedCPUTime();
            const double items = has_items ? counted->second.value * cpu_ns * 1e-9 : 1;
            row made{{"name", run.run_name.function_name}, {"wall_ns", run.GetAdjustedRealTime() / items},
                     {"cpu_ns", cpu_ns / items}, {"iterations", run.iterations}};
            made["size"] = run.run_name.args.empty() ? json::value(nullptr) : json::value(std::stoll(run.run_name.args));
            collected.push_back(std::move(made));
        }
    }

    rows collected;
};

}  // namespace

rows measure_operations(const json::object& parameters) {
    const auto most = static_cast<std::int64_t>(number_in(parameters, "most"));
    const bool is_in_memory = text_in(parameters, "engine") == "memory";
    workshop shop(is_in_memory ? std::optional<std::filesystem::path>() : scratch_in(parameters));
    register_store_operations(shop, most);
    if (is_in_memory) {
        register_row_operations();
        register_folds();
    }
    register_growth(shop, most);
    std::string seconds = "--benchmark_min_time=" + std::to_string(parameters.at("seconds").to_number<double>());
    std::string name = "anabranch-bench";
    const auto* asked = parameters.if_contains("filter");
    std::string filter = "--benchmark_filter=" + (asked ? std::string(asked->as_string()) : ".");
    char* arguments[] = {name.data(), seconds.data(), filter.data(), nullptr};
    int count = 3;
    benchmark::Initialize(&count, arguments);
    collector all;
    benchmark::RunSpecifiedBenchmarks(&all);
    for (auto& each : all.collected) each["engine"] = parameters.at("engine");
    return all.collected;
}

}  // namespace bench::micro
