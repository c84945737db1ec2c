#include "demo/absence_outcome.hpp"

#include <boost/json.hpp>

#include "demo/terminal.hpp"

namespace retail {

namespace {

std::string seconds(double value) { return decimals(value, 2); }

template <class Number>
std::string count(Number number) {
    return grouped(static_cast<std::int64_t>(number));
}

}  // namespace

std::string to_table(const absence_outcome& found) {
    const bool equal = found.seconds_to_converge >= 0;
    const std::string log = found.log_uncut == 0
                                ? "not known"
                                : "about " + count(found.log_uncut) + " bytes, judged by the last " +
                                      count(found.orders_in_log) + " orders, which it still has";
    const std::vector<std::pair<const char*, std::string>> rows{
        {"orders before", count(found.orders_before)},
        {"orders while apart", "edge " + count(found.orders_edge) + ", cloud " + count(found.orders_cloud) +
                                   ", in " + seconds(found.seconds_apart) + " s"},
        {"cloud's log, uncut", log},
        {"log limit", count(found.log_limit) + " bytes" +
                          (found.was_left_behind ? "; cut without edge" : "; NOT CUT without edge")},
        {"bytes crossed", count(found.bytes_to_edge) + " to edge, " + count(found.bytes_to_cloud) +
                              " to cloud, in " + count(found.round_trips) + " round trips"},
        {"seconds to converge", equal ? seconds(found.seconds_to_converge) + ", of CPU " +
                                            seconds(found.cpu_seconds) + " at both sides"
                                      : "did not"},
        {"rows", count(found.rows)},
        {"edge's at cloud", count(found.edge_orders_at_cloud) + " of " + count(found.orders_edge) + " orders"},
        {"cloud's at edge", count(found.cloud_orders_at_edge) + " of " + count(found.orders_cloud) + " orders"},
        {"stock exact", count(found.products_exact) + " of " + count(found.products) + " products"},
        {"digest edge", found.digest_edge},
        {"digest cloud", found.digest_cloud},
        {"verdict", found.converged ? "both sides hold the same, and exactly what was ordered" : "IT FAILED"},
    };
    return to_lines(rows);
}

std::string to_json_text(const absence_outcome& found) {
    boost::json::object object{{"converged", found.converged},
                               {"orders_before", found.orders_before},
                               {"orders_edge", found.orders_edge},
                               {"orders_cloud", found.orders_cloud},
                               {"seconds_apart", found.seconds_apart},
                               {"log_limit_bytes", found.log_limit},
                               {"log_uncut_bytes", nullptr},
                               {"orders_in_log", found.orders_in_log},
                               {"was_left_behind", found.was_left_behind},
                               {"bytes_to_edge", found.bytes_to_edge},
                               {"bytes_to_cloud", found.bytes_to_cloud},
                               {"round_trips", found.round_trips},
                               {"seconds_to_converge", nullptr},
                               {"cpu_seconds_to_converge", nullptr},
                               {"rows", found.rows},
                               {"edge_orders_at_cloud", found.edge_orders_at_cloud},
                               {"cloud_orders_at_edge", found.cloud_orders_at_edge},
                               {"products", found.products},
                               {"products_exact", found.products_exact},
                               {"digest_edge", found.digest_edge},
                               {"digest_cloud", found.digest_cloud}};
    if (found.log_uncut > 0) object["log_uncut_bytes"] = found.log_uncut;
    if (found.seconds_to_converge >= 0) {
        object["seconds_to_converge"] = found.seconds_to_converge;
        object["cpu_seconds_to_converge"] = found.cpu_seconds;
    }
    return boost::json::serialize(object) + "\n";
}

}  // namespace retail
