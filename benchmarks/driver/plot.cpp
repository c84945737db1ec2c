#include "driver/plot.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace bench {

namespace {

// The picture, in its own units.
constexpr double width = 960;
constexpr double height = 520;
constexpr double left = 88;
constexpr double right = width - 220;  // the legend stands beside the plot
constexpr double top = 64;
constexpr double bottom = height - 60;

// Told apart by colour-blind people, too (Okabe and Ito); repeated with dashes.
constexpr const char* colours[] = {"#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#222222"};

std::string number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", value);
    return text;
}

std::string escaped(const std::string& text) {
    std::string safe;
    for (const char c : text) {
        if (c == '&') {
            safe += "&amp;";
        } else if (c == '<') {
            safe += "&lt;";
        } else {
            safe += c;
        }
    }
    return safe;
}

std::string power_of_ten(int exponent) {
    if (exponent >= -3 && exponent <= 4) {
        char text[32];
        std::snprintf(text, sizeof text, "%g", std::pow(10, exponent));
        return text;
    }
    return "10<tspan baseline-shift=\"super\" font-size=\"9\">" + std::to_string(exponent) + "</tspan>";
}

/// From one power of ten to another.
struct axis {
    int first = 0;
    int last = 1;
    double from = 0;
    double to = 0;

    void cover(double value) {
        first = std::min(first, static_cast<int>(std::floor(std::log10(value))));
        last = std::max(last, static_cast<int>(std::ceil(std::log10(value))));
    }
    double at(double value) const { return from + (to - from) * (std::log10(value) - first) / (last - first); }
};

class drawing {
  public:
    explicit drawing(const plot& what) : what_(what) {
        x_ = {100, -100, left, right};
        y_ = {100, -100, bottom, top};
        for (const auto& line : what.lines) {
            for (const auto& [x, y] : line.points) {
                if (!is_shown(x, y)) continue;
                x_.cover(x);
                y_.cover(y);
            }
        }
        for (auto* a : {&x_, &y_}) {
            if (a->first > a->last) a->first = a->last = 0;
            if (a->first == a->last) ++a->last;
        }
    }

    std::string document() {
        out_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + number(width) + " " + number(height) +
               "\" role=\"img\" font-family=\"system-ui, 'DejaVu Sans', Helvetica, Arial, sans-serif\" "
               "font-size=\"12\" fill=\"#333\">\n<title>" +
               escaped(what_.title) + "</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
        text(left, 34, escaped(what_.title), "font-size=\"18\" font-weight=\"600\" fill=\"#111\"");
        grid();
        for (std::size_t i = 0; i < what_.lines.size(); ++i) curve(i);
        return out_ + "</svg>\n";
    }

  private:
    static bool is_shown(double x, double y) { return x > 0 && y > 0; }

    void text(double x, double y, const std::string& content, const std::string& attributes) {
        out_ += "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" " + attributes + ">" + content + "</text>\n";
    }
    void path(const std::string& d, const std::string& attributes) {
        out_ += "<path d=\"" + d + "\" fill=\"none\" " + attributes + "/>\n";
    }

    void grid() {
        for (int e = y_.first; e <= y_.last; ++e) {
            const double y = y_.at(std::pow(10, e));
            path("M" + number(left) + " " + number(y) + "H" + number(right), "stroke=\"#ddd\"");
            text(left - 8, y + 4, power_of_ten(e), "text-anchor=\"end\" fill=\"#666\"");
        }
        for (int e = x_.first; e <= x_.last; ++e) {
            const double x = x_.at(std::pow(10, e));
            path("M" + number(x) + " " + number(bottom) + "V" + number(top), "stroke=\"#eee\"");
            text(x, bottom + 20, power_of_ten(e), "text-anchor=\"middle\" fill=\"#666\"");
        }
        path("M" + number(left) + " " + number(bottom) + "H" + number(right), "stroke=\"#888\"");
        text((left + right) / 2, bottom + 44, escaped(what_.x_label), "text-anchor=\"middle\" fill=\"#666\"");
        text(22, (top + bottom) / 2, escaped(what_.y_label),
             "text-anchor=\"middle\" fill=\"#666\" transform=\"rotate(-90 22 " + number((top + bottom) / 2) + ")\"");
    }

    void curve(std::size_t i) {
        const auto& line = what_.lines[i];
        const std::string colour = colours[i % std::size(colours)];
        const std::string dashes = i < std::size(colours) ? "" : " stroke-dasharray=\"6 4\"";
        std::string d;
        std::string dots;
        for (const auto& [x, y] : line.points) {
            if (!is_shown(x, y)) continue;
            const std::string place = number(x_.at(x)) + " " + number(y_.at(y));
            d += (d.empty() ? "M" : "L") + place;
            dots += "<circle cx=\"" + number(x_.at(x)) + "\" cy=\"" + number(y_.at(y)) + "\" r=\"3\" fill=\"" + colour +
                    "\"/>\n";
        }
        if (!d.empty()) path(d, "stroke-width=\"2\" stroke=\"" + colour + "\"" + dashes);
        out_ += dots;
        const double y = top + 6 + 20 * static_cast<double>(i);
        path("M" + number(right + 16) + " " + number(y) + "h24", "stroke-width=\"2\" stroke=\"" + colour + "\"" + dashes);
        text(right + 46, y + 4, escaped(line.name), "");
    }

    const plot& what_;
    axis x_;
    axis y_;
    std::string out_;
};

}  // namespace

std::string draw(const plot& what) { return drawing(what).document(); }

}  // namespace bench
