// How long a store with many rows takes to open.
#include "driver/part.hpp"
#include "driver/table.hpp"

namespace bench::opening {

namespace {

constexpr std::string_view part_name = "opening";

json::object parameters_of(const driver& suite) {
    const auto times = suite.runs(5);
    switch (suite.asked().size) {
        case extent::smoke:
            return {{"rows", 2'000}, {"commits", json::array{100}}, {"times", times}};
        case extent::quick:
            return {{"rows", 100'000}, {"commits", json::array{1'000, 10'000}}, {"times", times}};
        case extent::full:
            break;
    }
    return {{"rows", 1'000'000}, {"commits", json::array{1'000, 10'000, 100'000, 1'000'000}}, {"times", times}};
}

}  // namespace

void run_part(driver& suite) {
    driver::progress("opening");
    table text({"open and read once, RocksDB", "rows", "ms", "CPU ms", "peak MiB", "values"});
    for (auto& each : suite.measure("opening", parameters_of(suite))) {
        const auto& kept = suite.keep(part_name, std::move(each));
        const auto milliseconds = [&](const char* field) { return significant(*number_of(&kept, field) * 1000); };
        const bool is_killed = kept.at("after").as_string() == "kill";
        text.add({"after " + whole(number_of(&kept, "commits")) + " commits, " + (is_killed ? "SIGKILL" : "closed"),
                  whole(number_of(&kept, "rows")), milliseconds("open_s"), milliseconds("open_cpu_s"),
                  significant(number_of(&kept, "peak_rss_mib")), kept.at("values_ok").as_bool() ? "right" : "WRONG"});
    }
    driver::say("\n" + text.to_text());
}

}  // namespace bench::opening
