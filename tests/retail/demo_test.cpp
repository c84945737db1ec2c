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

TEST_CASE("an edge that was away until the log was cut gets what has changed, and loses nothing") {
    const temporary_directory directory;
    write_file(directory.path() / "small.csv", small_orders());
    const auto ended =
        run_demo(directory, "--long-absence --count 3000 --log-limit 64 --orders small.csv --json result.json");
    INFO(ended.out << ended.err);
    REQUIRE(ended.exit_code == 0);
    CHECK(ended.err.empty());
    CHECK(ended.out.find('\r') == std::string::npos);
    CHECK_FALSE(std::filesystem::exists(directory.path() / "convergence.svg"));

    const json::object result = json::parse(read_file(directory.path() / "result.json")).as_object();
    const auto number = [&](const char* name) { return result.at(name).to_number<double>(); };
    CHECK(result.size() == 21);
    CHECK(result.at("converged") == true);
    CHECK(result.at("orders_before") == 300);
    CHECK(result.at("orders_edge") == 300);
    CHECK(result.at("orders_cloud") == 2700);
    CHECK(result.at("seconds_apart").to_number<double>() > 0);
    CHECK(result.at("log_limit_bytes") == 64 * 1024);
    CHECK(result.at("was_left_behind") == true);
    CHECK(number("log_uncut_bytes") > 2 * number("log_limit_bytes"));
    CHECK(number("orders_in_log") > 0);
    CHECK(number("orders_in_log") < number("orders_cloud") / 2);
    CHECK(number("bytes_to_edge") > number("bytes_to_cloud"));
    CHECK(number("bytes_to_cloud") > 0);
    CHECK(number("round_trips") > 0);
    CHECK(number("seconds_to_converge") > 0);
    CHECK(number("cpu_seconds_to_converge") > 0);
    CHECK(result.at("edge_orders_at_cloud") == 300);
    CHECK(result.at("cloud_orders_at_edge") == 2700);
    CHECK(result.at("products") == 9);
    CHECK(result.at("products_exact") == 9);
    // Of an order its head and its lines; of most, that they are a customer's; of a product its head and its stock.
    CHECK(number("rows") > 2 * 3300 + 2 * 9);
    CHECK(number("rows") < 3 * 3300 + 2 * 9);
    CHECK(result.at("digest_edge") == result.at("digest_cloud"));
    CHECK(result.at("digest_edge").as_string().size() == 32);
}

TEST_CASE("an absence that the log outlasts is no long one") {
    const temporary_directory directory;
    write_file(directory.path() / "small.csv", small_orders());
    const auto ended =
        run_demo(directory, "--long-absence --count 100 --orders small.csv --json result.json");
    INFO(ended.out << ended.err);
    CHECK(ended.exit_code == 1);
    CHECK(ended.err.find("has not been cut without edge") != std::string::npos);
    const json::value result = json::parse(read_file(directory.path() / "result.json"));
    CHECK(result.at("converged") == false);
    CHECK(result.at("was_left_behind") == false);
    CHECK(result.at("log_uncut_bytes").is_null());
    CHECK(result.at("cloud_orders_at_edge") == 90);
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
    fails("--long-absence --count 0", 2);
    fails("--long-absence --count many", 2);
    fails("--long-absence --log-limit 0", 2);
    fails("--long-absence --json /nonexistent/result.json", 2);
    fails("--long-absence --svg chart.svg", 2);
    fails("--long-absence --cut 1", 2);
    fails("--count 1000", 2);
    fails("--log-limit 64", 2);
    fails("--orders missing.csv", 1);
    fails("--orders other.csv", 1);
    fails("--orders empty.csv", 1);
    fails("--dir used", 1);
    fails("--long-absence --orders missing.csv", 1);
    fails("--long-absence --dir used", 1);
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

TEST_CASE("Ctrl-C ends a long absence and removes its stores") {
    const temporary_directory directory;
    std::filesystem::create_directories(directory.path() / "tmp");
    const auto ended = run(directory.path(), "TMPDIR=\"$PWD/tmp\" timeout -s INT 2 " + demo +
                                                 " --long-absence --count 10000000; echo $?");
    CHECK(ended.out.ends_with("124\n"));
    CHECK(ended.err.find("interrupted") != std::string::npos);
    CHECK(left_nothing(directory.path() / "tmp"));
}
