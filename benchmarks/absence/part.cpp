// What it costs to come back after the log has been cut, and to begin with nothing.
#include "absence/measurements.hpp"
#include "driver/part.hpp"
#include "driver/table.hpp"

namespace bench::absence {

namespace {

constexpr std::string_view part_name = "absence";

std::uint64_t rows_of(extent size) {
    return size == extent::smoke ? 2'000 : size == extent::quick ? 100'000 : 1'000'000;
}

struct meanwhile {
    std::uint64_t changed;
    std::uint64_t removed;
    const char* where;
};

}  // namespace

void run_part(driver& suite) {
    const auto rows = rows_of(suite.asked().size);
    const auto some = suite.asked().size == extent::smoke ? std::uint64_t{50} : std::uint64_t{1'000};
    const meanwhile cases[] = {{some, 0, "anywhere"}, {some, 0, "together"}, {0, some, "anywhere"}, {some * 10, 0, "anywhere"}};
    table text({"back behind the cut", "rows", "changed", "removed", "bytes of these rows", "bytes to edge", "to cloud", "round trips",
                "CPU s: cloud", "edge", "state"});
    for (const char* engine : {"memory", "rocksdb"}) {
        for (const auto& m : cases) {
            driver::progress("absence, " + std::string(engine) + ", " + std::to_string(m.changed) + " changed, " + std::to_string(m.removed) +
                             " removed " + m.where);
            std::vector<row> runs;
            for (unsigned run = 0; run < suite.runs(3); ++run) {
                runs.push_back(suite.measure("absence", {{"engine", engine}, {"rows", rows}, {"changed", m.changed}, {"removed", m.removed},
                                                         {"where", m.where}}).at(0));
            }
            const auto& kept = suite.keep(part_name, median_of(runs));
            const auto number = [&](const char* field) { return whole(number_of(&kept, field)); };
            const auto decimal = [&](const char* field) { return significant(number_of(&kept, field)); };
            text.add({std::string(engine) + ", " + m.where, number("rows"), number("changed"), number("removed"), number("bytes_of_rows"),
                      number("bytes_to_edge"), number("bytes_to_cloud"), decimal("round_trips"), decimal("cloud_cpu_s"), decimal("edge_cpu_s"),
                      kept.at("values_ok").as_bool() ? "equal" : "WRONG"});
        }
    }
    driver::say("\n" + text.to_text());

    driver::progress("bootstrap");
    std::vector<row> runs;
    for (unsigned run = 0; run < suite.runs(3); ++run) runs.push_back(suite.measure("bootstrap", {{"rows", rows}}).at(0));
    const auto& kept = suite.keep("bootstrap", median_of(runs));
    table copies({"a new replica over loopback", "rows", "bytes of rows", "received", "s", "CPU s: both sides", "copied by RocksDB: s", "of its speed", "state"});
    copies.add({"rocksdb", whole(number_of(&kept, "rows")), whole(number_of(&kept, "bytes_of_rows")), whole(number_of(&kept, "bytes_received")),
                significant(number_of(&kept, "bootstrap_wall_s")), significant(number_of(&kept, "bootstrap_cpu_s")),
                significant(number_of(&kept, "copy_wall_s")), significant(number_of(&kept, "of_copy_speed")),
                kept.at("values_ok").as_bool() ? "equal" : "WRONG"});
    driver::say("\n" + copies.to_text());
}

}  // namespace bench::absence
