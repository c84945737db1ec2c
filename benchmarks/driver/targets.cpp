#include "driver/targets.hpp"

#include <algorithm>

#include "driver/driver.hpp"
#include "driver/table.hpp"

namespace bench {

namespace {

using value = std::optional<double>;

value times(double factor, value v) { return v ? value(factor * *v) : v; }

value greater(value a, value b) { return a && b ? std::max(*a, *b) : a ? a : b; }

const row* reconnect(const std::vector<row>& kept, const char* system, const char* engine, std::uint64_t n) {
    return find_row(kept, "retail-reconnect", system, engine, n);
}

void add_reconnect(std::vector<target>& all, const std::vector<row>& kept, std::uint64_t n) {
    const auto at = [&](const char* system, const char* engine) { return reconnect(kept, system, engine, n); };
    const auto* memory = at("anabranch", "memory");
    const auto* disk = at("anabranch", "rocksdb");
    const auto* yrs = at("yrs-v2", "memory");
    const auto* loro = at("loro", "memory");
    const auto rate = [](const row* of) { return number_of(of, "commits_per_s"); };
    const auto larger = [](const row* of) {
        return greater(number_of(of, "bytes_edge_to_cloud"), number_of(of, "bytes_cloud_to_edge"));
    };
    all.insert(all.end(), {
        {"commits/s, memory", ">= Yrs", rate(memory), greater(rate(at("yrs-v1", "memory")), rate(yrs)), false},
        {"commits/s, RocksDB, no fsync", ">= 0.8 bare Put", rate(disk), times(0.8, rate(at("rocksdb-put", "rocksdb"))), false},
        {"fsync each, 16 threads, a second", ">= 0.9 bare RocksDB", rate(at("anabranch-fsync-16", "rocksdb")),
         times(0.9, rate(at("rocksdb-fsync-16", "rocksdb"))), false},
        {"reconnect CPU s, memory", "<= 0.8 Loro", number_of(memory, "reconnect_cpu_s"),
         times(0.8, number_of(loro, "reconnect_cpu_s"))},
        {"reconnect CPU s, RocksDB", "<= 1.5 Loro", number_of(disk, "reconnect_cpu_s"),
         times(1.5, number_of(loro, "reconnect_cpu_s"))},
        {"bytes, larger direction", "<= 0.25 Yrs v2", larger(memory), times(0.25, larger(yrs))},
        {"bytes, nothing new", "<= 100", number_of(memory, "nothing_new_bytes"), 100},
        {"bytes, 100 more", "<= Loro", number_of(memory, "hundred_more_bytes"), number_of(loro, "hundred_more_bytes")},
        {"peak MiB, RocksDB, both replicas", "<= 64", number_of(disk, "peak_rss_mib"), 64},
    });
}

/// What history must not make dearer.
void add_history(std::vector<target>& all, const std::vector<row>& kept, std::uint64_t n) {
    constexpr std::uint64_t million = 1'000'000;
    const auto* ten_thousand = reconnect(kept, "anabranch", "memory", 10'000);
    const auto* longest = reconnect(kept, "anabranch", "memory", million);
    if (ten_thousand && longest) {
        all.push_back({"bytes, nothing new, after 1,000,000", "those after 10,000", number_of(longest, "nothing_new_bytes"),
                       number_of(ten_thousand, "nothing_new_bytes")});
        // Sequence numbers have another digit.
        all.push_back({"bytes, 100 more, after 1,000,000", "<= 1.1 those after 10,000", number_of(longest, "hundred_more_bytes"),
                       times(1.1, number_of(ten_thousand, "hundred_more_bytes"))});
    }
    const auto* disk = reconnect(kept, "anabranch", "rocksdb", million);
    if (!disk || n == million) return;
    all.push_back({"peak MiB, N = 1,000,000, log limit on", "<= 1.2 that of " + grouped(n), number_of(disk, "peak_rss_mib"),
                   times(1.2, number_of(reconnect(kept, "anabranch", "rocksdb", n), "peak_rss_mib"))});
}

/// Bounded by the watermark's lag: not by what has been committed since the store was opened.
void add_opening(std::vector<target>& all, const std::vector<row>& kept) {
    std::vector<std::pair<double, double>> killed;  // commits, ms
    value closed;
    double rows = 0;
    for (const auto& each : kept) {
        if (each.at("part").as_string() != "opening") continue;
        rows = *number_of(&each, "rows");
        const double ms = *number_of(&each, "open_s") * 1000;
        if (each.at("after").as_string() == "close") closed = ms;
        else killed.emplace_back(*number_of(&each, "commits"), ms);
    }
    if (!closed) return;
    all.push_back({"open ms, " + whole(rows) + " rows, closed", "<= 50", closed, 50});
    if (killed.size() < 2) return;
    const auto& [few, short_time] = killed[killed.size() - 2];
    const auto& [many, long_time] = killed.back();
    all.push_back({"open ms, killed after " + whole(many) + " commits", "< " + whole(many / few) + " times after " + whole(few),
                   long_time, short_time * many / few});
}

void add_scenarios(std::vector<target>& all, const std::vector<row>& kept) {
    const auto* live = find_row(kept, "propagation", "anabranch", "rocksdb");
    all.push_back({"live propagation ms, p50, RocksDB", "<= 1", number_of(live, "propagation_p50_ms"), 1});
    all.push_back({"live propagation ms, p99, RocksDB", "<= 5", number_of(live, "propagation_p99_ms"), 5});
    // Few are missed at the paper's own pace, and share the wait before the next attempt to connect.
    for (const char* part : {"paper", "paper-pace"}) {
        const auto* scenario = find_row(kept, part, "anabranch", "rocksdb");
        const std::string pace = part == std::string_view("paper") ? "" : ", 13.1 a second";
        all.push_back({"recovery per missed request ms, link cut" + pace, "< 0.1",
                       number_of(scenario, "cut_recovery_ms_per_missed"), 0.1});
        all.push_back({"recovery per missed request ms, reboot" + pace, "< 0.1",
                       number_of(scenario, "reboot_recovery_ms_per_missed"), 0.1});
    }
    const auto* disk = find_row(kept, "disk", "anabranch", "rocksdb");
    all.push_back({"disk at the end, of a fresh copy", "within 2", number_of(disk, "end_of_fresh"), 2});
    all.push_back({"disk bytes meanwhile", "<= 2 copies, log limit, 2 buffers", number_of(disk, "peak_bytes"),
                   number_of(disk, "bound_bytes")});
}

/// The dearest size of the cheapest, for operations on objects of 10 elements and more.
void add_growth(std::vector<target>& all, const std::vector<row>& kept) {
    for (const char* engine : {"memory", "rocksdb"}) {
        for (const char* name : {"write-same", "read-same", "write-random", "read-random"}) {
            std::vector<double> costs;
            double most = 0;
            for (const auto& each : kept) {
                if (each.at("part").as_string() != "micro" || each.at("engine").as_string() != engine) continue;
                if (each.at("name").as_string() != "growth/" + std::string(name) + "-by-elements") continue;
                costs.push_back(*number_of(&each, "cpu_ns"));
                most = std::max(most, *number_of(&each, "size"));
            }
            if (costs.empty()) continue;
            all.push_back({std::string(name) + ", 10 to " + whole(most) + " elements, " + engine, "within 2",
                           std::ranges::max(costs) / std::ranges::min(costs), 2});
        }
    }
}

}  // namespace

std::optional<std::uint64_t> target_size(const std::vector<row>& kept) {
    std::optional<std::uint64_t> largest;
    for (const auto& each : kept) {
        if (each.at("part").as_string() != "retail-reconnect") continue;
        const auto n = number_in(each, "n");
        if (n == 100'000) return n;
        largest = std::max(largest.value_or(0), n);
    }
    return largest;
}

std::vector<target> all_targets(const std::vector<row>& kept) {
    std::vector<target> all;
    if (const auto n = target_size(kept)) {
        add_reconnect(all, kept, *n);
        add_history(all, kept, *n);
    }
    add_opening(all, kept);
    add_scenarios(all, kept);
    add_growth(all, kept);
    return all;
}

}  // namespace bench
