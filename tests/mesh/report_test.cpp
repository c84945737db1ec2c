#include "report.hpp"

#include <boost/json.hpp>

#include "mesh.hpp"
#include "support/catch.hpp"

using namespace retail;

TEST_CASE("the result as JSON says null where something is not known") {
    report told;
    told.digests = {{"edge-1", "d"}};
    auto result = boost::json::parse(to_json_text(told)).as_object();
    CHECK(result.size() == 9);
    CHECK(result.at("superseded").is_null());
    CHECK(result.at("unconfirmed").is_null());
    CHECK(result.at("recovery_ms_per_request").is_null());
    CHECK(result.at("digests").at("edge-1") == "d");

    told.superseded = 7;
    told.episodes = {{.name = "cut", .missed = 4, .recovery_ms = 60},
                     {.name = "kill", .missed = 6, .recovery_ms = 140},
                     {.name = "none", .missed = 0, .recovery_ms = 500}};
    result = boost::json::parse(to_json_text(told)).as_object();
    CHECK(result.at("superseded") == 7);
    CHECK(result.at("recovery_ms_per_request") == 20.0);

    told.episodes[0].recovery_ms = -1;
    CHECK_FALSE(recovery_ms_per_request(told));
}

TEST_CASE("a run holds where there is no difference") {
    report told;
    CHECK(holds(told));
    told.found.differences.push_back("cloud: order 1 is missing");
    CHECK_FALSE(holds(told));
    CHECK(to_table(told).find("IT DOES NOT HOLD") != std::string::npos);
}

TEST_CASE("a configuration names only what it can be given") {
    CHECK(render_configuration("rate: ${RATE_PER_SECOND}, again ${RATE_PER_SECOND}", 7) ==
          "rate: 7, again 7");
    CHECK_THROWS(render_configuration("${SOMETHING_ELSE}", 7));
    CHECK_THROWS(render_configuration("${RATE_PER_SECOND", 7));
}
