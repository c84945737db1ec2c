#include <algorithm>

#include "driver/part.hpp"
#include "driver/plot.hpp"
#include "driver/table.hpp"

namespace bench::convergence {

namespace {

constexpr std::string_view part_name = "convergence";
constexpr std::uint64_t per_second = 100;

/// One set of conditions.
struct conditions {
    std::uint64_t replicas = 2;
    const char* topology = "star";
    std::uint64_t seconds = 100;
    std::uint64_t rtt_ms = 20;
    std::uint64_t mbit_per_s = 10;
    bool is_folded = true;
};

json::object to_json(const conditions& c) {
    return {{"replicas", c.replicas}, {"topology", c.topology},     {"seconds", c.seconds}, {"per_second", per_second},
            {"rtt_ms", c.rtt_ms},     {"mbit_per_s", c.mbit_per_s}, {"folded", c.is_folded}};
}

struct series {
    const char* title;
    std::vector<conditions> all;
};

/// One thing is varied at a time, from a shop with a mediocre link.
std::vector<series> all_series(extent size) {
    const bool is_full = size == extent::full;
    const std::uint64_t longest = is_full ? 1'000 : size == extent::quick ? 100 : 1;
    series lengths{"disconnection", {}};
    for (const bool is_folded : {true, false}) {
        for (std::uint64_t seconds = 1; seconds <= longest; seconds *= 10) {
            lengths.all.push_back({.seconds = seconds, .is_folded = is_folded});
        }
    }
    const std::uint64_t usual = std::min<std::uint64_t>(longest, 100);
    series links{"link", {}};
    for (const std::uint64_t rtt : {1, 20, 100}) {
        for (const std::uint64_t mbit : {1, 10, 100}) {
            links.all.push_back({.seconds = usual, .rtt_ms = rtt, .mbit_per_s = mbit});
        }
    }
    series groups{"replicas", {}};
    for (const std::uint64_t replicas : {2, 5, 20}) {
        if (replicas == 20 && size == extent::smoke) continue;
        for (const char* topology : {"star", "chain", "mesh"}) {
            groups.all.push_back({.replicas = replicas, .topology = topology, .seconds = std::min<std::uint64_t>(longest, 10)});
        }
    }
    return {lengths, links, groups};
}

std::string milliseconds(const row& of) { return significant(number_of(&of, "converge_ms")); }

void run_series(driver& suite, const series& one) {
    table text({one.title, "operations missed", "RTT ms", "Mbit/s", "replicas", "topology", "folded", "ms", "bytes, all links"});
    for (const auto& each : one.all) {
        driver::progress("convergence, " + std::to_string(each.replicas) + " replicas, " + each.topology + ", " +
                         std::to_string(each.seconds) + " s");
        auto result = suite.measure("virtual", to_json(each)).at(0);
        result["series"] = one.title;
        const auto& kept = suite.keep(part_name, std::move(result));
        text.add({std::to_string(each.seconds) + " s apart", whole(number_of(&kept, "missed")), std::to_string(each.rtt_ms),
                  std::to_string(each.mbit_per_s), std::to_string(each.replicas), each.topology,
                  each.is_folded ? "yes" : "no", milliseconds(kept), whole(number_of(&kept, "bytes"))});
    }
    driver::say("\n" + text.to_text());
}

/// Of what was varied in one series: a line for each `name`, its points at x.
plot plot_of(const std::vector<row>& kept, const char* series, std::string title, const char* x_label,
             const std::function<double(const row&)>& x, const std::function<std::string(const row&)>& name) {
    plot drawn{std::move(title), x_label, "ms until all have everything", {}};
    for (const auto& each : kept) {
        if (each.at("part").as_string() != part_name || each.at("series").as_string() != series) continue;
        auto line = std::ranges::find(drawn.lines, name(each), &plot::series::name);
        if (line == drawn.lines.end()) {
            line = drawn.lines.insert(line, {.name = name(each), .colour = drawn.lines.size()});
        }
        line->points.emplace_back(x(each), *number_of(&each, "converge_ms"));
    }
    return drawn;
}

void keep_pictures(driver& suite) {
    const auto number = [](const char* field) { return [field](const row& of) { return *number_of(&of, field); }; };
    const auto text = [](const char* field) { return [field](const row& of) { return std::string(of.at(field).as_string()); }; };
    suite.keep_picture("convergence-disconnection",
                       draw(plot_of(suite.kept(), "disconnection", "Time to converge: 2 replicas, RTT 20 ms, 10 Mbit/s",
                                    "operations missed by each", number("missed"), text("system"))));
    suite.keep_picture("convergence-link",
                       draw(plot_of(suite.kept(), "link", "Time to converge: 2 replicas, the link varied", "RTT in ms",
                                    number("rtt_ms"), [](const row& of) {
                                        return whole(number_of(&of, "mbit_per_s")) + " Mbit/s";
                                    })));
    suite.keep_picture("convergence-replicas",
                       draw(plot_of(suite.kept(), "replicas", "Time to converge: RTT 20 ms, 10 Mbit/s", "replicas",
                                    number("replicas"), text("topology"))));
}

void run_virtual(driver& suite) {
    driver::say(
        "\nConvergence against conditions: each replica writes 100 times a second while it is apart. Virtual time: only the "
        "network takes any, so this is exact and the same in every run.\n");
    for (const auto& one : all_series(suite.asked().size)) run_series(suite, one);
    keep_pictures(suite);
}

/// The same over the kernel's network, processing included.
void run_namespaces(driver& suite) {
    const std::uint64_t operations = suite.asked().size == extent::smoke ? 100 : 10'000;
    const json::object parameters{{"operations", operations}, {"rtt_ms", 20}, {"mbit_per_s", 10}};
    std::vector<row> measured;
    for (unsigned run = suite.runs(5); run > 0; --run) {
        driver::progress("convergence, network namespaces");
        measured.push_back(suite.measure("namespaces", parameters).at(0));
        if (const auto* why = measured.back().if_contains("skipped")) {
            suite.keep("convergence-real", measured.back());
            driver::say("\nNo real link here: " + std::string(why->as_string()) + ".\n");
            return;
        }
    }
    const auto& kept = suite.keep("convergence-real", median_of(measured));
    const bool is_delayed = number_of(&kept, "rtt_ms").has_value();
    table text({"a real link (veth)", "operations missed", "RTT ms", "Mbit/s", "ms", "bytes"});
    text.add({"two processes, " + std::string(kept.at("shaped_by").as_string()), whole(number_of(&kept, "missed")),
              is_delayed ? whole(number_of(&kept, "rtt_ms")) : "none", whole(number_of(&kept, "mbit_per_s")),
              milliseconds(kept), whole(number_of(&kept, "bytes"))});
    driver::say("\n" + text.to_text() +
                (is_delayed ? "" : "  This kernel has no netem: the rate is limited, and nothing is delayed.\n"));
}

void run_propagation(driver& suite) {
    const std::uint64_t samples = suite.asked().size == extent::smoke ? 50 : 2'000;
    table text({"live propagation, loopback TCP", "commits", "p50 ms", "p99 ms"});
    for (const char* engine : {"memory", "rocksdb"}) {
        std::vector<row> measured;
        for (unsigned run = suite.runs(5); run > 0; --run) {
            driver::progress(std::string("live propagation, ") + engine);
            measured.push_back(suite.measure("propagation", {{"engine", engine}, {"samples", samples}}).at(0));
        }
        const auto& kept = suite.keep("propagation", median_of(measured));
        text.add({engine, whole(number_of(&kept, "samples")), significant(number_of(&kept, "propagation_p50_ms")),
                  significant(number_of(&kept, "propagation_p99_ms"))});
    }
    driver::say("\n" + text.to_text());
}

}  // namespace

void run_part(driver& suite) {
    run_virtual(suite);
    run_namespaces(suite);
    run_propagation(suite);
}

}  // namespace bench::convergence
