#include "report.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <functional>
#include <map>

#include "demo/terminal.hpp"

namespace retail {

namespace {

std::string tenths(double value) { return decimals(value, 1); }

std::string padded(const std::string& text, int width) {
    char cell[64];
    std::snprintf(cell, sizeof cell, "%*s", width, text.c_str());
    return cell;
}

std::string count(std::uint64_t number) { return grouped(static_cast<std::int64_t>(number)); }

std::string count_or_dash(const std::optional<std::uint64_t>& number) {
    return number ? count(*number) : "not offered by the service";
}

struct column {
    const char* title;
    int width;
    std::function<std::uint64_t(const purchase&)> value;  ///< summed over a fault's purchases
};

const std::vector<column>& columns() {
    const auto told_so = [](told outcome) {
        return [outcome](const purchase& wanted) { return std::uint64_t{wanted.outcome == outcome}; };
    };
    static const std::vector<column> all{
        {"orders", 7, [](const purchase&) { return std::uint64_t{1}; }},
        {"placed", 7, told_so(told::placed)},
        {"refused", 8, told_so(told::refused)},
        {"401/403", 8, told_so(told::denied)},
        {"429", 5, told_so(told::throttled)},
        {"nothing", 8, told_so(told::nothing)},
        {"| no answer", 12, [](const purchase& wanted) { return std::uint64_t{wanted.unanswered}; }},
        {"5xx", 5, [](const purchase& wanted) { return std::uint64_t{wanted.failed}; }},
        {"twice", 6, [](const purchase& wanted) { return std::uint64_t{wanted.was_sent_twice}; }},
    };
    return all;
}

constexpr int name_width = 30;

std::string row_of(const std::string& name, const std::vector<purchase>& purchases,
                   const std::function<bool(const purchase&)>& belongs) {
    std::string row =
        "  " + name + std::string(name_width - std::min<std::size_t>(name_width, name.size()), ' ');
    for (const auto& each : columns()) {
        std::uint64_t sum = 0;
        for (const auto& wanted : purchases) {
            if (belongs(wanted)) sum += each.value(wanted);
        }
        row += padded(count(sum), each.width);
    }
    return row;
}

/// What the answers said that refused an order or failed, the most frequent first.
std::string problems_text(const std::vector<purchase>& purchases) {
    std::map<std::string, std::uint64_t> counts;
    for (const auto& wanted : purchases) {
        for (const auto& problem : wanted.problems) {
            constexpr std::size_t shown_bytes = 90;
            ++counts[problem.substr(0, std::min(problem.find('\n'), shown_bytes))];
        }
    }
    std::vector<std::pair<std::string, std::uint64_t>> sorted(counts.begin(), counts.end());
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const auto& one, const auto& other) { return one.second > other.second; });
    constexpr std::size_t shown = 5;
    if (sorted.size() > shown) sorted.resize(shown);
    std::string text;
    for (const auto& [problem, times] : sorted)
        text += "  " + padded(count(times), 6) + " x " + problem + "\n";
    return text.empty() ? text : text + "\n";
}

std::string recovery_text(const episode& told) {
    if (told.recovery_ms < 0) return "never";
    if (told.missed == 0) return "-";
    return tenths(told.recovery_ms / static_cast<double>(told.missed));
}

}  // namespace

std::optional<double> recovery_ms_per_request(const report& told) {
    double milliseconds = 0;
    std::size_t missed = 0;
    for (const auto& each : told.episodes) {
        if (each.recovery_ms < 0) return {};
        if (each.missed == 0) continue;
        milliseconds += each.recovery_ms;
        missed += each.missed;
    }
    if (missed == 0) return {};
    return milliseconds / static_cast<double>(missed);
}

bool holds(const report& told) { return told.found.differences.empty(); }

std::string to_table(const report& told) {
    std::string table = "  " + std::string(name_width, ' ');
    for (const auto& each : columns()) table += padded(each.title, each.width);
    table +=
        padded("retries", 9) + padded("copies", 8) + padded("missed", 8) + padded("ms/missed", 11) + "\n";
    for (std::size_t i = 0; i < told.episodes.size(); ++i) {
        const auto& each = told.episodes[i];
        table += row_of(each.name, told.purchases, [i](const purchase& wanted) { return wanted.fault == i; });
        table += padded(count(each.retries), 9) + padded(count(each.copies), 8) +
                 padded(count(each.missed), 8) + padded(recovery_text(each), 11) + "\n";
    }
    table += row_of("in all", told.purchases, [](const purchase&) { return true; }) + "\n\n" +
             problems_text(told.purchases);

    const auto recovery = recovery_ms_per_request(told);
    std::vector<std::pair<std::string, std::string>> rows{
        {"identity", told.has_identity ? "Idempotency-Key and Idempotency-Issued" : "none"},
        {"acknowledged", count(told.found.acknowledged)},
        {"missing", count(told.found.missing)},
        {"doubled", count(told.found.doubled)},
        {"refused but present", count(told.found.refused_but_present)},
        {"stock wrong", count(told.found.stock_wrong) + " products"},
        {"superseded", count_or_dash(told.superseded)},
        {"unconfirmed", count_or_dash(told.unconfirmed)},
        {"recovery", (recovery ? tenths(*recovery) + " ms" : "not known") +
                         " for each missed request (the paper: 95 ms and 235 ms)"},
    };
    for (const auto& [name, digest] : told.digests) rows.emplace_back("digest " + name, digest);
    rows.emplace_back("verdict", holds(told)
                                     ? "each acknowledged order once on every replica, and nothing else"
                                     : "IT DOES NOT HOLD");
    for (const auto& [name, value] : rows) {
        table += "  " + name + std::string(22 - std::min<std::size_t>(22, name.size()), ' ') + value + "\n";
    }
    return table;
}

std::string to_json_text(const report& told) {
    boost::json::object digests;
    for (const auto& [name, digest] : told.digests) digests[name] = digest;
    boost::json::object object{{"acknowledged", told.found.acknowledged},
                               {"missing", told.found.missing},
                               {"doubled", told.found.doubled},
                               {"refused_but_present", told.found.refused_but_present},
                               {"stock_wrong", told.found.stock_wrong},
                               {"superseded", nullptr},
                               {"unconfirmed", nullptr},
                               {"recovery_ms_per_request", nullptr},
                               {"digests", std::move(digests)}};
    if (told.superseded) object["superseded"] = *told.superseded;
    if (told.unconfirmed) object["unconfirmed"] = *told.unconfirmed;
    if (const auto recovery = recovery_ms_per_request(told)) object["recovery_ms_per_request"] = *recovery;
    return boost::json::serialize(object) + "\n";
}

}  // namespace retail
