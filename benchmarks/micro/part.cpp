#include <algorithm>
#include <map>

#include "driver/part.hpp"
#include "driver/plot.hpp"
#include "driver/table.hpp"

namespace bench::micro {

namespace {

constexpr std::string_view part_name = "micro";

json::object parameters_of(extent size, const char* engine) {
    switch (size) {
        case extent::smoke:
            return {{"engine", engine}, {"seconds", 0.0001}, {"most", 1'000}};
        case extent::quick:
            return {{"engine", engine}, {"seconds", 0.05}, {"most", 100'000}};
        case extent::full:
            break;
    }
    return {{"engine", engine}, {"seconds", 0.3}, {"most", 1'000'000}};
}

std::string text_of(const row& of, std::string_view field) { return std::string(of.at(field).as_string()); }

/// `by`: what grows.
plot growth(const std::vector<row>& kept, const std::string& by, const char* engine, std::string title) {
    plot drawn{std::move(title), by, "CPU ns of one operation", {}};
    for (const auto& each : kept) {
        if (each.at("part").as_string() != part_name) continue;
        auto name = text_of(each, "name");
        if (!name.starts_with("growth/") || !name.ends_with("-by-" + by)) continue;
        name = name.substr(7, name.size() - 7 - 4 - by.size());
        const bool is_comparison = name == "hash-table";
        if (text_of(each, "engine") != engine && !is_comparison) continue;
        auto line = std::ranges::find(drawn.lines, name, &plot::series::name);
        if (line == drawn.lines.end()) {
            const auto colour = is_comparison ? SIZE_MAX : drawn.lines.size();
            line = drawn.lines.insert(line, {.name = name, .colour = colour, .is_dashed = is_comparison});
        }
        line->points.emplace_back(*number_of(&each, "size"), *number_of(&each, "cpu_ns"));
    }
    return drawn;
}

/// Medians, in the order in which they were measured: it is the same in every run.
std::vector<row> measure_with(driver& suite, const char* engine, unsigned runs) {
    std::vector<std::vector<row>> measured;
    for (unsigned run = 1; run <= runs; ++run) {
        driver::progress(std::string("micro, ") + engine + ", run " + std::to_string(run) + " of " + std::to_string(runs));
        const auto all = suite.measure("micro", parameters_of(suite.asked().size, engine));
        measured.resize(all.size());
        for (std::size_t i = 0; i < all.size(); ++i) measured[i].push_back(all[i]);
    }
    std::vector<row> medians;
    for (const auto& each : measured) medians.push_back(median_of(each));
    return medians;
}

}  // namespace

void run_part(driver& suite) {
    const unsigned runs = suite.runs(5);
    for (const char* engine : {"memory", "rocksdb"}) {
        table text({std::string("operation, ") + engine, "size", "CPU ns", "wall ns", "of the smallest"});
        std::map<std::string, std::optional<double>> smallest;
        auto all = measure_with(suite, engine, runs);
        // One curve after the other.
        std::ranges::stable_sort(all, {}, [](const row& of) { return text_of(of, "name"); });
        for (auto& result : all) {
            result["system"] = text_of(result, "name").starts_with("growth/hash-table") ? "std::unordered_map" : "anabranch";
            const auto& kept = suite.keep(part_name, std::move(result));
            const auto cpu = number_of(&kept, "cpu_ns");
            const auto& first = smallest.try_emplace(text_of(kept, "name"), cpu).first->second;
            text.add({text_of(kept, "name"), whole(number_of(&kept, "size")), significant(cpu),
                      significant(number_of(&kept, "wall_ns")), number_of(&kept, "size") ? ratio(cpu, first) : "-"});
        }
        driver::say("\nSingle operations, " + (runs > 1 ? "medians of " + std::to_string(runs) : std::string("one run")) +
                    "\n\n" + text.to_text());
    }
    const auto keep = [&](const char* name, const char* by, const char* engine, const char* title) {
        suite.keep_picture(name, draw(growth(suite.kept(), by, engine, title)));
    };
    keep("growth-elements-memory", "elements", "memory", "One operation on a set as it grows, in memory");
    keep("growth-elements-rocksdb", "elements", "rocksdb", "One operation on a set as it grows, RocksDB");
    keep("growth-history", "history", "memory", "One write after that many others, in memory");
    keep("growth-replicas", "replicas", "memory", "One operation on a counter of that many replicas, in memory");
}

}  // namespace bench::micro
