#include <algorithm>
#include <map>

#include "driver/part.hpp"
#include "driver/table.hpp"

namespace bench::micro {

namespace {

constexpr std::string_view part_name = "micro";

json::object parameters_of(extent size) {
    switch (size) {
        case extent::smoke:
            return {{"seconds", 0.0001}, {"most", 1'000}};
        case extent::quick:
            return {{"seconds", 0.05}, {"most", 100'000}};
        case extent::full:
            break;
    }
    return {{"seconds", 0.3}, {"most", 1'000'000}};
}

std::string name_of(const row& of) { return std::string(of.at("name").as_string()); }

plot growth(const std::vector<row>& kept) {
    plot drawn{"Cost of one operation as what it is done to grows", "elements, history or replicas", "ns", {}};
    for (const auto& each : kept) {
        if (each.at("part").as_string() != part_name || !name_of(each).starts_with("growth/")) continue;
        const auto name = name_of(each).substr(7);
        auto line = std::ranges::find(drawn.lines, name, &plot::series::name);
        if (line == drawn.lines.end()) line = drawn.lines.insert(line, {name, {}});
        line->points.emplace_back(*number_of(&each, "size"), *number_of(&each, "cpu_ns"));
    }
    return drawn;
}

}  // namespace

void run_part(driver& suite) {
    const unsigned runs = suite.runs(5);
    // Rows come in the same order in every run.
    std::vector<std::vector<row>> measured;
    for (unsigned run = 1; run <= runs; ++run) {
        driver::progress("micro, run " + std::to_string(run) + " of " + std::to_string(runs));
        const auto all = suite.measure("micro", parameters_of(suite.asked().size));
        measured.resize(all.size());
        for (std::size_t i = 0; i < all.size(); ++i) measured[i].push_back(all[i]);
    }
    table text({"operation, in memory", "size", "CPU ns", "wall ns", "of the smallest"});
    std::map<std::string, std::optional<double>> smallest;
    for (const auto& each : measured) {
        auto result = median_of(each);
        result["system"] = "anabranch";
        result["engine"] = "memory";
        const auto& kept = suite.keep(part_name, std::move(result));
        const auto cpu = number_of(&kept, "cpu_ns");
        const auto& first = smallest.try_emplace(name_of(kept), cpu).first->second;
        text.add({name_of(kept), whole(number_of(&kept, "size")), significant(cpu),
                  significant(number_of(&kept, "wall_ns")), number_of(&kept, "size") ? ratio(cpu, first) : "-"});
    }
    driver::say("\nSingle operations, " + (runs > 1 ? "medians of " + std::to_string(runs) : std::string("one run")) +
                "\n\n" + text.to_text());
    suite.keep_plot("growth", growth(suite.kept()));
}

}  // namespace bench::micro
