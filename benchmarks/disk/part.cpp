// Disk stays proportional to live state, however much has happened to it.
#include "driver/part.hpp"
#include "driver/table.hpp"

namespace bench::disk {

namespace {

constexpr std::string_view part_name = "disk";

json::object parameters_of(const settings& asked) {
    switch (asked.size) {
        case extent::smoke:
            return {{"n", asked.n.value_or(2'000)}, {"keys", 50}, {"sync_every", 500}};
        case extent::quick:
            return {{"n", asked.n.value_or(200'000)}, {"keys", 10'000}, {"sync_every", 4'000}};
        case extent::full:
            break;
    }
    return {{"n", asked.n.value_or(10'000'000)}, {"keys", 10'000}, {"sync_every", 4'000}};
}

std::string mebibytes(const row& of, std::string_view field) {
    const auto bytes = number_of(&of, field);
    return bytes ? significant(*bytes / (1024 * 1024)) : "-";
}

}  // namespace

void run_part(driver& suite) {
    driver::progress("disk");
    // Not a time: one run says it.
    const auto& kept = suite.keep(part_name, suite.measure("disk", parameters_of(suite.asked())).at(0));
    const auto value = [&](const char* name) { return number_of(&kept, name); };
    const auto of_fresh = [&](const char* name) { return ratio(value(name), value("fresh_bytes")); };
    table text({"one member's directory", "MiB", "of a fresh copy", "of it"});
    text.add({"fresh copy of the same state, compacted", mebibytes(kept, "fresh_bytes"), "1.00×",
              whole(value("fresh_rows")) + " rows"});
    text.add({"at the end, compacted", mebibytes(kept, "end_bytes"), of_fresh("end_bytes"),
              whole(value("end_rows")) + " rows, " + whole(value("end_marks")) + " marks, " +
                  whole(value("end_log_records")) + " log records"});
    text.add({"at the end, closed", mebibytes(kept, "closed_bytes"), of_fresh("closed_bytes"), ""});
    text.add({"meanwhile, at most", mebibytes(kept, "peak_bytes"), of_fresh("peak_bytes"),
              "write-ahead log " + mebibytes(kept, "peak_write_ahead_bytes") + ", tables " +
                  mebibytes(kept, "peak_tables_bytes")});
    text.add({"2 fresh copies, log limit, 2 write buffers", mebibytes(kept, "bound_bytes"), of_fresh("bound_bytes"), ""});
    driver::say("\nDisk: " + whole(value("n")) + " operations on " + whole(value("keys")) +
                " keys, two members that meet every " + whole(value("sync_every")) +
                "; log_retain_bytes = 0\n\n" + text.to_text());
}

}  // namespace bench::disk
