// How the library stands beside the others, to be looked at.
#include <algorithm>
#include <array>

#include "driver/bars.hpp"
#include "driver/plot.hpp"
#include "driver/table.hpp"
#include "retail_reconnect/report.hpp"

namespace bench::retail {

namespace {

std::string text_of(const row& of, std::string_view field) { return std::string(of.at(field).as_string()); }

/// In every picture the same; what is not here is left out of them.
constexpr std::array<std::string_view, 7> shown_systems = {"anabranch", "automerge",          "loro",       "yrs-v2",
                                                           "yrs-v1",    "anabranch-unfolded", "rocksdb-put"};

std::string name_of(const row& of) {
    const auto system = text_of(of, "system");
    const bool is_ours = system.starts_with("anabranch");
    return system + (is_ours && text_of(of, "engine") == "rocksdb" ? " (RocksDB)" : "");
}

using figure = std::function<std::optional<double>(const row*)>;

figure field(const char* name) {
    return [name](const row* of) { return number_of(of, name); };
}

plot by_size(const std::vector<row>& kept, std::string title, std::string y_label, const figure& value) {
    plot drawn{std::move(title), "operations a side", std::move(y_label), {}};
    for (const auto& each : kept) {
        if (each.at("part").as_string() != part_name) continue;
        const auto system = text_of(each, "system");
        const auto place = std::ranges::find(shown_systems, system);
        const auto y = value(&each);
        if (place == shown_systems.end() || !y) continue;
        auto line = std::ranges::find(drawn.lines, name_of(each), &plot::series::name);
        if (line == drawn.lines.end()) {
            line = drawn.lines.insert(line, {.name = name_of(each),
                                             .colour = static_cast<std::size_t>(place - shown_systems.begin()),
                                             .is_dashed = text_of(each, "engine") == "rocksdb",
                                             .is_strong = system == "anabranch"});
        }
        line->points.emplace_back(static_cast<double>(number_in(each, "n")), *y);
    }
    return drawn;
}

bars::group group_of(const std::vector<const row*>& all, std::string title, const figure& value, bool is_more_better) {
    bars::group made{std::move(title)};
    for (const auto* each : all) {
        const auto found = value(each);
        if (!found) continue;
        made.all.push_back({name_of(*each), *found, significant(*found), text_of(*each, "system") == "anabranch"});
    }
    std::ranges::stable_sort(made.all, [&](const auto& a, const auto& b) {
        return is_more_better ? a.value > b.value : a.value < b.value;
    });
    return made;
}

/// Which have not the add-wins result; our own are checked, too.
std::optional<double> wrong_sets(const row* of) {
    const auto found = number_of(of, "tags_mismatched");
    if (found) return found;
    return of->at("values_ok").as_bool() ? std::optional(0.0) : std::nullopt;
}

bars standing(const std::vector<row>& kept, std::uint64_t n) {
    std::vector<const row*> ran;
    std::vector<const row*> wrote;  // and bare RocksDB
    for (const auto& each : kept) {
        if (each.at("part").as_string() != part_name || number_in(each, "n") != n) continue;
        const auto system = text_of(each, "system");
        if (system == "anabranch-unfolded" || std::ranges::find(shown_systems, system) == shown_systems.end()) continue;
        wrote.push_back(&each);
        if (each.contains("round_trips")) ran.push_back(&each);
    }
    return {"Two replicas that were apart, " + grouped(n) + " operations a side: the best at the top",
            {group_of(wrote, "commits a second: more is better", field("commits_per_s"), true),
             group_of(ran, "CPU seconds of the reconnect: less is better", field("reconnect_cpu_s"), false),
             group_of(ran, "bytes, larger direction: less is better", larger_direction, false),
             group_of(ran, "peak MiB, both replicas: less is better", field("peak_rss_mib"), false),
             group_of(ran, "bytes, nothing new: less is better", field("nothing_new_bytes"), false),
             group_of(ran, "bytes, 100 more operations: less is better", field("hundred_more_bytes"), false),
             group_of(ran, "tag sets that lost an add, of 10,000: less is better", wrong_sets, false)}};
}

}  // namespace

std::optional<double> larger_direction(const row* of) {
    const auto there = number_of(of, "bytes_edge_to_cloud");
    const auto back = number_of(of, "bytes_cloud_to_edge");
    if (!there || !back) return {};
    return std::max(*there, *back);
}

std::vector<picture> pictures(const std::vector<row>& kept, const std::vector<std::uint64_t>& sizes) {
    std::vector<picture> all;
    for (const auto n : sizes) all.push_back({"standing-" + std::to_string(n), draw(standing(kept, n))});
    const auto add = [&](const char* name, std::string title, std::string y_label, const figure& value) {
        all.push_back({name, draw(by_size(kept, std::move(title), std::move(y_label), value))});
    };
    add("commits", "Commits a second, one side: more is better", "commits a second", field("commits_per_s"));
    add("reconnect-cpu", "CPU of the reconnect, both sides: less is better", "seconds", field("reconnect_cpu_s"));
    add("reconnect-bytes", "Bytes of the reconnect, larger direction: less is better", "bytes", larger_direction);
    add("peak-memory", "Peak memory, both replicas: less is better", "MiB", field("peak_rss_mib"));
    return all;
}

}  // namespace bench::retail
