// A progress bar where somebody looks, and plain lines where nobody does.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace retail {

/// "12,345"
std::string grouped(std::int64_t number);
std::string decimals(double value, int digits);
/// A line for each: its name, then what there is to say.
std::string to_lines(const std::vector<std::pair<const char*, std::string>>& rows);

class progress_bar {
  public:
    /// Writes to standard output; draws only where that is a terminal.
    explicit progress_bar(std::string label);
    /// `done` of `total`, and what else to say.
    void show(std::uint64_t done, std::uint64_t total, const std::string& note = {});
    /// Replaces the bar by a line of text.
    void finish(const std::string& text);
    ~progress_bar();
    progress_bar(const progress_bar&) = delete;
    progress_bar& operator=(const progress_bar&) = delete;

  private:
    const std::string label_;
    const bool drawn_;
    bool open_ = false;
    std::chrono::steady_clock::time_point last_{};
};

}  // namespace retail
