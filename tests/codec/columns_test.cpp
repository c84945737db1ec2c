// Columns of numbers: what is written is read, and no bytes make them large.
#include "codec/columns.hpp"

#include <cstdint>
#include <vector>

#include "support/catch.hpp"

using namespace anabranch::codec;

namespace {

std::string written(const std::vector<std::uint64_t>& numbers) {
    written_column column;
    for (const auto n : numbers) column.number(n);
    std::string bytes;
    output out(bytes);
    column.append_to(out);
    return bytes;
}

/// A tree of empty columns, `fields` below each.
void append_tree(output& out, int depth, std::uint64_t fields) {
    out.varint(depth == 0 ? 0 : 1);
    if (depth == 0) return;
    out(std::string_view());
    out.varint(fields);
    for (std::uint64_t i = 0; i < fields; ++i) append_tree(out, depth - 1, fields);
}

bool loads(int depth, std::uint64_t fields) {
    std::string bytes;
    output out(bytes);
    append_tree(out, depth, fields);
    input in(bytes);
    read_column column;
    column.load(in);
    return in.complete();
}

}  // namespace

TEST_CASE("a column holds the numbers that were written") {
    const std::vector<std::vector<std::uint64_t>> all = {{},           {0},
                                                         {7},          {0, 0, 0},
                                                         {5, 5, 5, 5}, {1, 256, 65'536},
                                                         {1, UINT64_MAX, 2}, {UINT64_MAX, UINT64_MAX},
                                                         {std::uint64_t{1} << 32, 0}, {0, std::uint64_t{1} << 32}};
    for (const auto& numbers : all) {
        const auto bytes = written(numbers);
        input in(bytes);
        read_column column;
        column.load(in);
        REQUIRE(in.complete());
        for (const auto n : numbers) CHECK(column.number() == n);
        CHECK_FALSE(column.number());
        CHECK(column.is_complete());
    }
}

TEST_CASE("numbers that are all the same are written once") {
    CHECK(written(std::vector<std::uint64_t>(1'000, 7)).size() == written({7, 7}).size() + 1);  // its count takes a byte more
}

TEST_CASE("a column that says it holds more columns than there can be is refused") {
    CHECK(loads(2, 60));
    CHECK_FALSE(loads(1, 65));
    CHECK_FALSE(loads(3, 60));  // few below each, and too many in all
}
