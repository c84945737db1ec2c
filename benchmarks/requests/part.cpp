// Requests that a mesh mirrors: what their identities cost, and what crosses the link that was there already.
#include "driver/part.hpp"
#include "driver/table.hpp"
#include "requests/measurements.hpp"

namespace bench::requests {

namespace {

constexpr std::string_view part_name = "requests";

std::uint64_t size_of(const settings& asked) {
    if (asked.n) return *asked.n;
    return asked.size == extent::smoke ? 200 : asked.size == extent::quick ? 10'000 : 100'000;
}

}  // namespace

void run_part(driver& suite) {
    const auto n = size_of(suite.asked());
    table text({"requests at the edge", "engine", "mirrored", "commits/s", "bytes to cloud", "to edge", "reconnect CPU s", "bytes an identity", "values"});
    for (const char* engine : {"memory", "rocksdb"}) {
        for (const std::uint64_t mirrored : {0, 95, 100}) {
            driver::progress("requests, " + std::string(engine) + ", " + std::to_string(mirrored) + " % mirrored");
            std::vector<row> runs;
            for (unsigned run = 0; run < suite.runs(3); ++run) {
                runs.push_back(suite.measure("requests", {{"engine", engine}, {"n", n}, {"mirrored", mirrored}}).at(0));
            }
            const auto& kept = suite.keep(part_name, median_of(runs));
            text.add({whole(number_of(&kept, "n")), engine, whole(number_of(&kept, "mirrored")), significant(number_of(&kept, "commits_per_s")),
                      whole(number_of(&kept, "bytes_edge_to_cloud")), whole(number_of(&kept, "bytes_cloud_to_edge")),
                      significant(number_of(&kept, "reconnect_cpu_s")), significant(number_of(&kept, "identity_bytes")),
                      kept.at("values_ok").as_bool() ? "right" : "WRONG"});
        }
    }
    driver::say("\n" + text.to_text());
    table reads({"read of a counter", "additions", "ns", "by requests that are pending: ns"});
    for (auto& each : suite.measure("pending-reads", {{"pending", n}})) {
        const auto& kept = suite.keep("pending-reads", std::move(each));
        reads.add({"memory", whole(number_of(&kept, "pending")), significant(number_of(&kept, "read_plain_ns")), significant(number_of(&kept, "read_pending_ns"))});
    }
    driver::say("\n" + reads.to_text());
}

}  // namespace bench::requests
