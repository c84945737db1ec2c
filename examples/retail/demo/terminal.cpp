#include "demo/terminal.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace retail {

std::string grouped(std::int64_t number) {
    std::string text = std::to_string(number);
    const std::size_t first = text.starts_with('-') ? 1 : 0;
    for (std::size_t i = text.size(); i > first + 3;) text.insert(i -= 3, 1, ',');
    return text;
}

std::string decimals(double value, int digits) {
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", digits, value);
    return text;
}

std::string to_lines(const std::vector<std::pair<const char*, std::string>>& rows) {
    std::string lines;
    for (const auto& [name, value] : rows) {
        char label[40];
        std::snprintf(label, sizeof label, "  %-22s", name);
        lines += label + value + "\n";
    }
    return lines;
}

progress_bar::progress_bar(std::string label)
    : label_(std::move(label)), drawn_(::isatty(STDOUT_FILENO) == 1) {}

progress_bar::~progress_bar() {
    if (open_) std::printf("\n");
}

void progress_bar::show(std::uint64_t done, std::uint64_t total, const std::string& note) {
    const auto now = std::chrono::steady_clock::now();
    if (!drawn_ || now - last_ < std::chrono::milliseconds(40)) return;
    last_ = now;
    open_ = true;
    constexpr std::uint64_t width = 30;
    const std::uint64_t filled = total == 0 ? width : std::min(done, total) * width / total;
    std::string bar;
    for (std::uint64_t i = 0; i < width; ++i) bar += i < filled ? "█" : "░";
    std::printf("\r\x1b[K  %-10s %s %s", label_.c_str(), bar.c_str(), note.c_str());
    std::fflush(stdout);
}

void progress_bar::finish(const std::string& text) {
    std::printf("%s  %-10s %s\n", open_ ? "\r\x1b[K" : "", label_.c_str(), text.c_str());
    std::fflush(stdout);
    open_ = false;
}

}  // namespace retail
