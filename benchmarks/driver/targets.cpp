// The table "Where it must get to" of the issue that asked for the suite, with what was measured. Nothing here fails.
#include <algorithm>
#include <functional>

#include "driver/part.hpp"
#include "driver/table.hpp"

namespace bench {

namespace {

using value = std::optional<double>;

struct target {
    const char* figure;
    const char* goal;
    value measured;  // nothing: not part of this run
    value bound;
    bool is_at_most;
};

/// The size that the targets are for, or the largest that was run.
value target_size(const std::vector<row>& kept) {
    value largest;
    for (const auto& each : kept) {
        if (each.at("part").as_string() != "retail-reconnect") continue;
        const auto n = static_cast<double>(number_in(each, "n"));
        if (n == 100'000) return n;
        largest = std::max(largest.value_or(0), n);
    }
    return largest;
}

value times(double factor, value v) { return v ? value(factor * *v) : v; }

value greater(value a, value b) { return a && b ? std::max(*a, *b) : a ? a : b; }

std::vector<target> reconnect_targets(const std::vector<row>& kept) {
    const auto size = target_size(kept);
    if (!size) return {};
    const auto n = static_cast<std::uint64_t>(*size);
    const auto at = [&](const char* system, const char* engine) {
        return find_row(kept, "retail-reconnect", system, engine, n);
    };
    const auto* memory = at("anabranch", "memory");
    const auto* disk = at("anabranch", "rocksdb");
    const auto* yrs = at("yrs-v2", "memory");
    const auto* loro = at("loro", "memory");
    const auto rate = [](const row* of) { return number_of(of, "commits_per_s"); };
    const auto larger = [](const row* of) {
        return greater(number_of(of, "bytes_edge_to_cloud"), number_of(of, "bytes_cloud_to_edge"));
    };
    const auto* million = find_row(kept, "retail-reconnect", "anabranch", "rocksdb", 1'000'000);
    std::vector<target> all = {
        {"commits/s, memory", ">= Yrs", rate(memory), greater(rate(at("yrs-v1", "memory")), rate(yrs)), false},
        {"commits/s, RocksDB, no fsync", ">= 0.8 bare Put", rate(disk), times(0.8, rate(at("rocksdb-put", "rocksdb"))), false},
        {"fsync each, 16 threads, a second", ">= 0.9 bare RocksDB", rate(at("anabranch-fsync-16", "rocksdb")),
         times(0.9, rate(at("rocksdb-fsync-16", "rocksdb"))), false},
        {"reconnect CPU s, memory", "<= 0.8 Loro", number_of(memory, "reconnect_cpu_s"),
         times(0.8, number_of(loro, "reconnect_cpu_s")), true},
        {"reconnect CPU s, RocksDB", "<= 1.5 Loro", number_of(disk, "reconnect_cpu_s"),
         times(1.5, number_of(loro, "reconnect_cpu_s")), true},
        {"bytes, larger direction", "<= 0.25 Yrs v2", larger(memory), times(0.25, larger(yrs)), true},
        {"bytes, nothing new", "<= 100", number_of(memory, "nothing_new_bytes"), 100, true},
        {"bytes, 100 more", "<= Loro", number_of(memory, "hundred_more_bytes"), number_of(loro, "hundred_more_bytes"), true},
        {"peak MiB, RocksDB, both replicas", "<= 64", number_of(disk, "peak_rss_mib"), 64, true},
    };
    if (million && n != 1'000'000) {
        all.push_back({"the same, N = 1,000,000", "<= 1.2 of that", number_of(million, "peak_rss_mib"),
                       times(1.2, number_of(disk, "peak_rss_mib")), true});
    }
    return all;
}

/// The dearest size of the cheapest, for operations on objects of 10 elements and more.
value growth_by_elements(const std::vector<row>& kept) {
    value worst;
    for (const char* name : {"growth/write-by-elements", "growth/read-by-elements"}) {
        std::vector<double> costs;
        for (const auto& each : kept) {
            if (each.at("part").as_string() != "micro" || each.at("name").as_string() != name) continue;
            costs.push_back(*number_of(&each, "cpu_ns"));
        }
        if (!costs.empty()) worst = greater(worst, std::ranges::max(costs) / std::ranges::min(costs));
    }
    return worst;
}

std::string verdict(const target& t) {
    if (!t.bound) return "not known: no peer in this run";
    const bool is_reached = t.is_at_most ? *t.measured <= *t.bound : *t.measured >= *t.bound;
    return is_reached ? "reached" : "NOT reached";
}

}  // namespace

void say_targets(const driver& suite) {
    auto all = reconnect_targets(suite.kept());
    const auto* live = find_row(suite.kept(), "propagation", "anabranch", "rocksdb");
    all.push_back({"live propagation ms, p50, RocksDB", "<= 1", number_of(live, "propagation_p50_ms"), 1, true});
    all.push_back({"live propagation ms, p99, RocksDB", "<= 5", number_of(live, "propagation_p99_ms"), 5, true});
    const auto* scenario = find_row(suite.kept(), "paper", "anabranch", "rocksdb");
    for (const char* fault : {"cut", "reboot"}) {
        all.push_back({fault == std::string("cut") ? "recovery per missed request ms, link cut" : "the same, reboot",
                       "< 0.1", number_of(scenario, fault + std::string("_recovery_ms_per_missed")), 0.1, true});
    }
    all.push_back({"one operation, 10 to 1,000,000 elements", "within 2", growth_by_elements(suite.kept()), 2, true});
    if (std::ranges::none_of(all, [](const target& t) { return t.measured.has_value(); })) return;
    table text({"target", "goal", "goal in this run", "measured", ""});
    for (const auto& t : all) {
        if (t.measured) text.add({t.figure, t.goal, significant(t.bound), significant(t.measured), verdict(t)});
    }
    const auto size = target_size(suite.kept());
    driver::say("\nWhere it has to get to" +
                (size ? " (reconnect: N = " + grouped(static_cast<std::uint64_t>(*size)) + ")" : std::string()) + "\n\n" +
                text.to_text());
}

}  // namespace bench
