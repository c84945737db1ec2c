// The demo as a person runs it, on few orders.
#include <boost/json.hpp>

#include "programs.hpp"
#include "support/catch.hpp"

using namespace retail::test;
namespace json = boost::json;

namespace {

const std::string demo = RETAIL_DEMO;
const std::string header =
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

/// 60 invoices of two lines.
std::string small_orders() {
    std::string text = header;
    for (int i = 0; i < 60; ++i) {
        const std::string id = std::to_string(1000 + i);
        const std::string rest =
            ",12-01-2010 08:26,2.55," + (i % 7 ? std::to_string(i % 5) : "") + ",Norway\n";
        text += id + ",SKU " + std::to_string(i % 9) + ",\"HEART, WHITE\",6" + rest;
        text += id + ",SKU " + std::to_string(i % 9) + ",\"HEART, WHITE\"," + (i % 3 ? "1" : "-2") + rest;
    }
    return text;
}

/// The stores are gone, too.
bool left_nothing(const std::filesystem::path& temporary) { return std::filesystem::is_empty(temporary); }

finished run_demo(const temporary_directory& directory, const std::string& arguments) {
    std::filesystem::create_directories(directory.path() / "tmp");
    const auto ended = run(directory.path(), "TMPDIR=\"$PWD/tmp\" timeout 120 " + demo + " " + arguments);
    INFO(arguments << "\n" << ended.out << ended.err);
    CHECK(left_nothing(directory.path() / "tmp"));
    return ended;
}

}  // namespace

TEST_CASE("both sides converge, and the result is written") {
    const temporary_directory directory;
    write_file(directory.path() / "small.csv", small_orders());
    const auto ended = run_demo(directory, "--orders small.csv --json result.json --cut 0.5");
    INFO(ended.out << ended.err);
    REQUIRE(ended.exit_code == 0);
    CHECK(ended.err.empty());
    CHECK(ended.out.find('\r') == std::string::npos);  // no bar where nobody looks
    CHECK(ended.out.find('\x1b') == std::string::npos);

    const json::object result = json::parse(read_file(directory.path() / "result.json")).as_object();
    CHECK(result.size() == 11);
    CHECK(result.at("converged") == true);
    CHECK(result.at("orders") == 60);
    CHECK(result.at("lines") == 120);
    CHECK(result.at("quantity") == 60 * 6 + 40 - 40);
    CHECK(result.at("skipped") == 0);
    CHECK(result.at("digest_edge") == result.at("digest_cloud"));
    CHECK(result.at("digest_edge").as_string().size() == 32);
    CHECK(result.at("transactions") == 40);
    CHECK(result.at("bytes").to_number<int>() > 0);
    CHECK(result.at("seconds_to_converge").to_number<double>() > 0);
    CHECK(result.at("last_item") == json::parse(R"({"sold":1,"refused":1,"refused_later":0,"stock":0})"));
    CHECK(read_file(directory.path() / "convergence.svg").starts_with("<svg "));
}

TEST_CASE("bad lines are named, counted and left out") {
    const temporary_directory directory;
    write_file(directory.path() / "bad.csv",
               small_orders() + "too,short\n2000,A,x,many,d,1,c,UK\n2000,A,x,1,d,1,c,UK\n");
    const auto ended = run_demo(directory, "--orders bad.csv --json result.json --svg chart.svg --cut 0");
    INFO(ended.out << ended.err);
    REQUIRE(ended.exit_code == 0);
    CHECK(ended.err.find("bad.csv:122: skipped: ") != std::string::npos);
    CHECK(ended.err.find("bad.csv:123: skipped: Quantity \"many\"") != std::string::npos);
    const json::value result = json::parse(read_file(directory.path() / "result.json"));
    CHECK(result.at("orders") == 61);
    CHECK(result.at("lines") == 121);
    CHECK(result.at("skipped") == 2);
    CHECK(std::filesystem::exists(directory.path() / "chart.svg"));
    CHECK_FALSE(std::filesystem::exists(directory.path() / "convergence.svg"));
}

TEST_CASE("wrong arguments and unusable files are refused before anything starts") {
    const temporary_directory directory;
    write_file(directory.path() / "other.csv", "a,b,c\n1,2,3\n");
    write_file(directory.path() / "empty.csv", header);
    std::filesystem::create_directories(directory.path() / "used" / "edge");
    const auto fails = [&](const std::string& arguments, int exit_code) {
        const auto ended = run_demo(directory, arguments);
        INFO(arguments << "\n" << ended.out << ended.err);
        CHECK(ended.exit_code == exit_code);
        CHECK_FALSE(ended.err.empty());
    };
    fails("--unknown", 2);
    fails("--cut minus", 2);
    fails("--connections 0", 2);
    fails("--json /nonexistent/result.json", 2);
    fails("--svg /nonexistent/chart.svg", 2);
    fails("--orders missing.csv", 1);
    fails("--orders other.csv", 1);
    fails("--orders empty.csv", 1);
    fails("--dir used", 1);
}

TEST_CASE("Ctrl-C ends both services and removes their stores") {
    const temporary_directory directory;
    std::filesystem::create_directories(directory.path() / "tmp");
    const auto ended =
        run(directory.path(), "TMPDIR=\"$PWD/tmp\" timeout -s INT 2 " + demo + " --cut 60; echo $?");
    CHECK(ended.out.ends_with("124\n"));  // timeout's word for: it had to be ended
    CHECK(ended.err.find("interrupted") != std::string::npos);
    CHECK(left_nothing(directory.path() / "tmp"));
}
