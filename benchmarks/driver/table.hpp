// Aligned tables, and numbers for people.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace bench {

class table {
  public:
    explicit table(std::vector<std::string> headings) : rows_{std::move(headings)} {}
    /// As many cells as there are headings.
    void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
    /// The first column to the left, the others to the right.
    std::string to_text() const;

  private:
    std::vector<std::vector<std::string>> rows_;
};

/// 1,234,567
std::string grouped(std::uint64_t number);
/// Three significant digits, large ones grouped: 0.00312, 4.46, 384,000.
std::string significant(double number);
/// What there is none of is "-".
std::string significant(const std::optional<double>& number);
std::string whole(const std::optional<double>& number);
/// "1.25×"
std::string ratio(const std::optional<double>& of, const std::optional<double>& to);

}  // namespace bench
