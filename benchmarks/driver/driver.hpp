// What every part of the suite works with: what was asked for, processes to measure in, and a place for results.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "measure/measurement.hpp"

namespace bench {

enum class extent {
    full,
    quick,  ///< smaller sizes, fewer runs
    smoke,  ///< only to see that it works: the figures mean nothing
};

struct settings {
    std::vector<std::string> only{};  // no part named: all
    std::optional<std::uint64_t> n{};
    std::optional<unsigned> runs{};
    extent size = extent::full;
    std::filesystem::path json{};
    std::filesystem::path peers{};    // the program; empty: build it
    std::filesystem::path project{};  // empty: unknown
    std::filesystem::path results{};
    std::filesystem::path scratch{};
};

class driver {
  public:
    explicit driver(settings asked);

    const settings& asked() const { return asked_; }
    /// How often a thing is measured, of which the median counts.
    unsigned runs(unsigned usual) const;

    /// In a child process of its own, with an empty scratch directory.
    rows measure(std::string_view name, json::object parameters) const;
    /// The same of a foreign program that prints rows.
    static rows measure_with(const std::vector<std::string>& command);

    /// Keeps the row for the JSON file, the pictures and the targets.
    const row& keep(std::string_view part, row result);
    const std::vector<row>& kept() const { return kept_; }
    /// An SVG.
    void keep_picture(const std::string& name, std::string drawn);

    /// To standard output.
    static void say(const std::string& text);
    /// One line of a terminal that comes and goes; nothing elsewhere.
    static void progress(const std::string& text);

    /// Everything kept, as files. Says where.
    void write_results() const;

  private:
    settings asked_;
    std::vector<row> kept_;
    std::vector<std::pair<std::string, std::string>> pictures_;
};

/// Field by field: medians of numbers, whether all were true, otherwise the first.
row median_of(const std::vector<row>& runs);

/// Nothing where the row has no such number.
std::optional<double> number_of(const row* of, std::string_view field);
/// The first kept row with these; nullptr where there is none.
const row* find_row(const std::vector<row>& kept, std::string_view part, std::string_view system,
                    std::string_view engine, std::optional<std::uint64_t> n = {});

}  // namespace bench
