#include "retail_reconnect/report.hpp"

#include <algorithm>

#include "driver/table.hpp"

namespace bench::retail {

namespace {

std::string text_of(const row& of, std::string_view field) { return std::string(of.at(field).as_string()); }

/// Rows of one size, and those that the others are compared with.
struct field_of_contenders {
    std::vector<const row*> ran;    // the workload
    std::vector<const row*> floor;  // writes only
    const row* yrs = nullptr;
    const row* loro = nullptr;
    const row* put = nullptr;
};

field_of_contenders of_size(const std::vector<row>& kept, std::uint64_t n) {
    field_of_contenders found;
    for (const auto& each : kept) {
        if (each.at("part").as_string() != part_name || number_in(each, "n") != n) continue;
        const auto system = text_of(each, "system");
        (each.contains("round_trips") ? found.ran : found.floor).push_back(&each);
        if (system == "yrs-v2") found.yrs = &each;
        if (system == "loro") found.loro = &each;
        if (system == "rocksdb-put") found.put = &each;
    }
    return found;
}

std::string verdict(const row& of) {
    const auto* ok = of.if_contains("values_ok");
    if (!ok) return "-";
    const auto tags = number_of(&of, "tags_mismatched");
    if (!ok->as_bool()) return "WRONG";
    return tags && *tags > 0 ? whole(tags) + " sets lost" : "right";
}

std::string commit_table(const field_of_contenders& all) {
    table t({"commits, one side", "engine", "commits/s", "of Yrs v2", "of Loro", "of Put", "CPU s", "peak MiB", "of Yrs v2",
             "of Loro", "open s", "disk bytes"});
    for (const auto* each : all.ran) {
        const auto rate = number_of(each, "commits_per_s");
        const auto memory = number_of(each, "peak_rss_mib");
        t.add({text_of(*each, "system"), text_of(*each, "engine"), significant(rate),
               ratio(rate, number_of(all.yrs, "commits_per_s")), ratio(rate, number_of(all.loro, "commits_per_s")),
               ratio(rate, number_of(all.put, "commits_per_s")), significant(number_of(each, "commit_cpu_s")),
               significant(memory), ratio(memory, number_of(all.yrs, "peak_rss_mib")),
               ratio(memory, number_of(all.loro, "peak_rss_mib")), significant(number_of(each, "open_s")),
               whole(number_of(each, "disk_bytes"))});
    }
    return t.to_text();
}

std::string reconnect_table(const field_of_contenders& all) {
    table t({"reconnect, both sides", "engine", "wall s", "CPU s", "of Yrs v2", "of Loro", "bytes to cloud", "to edge",
             "larger of Yrs v2", "of Loro", "trips", "nothing new", "100 more", "of Loro", "values"});
    for (const auto* each : all.ran) {
        const auto cpu = number_of(each, "reconnect_cpu_s");
        const auto larger = larger_direction(each);
        const auto more = number_of(each, "hundred_more_bytes");
        t.add({text_of(*each, "system"), text_of(*each, "engine"), significant(number_of(each, "reconnect_wall_s")),
               significant(cpu), ratio(cpu, number_of(all.yrs, "reconnect_cpu_s")),
               ratio(cpu, number_of(all.loro, "reconnect_cpu_s")), whole(number_of(each, "bytes_edge_to_cloud")),
               whole(number_of(each, "bytes_cloud_to_edge")), ratio(larger, larger_direction(all.yrs)),
               ratio(larger, larger_direction(all.loro)), significant(number_of(each, "round_trips")),
               whole(number_of(each, "nothing_new_bytes")), whole(more),
               ratio(more, number_of(all.loro, "hundred_more_bytes")), verdict(*each)});
    }
    return t.to_text();
}

std::string floor_table(const field_of_contenders& all) {
    table t({"the floor", "operations", "a second", "of bare Put", "CPU s", "bytes a record"});
    for (const auto* each : all.floor) {
        const auto rate = number_of(each, "commits_per_s");
        t.add({text_of(*each, "system"), whole(number_of(each, "operations")), significant(rate),
               ratio(rate, number_of(all.put, "commits_per_s")), significant(number_of(each, "commit_cpu_s")),
               whole(number_of(each, "record_bytes"))});
    }
    return t.to_text();
}

}  // namespace

std::string report(const std::vector<row>& kept, std::uint64_t n, unsigned runs) {
    const auto all = of_size(kept, n);
    return "\nretail-reconnect, N = " + grouped(n) + " operations a side, " +
           (runs > 1 ? "medians of " + std::to_string(runs) : "one run") + "\n\n" + commit_table(all) + "\n" +
           reconnect_table(all) + "\n" + floor_table(all);
}

}  // namespace bench::retail
