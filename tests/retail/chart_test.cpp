// The chart and the tables: text, so it can be looked at.
#include "demo/chart.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "demo/outcome.hpp"
#include "demo/terminal.hpp"
#include "support/catch.hpp"

using namespace retail;

TEST_CASE("the chart shows both sides, the marks, and a gap for a side that is down") {
    watch_history history;
    for (int i = 0; i < 100; ++i) {
        const auto behind = static_cast<std::uint64_t>(i);
        behind_sample sample{i / 10.0, behind, behind / 2};
        if (i >= 40 && i < 50) sample.edge.reset();
        history.samples.push_back(sample);
    }
    history.marks = {{2, "link cut"}, {4, "edge killed"}, {5, "edge back"}, {9.8, "healed"}, {9.9, "equal"}};
    const std::string svg = draw_chart(history, "A & B", "<sub>");
    CHECK(svg.starts_with("<svg "));
    CHECK(svg.ends_with("</svg>\n"));
    for (const char* part :
         {"A &amp; B", "&lt;sub&gt;", ">edge<", ">cloud<", ">link cut<", ">healed<", "seconds"}) {
        INFO(part);
        CHECK(svg.find(part) != std::string::npos);
    }
    const auto end = svg.find("\" fill=\"none\" stroke=\"#d55e00\"");
    REQUIRE(end != std::string::npos);
    const auto edge = svg.substr(svg.rfind('"', end - 1), end - svg.rfind('"', end - 1));
    CHECK(std::count(edge.begin(), edge.end(), 'M') == 2);  // begins anew after the gap

    CHECK(draw_chart({}, "", "").ends_with("</svg>\n"));
}

TEST_CASE("an outcome as JSON has exactly the documented members") {
    outcome found;
    found.converged = true;
    found.orders = 3;
    found.lines = 7;
    found.quantity = -2;
    found.skipped = 1;
    found.digest_edge = found.digest_cloud = "00ff";
    found.transactions = 5;
    found.bytes = 1234;
    found.seconds_to_converge = 0.25;
    found.last = {1, 2, 3, 4};
    const auto expected = boost::json::parse(
        R"({"converged":true,"orders":3,"lines":7,"quantity":-2,"skipped":1,"digest_edge":"00ff",)"
        R"("digest_cloud":"00ff","transactions":5,"bytes":1234,"seconds_to_converge":0.25,)"
        R"("last_item":{"sold":1,"refused":2,"refused_later":3,"stock":4}})");
    CHECK(boost::json::parse(to_json_text(found)) == expected);
    found.seconds_to_converge = -1;
    CHECK(boost::json::parse(to_json_text(found)).at("seconds_to_converge").is_null());
}

TEST_CASE("numbers are grouped") {
    CHECK(grouped(0) == "0");
    CHECK(grouped(-999) == "-999");
    CHECK(grouped(1000) == "1,000");
    CHECK(grouped(-1234567) == "-1,234,567");
}
