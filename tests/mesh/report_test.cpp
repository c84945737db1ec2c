#include "report.hpp"

#include <boost/json.hpp>
#include <sstream>

#include "mesh.hpp"
#include "support/catch.hpp"

using namespace retail;

namespace {

std::vector<int> numbers(const std::string& line) {
    std::vector<int> found;
    std::istringstream words(line);
    for (std::string word; words >> word;) {
        if (word.find_first_not_of("0123456789") == std::string::npos) found.push_back(std::stoi(word));
    }
    return found;
}

}  // namespace

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

TEST_CASE("the table counts by what the clients were told, for each fault") {
    report told;
    told.episodes = {{.name = "cut"}, {.name = "denied"}};
    told.purchases.resize(4);
    told.purchases[0].outcome = told::placed;
    told.purchases[1].outcome = told::refused;
    told.purchases[1].problems = {"503 no healthy upstream", "409 gone"};
    told.purchases[1].failed = 1;
    told.purchases[2].problems = {"503 no healthy upstream"};
    told.purchases[3].fault = 1;
    told.purchases[3].outcome = told::denied;
    const auto table = to_table(told);
    const auto line = [&](const std::string& begin) {
        const auto at = table.find(begin);
        REQUIRE(at != std::string::npos);
        return table.substr(at, table.find('\n', at) - at);
    };
    // orders, placed, refused, denied, throttled, nothing; unanswered, failed, twice; retries, copies, missed
    CHECK(numbers(line("  cut ")) == std::vector<int>{3, 1, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0});
    CHECK(numbers(line("  denied ")) == std::vector<int>{1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0});
    CHECK(numbers(line("  in all ")) == std::vector<int>{4, 1, 1, 1, 0, 1, 0, 1, 0});
    CHECK(table.find("2 x 503 no healthy upstream\n") != std::string::npos);
}

TEST_CASE("a configuration names only what it can be given") {
    CHECK(render_configuration("rate: ${RATE_PER_SECOND}, again ${RATE_PER_SECOND}", 7) ==
          "rate: 7, again 7");
    CHECK_THROWS(render_configuration("${SOMETHING_ELSE}", 7));
    CHECK_THROWS(render_configuration("${RATE_PER_SECOND", 7));
}
