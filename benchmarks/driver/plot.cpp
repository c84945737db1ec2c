#include "driver/plot.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "driver/svg.hpp"
#include "driver/table.hpp"

namespace bench {

namespace {

// The picture, in its own units.
constexpr double width = 960;
constexpr double height = 520;
constexpr double left = 88;
constexpr double right = width - 270;  // the legend stands beside the plot
constexpr double top = 64;
constexpr double bottom = height - 60;

std::string tick(double value) {
    if (value >= 0.001 && value < 100'000) {
        char text[32];
        std::snprintf(text, sizeof text, "%g", value);
        return text;
    }
    const int exponent = static_cast<int>(std::floor(std::log10(value) + 1e-9));
    const int digit = static_cast<int>(std::lround(value / std::pow(10, exponent)));
    return (digit == 1 ? "" : std::to_string(digit) + "·") + "10<tspan baseline-shift=\"super\" font-size=\"9\">" +
           std::to_string(exponent) + "</tspan>";
}

/// From what is shown to what is shown, with a little room.
struct axis {
    double from = 0;
    double to = 0;
    double least = 1e300;
    double greatest = 0;

    void cover(double value) {
        least = std::min(least, value);
        greatest = std::max(greatest, value);
    }
    void widen() {
        if (greatest == 0) least = greatest = 1;
        least /= 1.2;
        greatest *= 1.2;
    }
    double at(double value) const {
        return from + (to - from) * (std::log10(value) - std::log10(least)) / (std::log10(greatest) - std::log10(least));
    }
    /// Powers of ten; where there are few of them 2 and 5 times those as well.
    std::vector<double> ticks() const {
        const double decades = std::log10(greatest / least);
        std::vector<double> all;
        for (int e = static_cast<int>(std::floor(std::log10(least))); std::pow(10, e) <= greatest; ++e) {
            for (const double digit : {1.0, 2.0, 5.0}) {
                const double value = digit * std::pow(10, e);
                if (digit != 1 && decades > 2.5) continue;
                if (value >= least && value <= greatest) all.push_back(value);
            }
        }
        return all;
    }
};

class drawing {
  public:
    explicit drawing(const plot& what) : what_(what), out_(width, height, what.title) {
        x_.from = left;
        x_.to = right;
        y_.from = bottom;
        y_.to = top;
        for (const auto& line : what.lines) {
            for (const auto& [x, y] : line.points) {
                if (!is_shown(x, y)) continue;
                x_.cover(x);
                y_.cover(y);
            }
        }
        x_.widen();
        y_.widen();
    }

    std::string document() {
        grid();
        // The legend in the order in which the lines end.
        auto lines = what_.lines;
        std::erase_if(lines, [](const auto& line) { return line.points.empty(); });
        std::ranges::stable_sort(lines, std::greater<>(), [](const auto& line) { return line.points.back().second; });
        for (std::size_t i = 0; i < lines.size(); ++i) curve(lines[i], top + 6 + 20 * static_cast<double>(i));
        return out_.document();
    }

  private:
    static bool is_shown(double x, double y) { return x > 0 && y > 0; }

    void grid() {
        for (const double value : y_.ticks()) {
            const double y = y_.at(value);
            out_.line(left, y, right, y, "stroke=\"#ddd\"");
            out_.markup(left - 8, y + 4, tick(value), "text-anchor=\"end\" fill=\"#666\"");
        }
        for (const double value : x_.ticks()) {
            const double x = x_.at(value);
            out_.line(x, bottom, x, top, "stroke=\"#eee\"");
            out_.markup(x, bottom + 20, tick(value), "text-anchor=\"middle\" fill=\"#666\"");
        }
        out_.line(left, bottom, right, bottom, "stroke=\"#888\"");
        out_.text((left + right) / 2, bottom + 44, what_.x_label, "text-anchor=\"middle\" fill=\"#666\"");
        out_.text(22, (top + bottom) / 2, what_.y_label,
                  "text-anchor=\"middle\" fill=\"#666\" transform=\"rotate(-90 22 " + coordinate((top + bottom) / 2) +
                      ")\"");
    }

    void curve(const plot::series& line, double legend_y) {
        const std::string colour = line.colour < std::size(colours) ? colours[line.colour] : grey;
        const std::string stroke = "stroke=\"" + colour + "\" stroke-width=\"" + (line.is_strong ? "3" : "1.5") + "\"" +
                                   (line.is_dashed ? " stroke-dasharray=\"6 4\"" : "");
        std::string d;
        for (const auto& [x, y] : line.points) {
            if (!is_shown(x, y)) continue;
            d += (d.empty() ? "M" : "L") + coordinate(x_.at(x)) + " " + coordinate(y_.at(y));
            out_.dot(x_.at(x), y_.at(y), colour);
        }
        if (!d.empty()) out_.path(d, stroke);
        out_.line(right + 16, legend_y, right + 40, legend_y, stroke);
        out_.text(right + 46, legend_y + 4, line.name + ": " + significant(line.points.back().second),
                  line.is_strong ? "font-weight=\"600\"" : "");
    }

    const plot& what_;
    axis x_;
    axis y_;
    svg out_;
};

}  // namespace

std::string draw(const plot& what) { return drawing(what).document(); }

}  // namespace bench
