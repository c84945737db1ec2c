// Reading order lines: decimals, CSV, grouping, generated orders.
#include "demo/orders.hpp"

#include <filesystem>
#include <set>

#include "money.hpp"
#include "support/catch.hpp"
#include "text.hpp"

using namespace retail;

namespace {

const std::string header =
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

order_set parse(const std::string& lines) { return parse_orders(header + lines); }

std::vector<std::size_t> skipped_lines(const order_set& set) {
    std::vector<std::size_t> lines;
    for (const auto& bad : set.skipped) lines.push_back(bad.line);
    return lines;
}

}  // namespace

TEST_CASE("amounts are exact") {
    CHECK(parse_money("2.55") == money{25500});
    CHECK(parse_money("15") == money{150000});
    CHECK(parse_money("0.001") == money{10});
    CHECK(parse_money("-11062.06") == money{-110620600});
    CHECK(parse_money("1.25000000") == money{12500});
    CHECK(parse_money("10000000000") == max_money);
    for (const char* bad : {"", "-", ".", ".5", "5.", "1.23456", "1,5", "1e3", " 1", "+1", "--1",
                            "10000000000.0001", "99999999999999999999999999", "0x10", "1.2.3"}) {
        INFO(bad);
        CHECK_FALSE(parse_money(bad));
    }
    for (const char* text : {"2.55", "15.00", "0.125", "-0.01", "0.0001", "-11062.06"}) {
        CHECK(to_string(*parse_money(text)) == text);
    }
}

TEST_CASE("text is UTF-8") {
    CHECK(valid_utf8("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x9b\x92"));
    for (const char* bad :
         {"\xa3", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xf0\x80\x80\x80"}) {
        CHECK_FALSE(valid_utf8(bad));
    }
    CHECK(why_not_id("85123A").empty());
    CHECK(why_not_id("BANK CHARGES").empty());
    CHECK_FALSE(why_not_id("").empty());
    CHECK_FALSE(why_not_id("a\nb").empty());
    CHECK_FALSE(why_not_id(std::string(65, 'x')).empty());
}

TEST_CASE("lines become orders, standing together or not") {
    const auto set = parse(
        "536365,85123A,WHITE HANGING HEART,6,12-01-2010 08:26,2.55,17850,United Kingdom\n"
        "C536379,D,Discount,-1,12-01-2010 09:41,27.5,14527,United Kingdom\r\n"
        "536365,85123A,WHITE HANGING HEART,2,12-01-2010 08:27,2.55,17850,United Kingdom\n"
        "536414,22139,,56,12-01-2010 11:52,0,,United Kingdom");
    REQUIRE(set.orders.size() == 3);
    CHECK(set.lines == 4);
    CHECK(set.quantity == 63);
    CHECK(set.skipped.empty());
    const order& first = set.orders[0];
    CHECK(first.id == "536365");
    CHECK(first.head == order_head{"17850", "United Kingdom", "12-01-2010 08:26"});
    CHECK(first.lines == std::vector<order_line>{{"85123A", 6, {25500}, "WHITE HANGING HEART"},
                                                 {"85123A", 2, {25500}, "WHITE HANGING HEART"}});
    CHECK(set.orders[1].lines[0].quantity == -1);
    CHECK(set.orders[2].head.customer.empty());
    CHECK(set.orders[2].lines[0].description.empty());
}

TEST_CASE("quoted fields hold commas, quotes and line breaks") {
    const auto set = parse(
        "1,A,\"SET OF 3, \"\"LARGE\"\"\",1,d,1,c,UK\n"
        "1,B,\"two\nlines\",1,d,1,c,UK\n"
        "1,C,5\" RULER,1,d,1,c,UK\n"
        "1,D,x,oops,d,1,c,UK\n");
    REQUIRE(set.lines == 3);
    CHECK(set.orders[0].lines[0].description == "SET OF 3, \"LARGE\"");
    CHECK(set.orders[0].lines[1].description == "two\nlines");
    CHECK(set.orders[0].lines[2].description == "5\" RULER");
    CHECK(skipped_lines(set) == std::vector<std::size_t>{6});
}

TEST_CASE("bad lines are named and skipped, and cost nothing else") {
    const auto set = parse(
        "1,A,good,1,d,1.00,c,UK\n"                  // 2
        "1,A,short,1,d,1.00,c\n"                    // 3
        "1,A,\"stray,1,d,1.00,c,UK\n"               // 4
        "1,A,good,1,d,1.00,c,UK\n"                  // 5
        "1,A,x,1.5,d,1.00,c,UK\n"                   // 6
        "1,A,x,1,d,abc,c,UK\n"                      // 7
        ",A,x,1,d,1.00,c,UK\n"                      // 8
        "1,,x,1,d,1.00,c,UK\n"                      // 9
        "\n"                                        // 10 does not count
        "1,A,\"x\"y,1,d,1.00,c,UK\n"                // 11
        "1,A,x,1,d,1.00,other,UK\n"                 // 12
        "1,A,x,99999999999999999999,d,1.00,c,UK\n"  // 13
        "1,A,\"good\",1,d,1.00,c,UK\n");            // 14
    CHECK(set.lines == 3);
    CHECK(set.quantity == 3);
    CHECK(skipped_lines(set) == std::vector<std::size_t>{3, 4, 6, 7, 8, 9, 11, 12, 13});
    for (const auto& bad : set.skipped) CHECK_FALSE(bad.reason.empty());
}

TEST_CASE("text in ISO 8859-1 is taken, and so is a byte order mark") {
    const auto set = parse_orders("\xef\xbb\xbf" + header + "1,A,CAF\xc9 \xa3 5,1,d,1,c,UK\n");
    REQUIRE(set.lines == 1);
    CHECK(set.orders[0].lines[0].description == "CAF\xc3\x89 \xc2\xa3 5");
}

TEST_CASE("another header is refused") {
    CHECK_THROWS_AS(parse_orders(""), std::runtime_error);
    CHECK_THROWS_AS(parse_orders("a,b,c\n1,2,3\n"), std::runtime_error);
    CHECK_THROWS_AS(
        parse_orders("Invoice,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"),
        std::runtime_error);
    CHECK_THROWS_AS(read_orders("/nonexistent.csv"), std::runtime_error);
    CHECK_THROWS_AS(read_orders("/"), std::runtime_error);
}

TEST_CASE("generated orders are always the same, and as various as real ones") {
    const auto set = generate_orders(200);
    const auto again = generate_orders(200);
    REQUIRE(set.orders.size() == 200);
    CHECK(set.orders == again.orders);
    CHECK(set.skipped.empty());
    bool cancellation = false;
    bool twice = false;
    bool guest = false;
    for (const auto& placed : set.orders) {
        cancellation = cancellation || placed.lines[0].quantity < 0;
        guest = guest || placed.head.customer.empty();
        std::set<std::string> skus;
        for (const auto& line : placed.lines) twice = !skus.insert(line.sku).second || twice;
    }
    CHECK(cancellation);
    CHECK(twice);
    CHECK(guest);
}

TEST_CASE("the real orders, where they are") {
    const std::filesystem::path file = ANABRANCH_TEST_DIR "/../../shared/data/online-retail.csv";
    if (!std::filesystem::exists(file)) return;
    const auto set = read_orders(file);
    CHECK(set.orders.size() == 444);
    CHECK(set.lines == 8011);
    CHECK(set.quantity == 66424);
    CHECK(set.skipped.empty());
}
