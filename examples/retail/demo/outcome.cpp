#include "demo/outcome.hpp"

#include <boost/json.hpp>

#include "demo/terminal.hpp"

namespace retail {

namespace {

template <class Number>
std::string count(Number number) {
    return grouped(static_cast<std::int64_t>(number));
}

}  // namespace

std::string to_table(const outcome& found) {
    const bool equal = found.seconds_to_converge >= 0;
    const std::vector<std::pair<const char*, std::string>> rows{
        {"orders", count(found.orders)},
        {"order lines", count(found.lines) + " (" + count(found.skipped) + " skipped)"},
        {"pieces sold", count(found.quantity)},
        {"products", count(found.products)},
        {"requests/s", count(found.requests_per_second)},
        {"kill -9", count(found.unanswered) + " requests without an answer, " + count(found.found_done) +
                        " of them committed"},
        {"behind at heal", "edge " + count(found.edge_behind) + ", cloud " + count(found.cloud_behind)},
        {"transactions crossed",
         count(found.transactions) + " after the heal, " + count(found.transactions_in_all) + " in all"},
        {"bytes crossed", count(found.bytes) + " after the heal, " + count(found.bytes_in_all) + " in all"},
        {"seconds to converge", equal ? decimals(found.seconds_to_converge, 3) : "did not"},
        {"last item", count(found.last.sold) + " sold, " + count(found.last.refused) + " refused at once, " +
                          count(found.last.refused_later) + " refused later"},
        {"digest edge", found.digest_edge},
        {"digest cloud", found.digest_cloud},
        {"verdict",
         found.converged ? "both sides hold the same, and exactly what was ordered" : "THEY DIFFER"},
    };
    return to_lines(rows);
}

std::string to_json_text(const outcome& found) {
    boost::json::object object{{"converged", found.converged},
                               {"orders", found.orders},
                               {"lines", found.lines},
                               {"quantity", found.quantity},
                               {"skipped", found.skipped},
                               {"digest_edge", found.digest_edge},
                               {"digest_cloud", found.digest_cloud},
                               {"transactions", found.transactions},
                               {"bytes", found.bytes},
                               {"seconds_to_converge", nullptr},
                               {"last_item",
                                {{"sold", found.last.sold},
                                 {"refused", found.last.refused},
                                 {"refused_later", found.last.refused_later},
                                 {"stock", found.last.stock}}}};
    if (found.seconds_to_converge >= 0) object["seconds_to_converge"] = found.seconds_to_converge;
    return boost::json::serialize(object) + "\n";
}

}  // namespace retail
