#include "demo/orders.hpp"

#include <charconv>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>
#include <unordered_map>

#include "text.hpp"

namespace retail {

namespace {

const std::vector<std::string> header{"InvoiceNo",   "StockCode", "Description", "Quantity",
                                      "InvoiceDate", "UnitPrice", "CustomerID",  "Country"};

struct parsed_line {
    std::string invoice;
    order_head head;
    order_line line;
};

/// Or why the line cannot be used.
tl::expected<parsed_line, std::string> parse_line(std::vector<std::string> fields) {
    for (std::size_t i = 0; i < fields.size(); ++i) {
        fields[i] = to_utf8(std::move(fields[i]));
        const bool id = i <= 1 || (i == 6 && !fields[i].empty());
        const auto reason = id ? why_not_id(fields[i]) : why_not_text(fields[i]);
        if (!reason.empty()) return tl::unexpected(header[i] + " " + reason);
    }
    const std::string& digits = fields[3];
    std::int64_t quantity = 0;
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), quantity);
    if (failure != std::errc{} || end != digits.data() + digits.size()) {
        return tl::unexpected("Quantity \"" + digits + "\" is not a whole number");
    }
    if (quantity < -max_quantity || quantity > max_quantity) {
        return tl::unexpected("Quantity " + digits + " is beyond " + std::to_string(max_quantity));
    }
    const auto price = parse_money(fields[5]);
    if (!price) return tl::unexpected("UnitPrice \"" + fields[5] + "\" is not an amount");
    return parsed_line{std::move(fields[0]),
                       {std::move(fields[6]), std::move(fields[7]), std::move(fields[4])},
                       {std::move(fields[1]), quantity, *price, std::move(fields[2])}};
}

/// Collects lines into orders.
class order_builder {
  public:
    /// Why the line cannot be used; empty where it was added.
    std::string add(parsed_line parsed) {
        const auto [entry, is_new] = index_.try_emplace(parsed.invoice, set_.orders.size());
        if (is_new) set_.orders.push_back({parsed.invoice, parsed.head, {}});
        order& target = set_.orders[entry->second];
        if (target.head.customer != parsed.head.customer || target.head.country != parsed.head.country) {
            return "the invoice " + parsed.invoice + " began with another customer or country";
        }
        if (target.lines.size() == max_order_lines) {
            return "the invoice " + parsed.invoice + " has " + std::to_string(max_order_lines) +
                   " lines already";
        }
        set_.quantity += parsed.line.quantity;
        ++set_.lines;
        target.lines.push_back(std::move(parsed.line));
        return {};
    }
    void skip(bad_line line) { set_.skipped.push_back(std::move(line)); }
    order_set take() { return std::move(set_); }

  private:
    order_set set_;
    std::unordered_map<std::string, std::size_t> index_;
};

}  // namespace

order_set parse_orders(std::string_view text) {
    csv_reader reader(text, header.size());
    const auto first = reader.next();
    if (!first || !*first || (*first)->fields != header) {
        std::string expected;
        for (const auto& name : header) expected += (expected.empty() ? "" : ",") + name;
        throw std::runtime_error("the first line is not the header " + expected);
    }
    order_builder builder;
    while (auto record = reader.next()) {
        if (!*record) {
            builder.skip(std::move(record->error()));
            continue;
        }
        auto parsed = parse_line(std::move((*record)->fields));
        auto reason = parsed ? builder.add(std::move(*parsed)) : std::move(parsed.error());
        if (!reason.empty()) builder.skip({(*record)->line, std::move(reason)});
    }
    return builder.take();
}

order_set read_orders(const std::filesystem::path& file) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream || std::filesystem::is_directory(file))
        throw std::runtime_error(file.string() + " cannot be read");
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    try {
        return parse_orders(text);
    } catch (const std::runtime_error& failure) {
        throw std::runtime_error(file.string() + ": " + failure.what());
    }
}

order_set generate_orders(std::size_t count) {
    // Straight from the engine: the standard's distributions differ between libraries.
    std::mt19937_64 engine(20101201);
    const auto below = [&](std::uint64_t n) { return engine() % n; };
    const auto name = [](const char* format, std::size_t number) {
        char text[32];
        std::snprintf(text, sizeof text, format, number);
        return std::string(text);
    };
    const char* countries[] = {"United Kingdom", "France", "Germany", "Norway"};
    constexpr std::size_t products = 300;

    order_builder builder;
    for (std::size_t i = 0; i < count; ++i) {
        const bool cancellation = below(12) == 0;
        const std::string invoice = name(cancellation ? "C%06zu" : "%06zu", 536365 + i);
        const std::uint64_t customer = below(10) == 0 ? 0 : 12000 + below(200);
        const order_head head{customer ? std::to_string(customer) : "", countries[customer % 4],
                              name("12-%02zu-2010 10:00", 1 + i * 20 / count)};
        for (std::size_t k = 0, lines = 1 + below(cancellation ? 2 : 24); k < lines; ++k) {
            const std::size_t number = below(products) * below(products) / products;  // few sell much
            const auto quantity = static_cast<std::int64_t>(1 + below(24));
            builder.add(
                {invoice,
                 head,
                 {name("%05zu", 20000 + number), cancellation ? -quantity : quantity,
                  money{static_cast<std::int64_t>(2500 + number * 100)}, name("PRODUCT NO. %zu", number)}});
        }
    }
    return builder.take();
}

}  // namespace retail
