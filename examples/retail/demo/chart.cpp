#include "demo/chart.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace retail {

namespace {

// The picture, in its own units.
constexpr double width = 960;
constexpr double height = 480;
constexpr double left = 76;
constexpr double right = width - 32;
constexpr double top = 128;
constexpr double bottom = height - 60;

struct series {
    const char* name;
    const char* colour;  // told apart by colour-blind people, too
    const char* width;   // the first stays visible under the second
    std::optional<std::uint64_t> behind_sample::*value;
};

constexpr series both[] = {{"edge", "#d55e00", "5", &behind_sample::edge},
                           {"cloud", "#0072b2", "1.8", &behind_sample::cloud}};

std::string number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", value);
    std::string shortened = text;
    if (shortened.ends_with(".0")) shortened.resize(shortened.size() - 2);
    return shortened;
}

std::string escaped(const std::string& text) {
    std::string safe;
    for (const char c : text) {
        switch (c) {
            case '&':
                safe += "&amp;";
                break;
            case '<':
                safe += "&lt;";
                break;
            case '>':
                safe += "&gt;";
                break;
            case '"':
                safe += "&quot;";
                break;
            default:
                safe += c;
        }
    }
    return safe;
}

/// 1, 2 or 5 times a power of ten, such that `steps` of them reach `reach`, roughly.
double nice_step(double reach, double steps) {
    const double rough = std::max(reach / steps, 1e-9);
    const double power = std::pow(10, std::floor(std::log10(rough)));
    for (const double factor : {1.0, 2.0, 5.0}) {
        if (factor * power >= rough * 0.999) return factor * power;
    }
    return 10 * power;
}

struct axis {
    double step;
    double end;
    double from;  // the picture's coordinate of 0
    double to;    // and of `end`
    double at(double value) const { return from + (to - from) * value / end; }
};

class drawing {
  public:
    explicit drawing(const watch_history& history) : history_(history) {
        double seconds = 1;
        double most = 4;
        for (const auto& sample : history.samples) {
            seconds = std::max(seconds, sample.seconds);
            for (const auto& line : both)
                most = std::max(most, static_cast<double>((sample.*line.value).value_or(0)));
        }
        for (const auto& mark : history.marks) seconds = std::max(seconds, mark.seconds);
        const double step_y = std::max(1.0, nice_step(most, 5));
        x_ = {nice_step(seconds, 10), seconds, left, right};
        y_ = {step_y, std::ceil(most / step_y) * step_y, bottom, top};
    }

    std::string document(const std::string& title, const std::string& subtitle) {
        out_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + number(width) + " " +
               number(height) +
               "\" role=\"img\" font-family=\"system-ui, 'DejaVu Sans', Helvetica, Arial, sans-serif\" "
               "font-size=\"13\""
               " fill=\"#333\">\n<title>" +
               escaped(title) + "</title>\n<desc>" + escaped(subtitle) + "</desc>\n";
        out_ += "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
        text(left, 32, escaped(title), "font-size=\"19\" font-weight=\"600\" fill=\"#111\"");
        text(left, 53, escaped(subtitle), "fill=\"#666\"");
        shade_cut();
        axes();
        marks();
        for (const auto& line : both) curve(line);
        legend();
        return out_ + "</svg>\n";
    }

  private:
    static std::string text_element(double x, double y, const std::string& content,
                                    const std::string& attributes) {
        return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" " + attributes + ">" + content +
               "</text>\n";
    }
    void text(double x, double y, const std::string& content, const std::string& attributes = {}) {
        out_ += text_element(x, y, content, attributes);
    }
    void line(double x1, double y1, double x2, double y2, const std::string& attributes) {
        out_ += "<path d=\"M" + number(x1) + " " + number(y1) + "L" + number(x2) + " " + number(y2) +
                "\" fill=\"none\" " + attributes + "/>\n";
    }

    void shade_cut() {
        const auto time_of = [&](const char* label) {
            const auto found = std::find_if(history_.marks.begin(), history_.marks.end(),
                                            [&](const chart_mark& mark) { return mark.label == label; });
            return found == history_.marks.end() ? x_.end : found->seconds;
        };
        const double from = x_.at(time_of("link cut"));
        const double to = x_.at(time_of("healed"));
        if (to <= from) return;
        out_ += "<rect x=\"" + number(from) + "\" y=\"" + number(top) + "\" width=\"" + number(to - from) +
                "\" height=\"" + number(bottom - top) + "\" fill=\"#f3f1ea\"/>\n";
    }

    void axes() {
        for (double value = 0; value <= y_.end + y_.step / 2; value += y_.step) {
            line(left, y_.at(value), right, y_.at(value), "stroke=\"#ddd\"");
            text(left - 10, y_.at(value) + 4.5, number(value), "text-anchor=\"end\" fill=\"#666\"");
        }
        for (double value = 0; value <= x_.end + x_.step / 1000; value += x_.step) {
            line(x_.at(value), bottom, x_.at(value), bottom + 5, "stroke=\"#888\"");
            text(x_.at(value), bottom + 21, number(value), "text-anchor=\"middle\" fill=\"#666\"");
        }
        line(left, bottom, right, bottom, "stroke=\"#888\"");
        text((left + right) / 2, bottom + 44, "seconds", "text-anchor=\"middle\" fill=\"#666\"");
        text(20, (top + bottom) / 2, "transactions behind",
             "text-anchor=\"middle\" fill=\"#666\" transform=\"rotate(-90 20 " + number((top + bottom) / 2) +
                 ")\"");
    }

    /// Labels stand on several levels, so that those of events close to each other do not overlap.
    void marks() {
        constexpr int levels = 4;
        double used[levels] = {0, 0, 0, 0};
        std::string labels;  // above all lines
        for (const auto& mark : history_.marks) {
            const double x = x_.at(mark.seconds);
            const double extent = 7.2 * static_cast<double>(mark.label.size()) + 12;
            const bool to_the_left = x + extent > right;
            const double begin = to_the_left ? x - extent : x;
            int level = 0;
            while (level + 1 < levels && used[level] > begin) ++level;
            used[level] = begin + extent;
            const double y = top - 8 - 14 * level;
            line(x, y - 10, x, bottom, "stroke=\"#999\" stroke-dasharray=\"3 3\"");
            labels +=
                text_element(to_the_left ? x - 4 : x + 4, y, escaped(mark.label),
                             std::string("font-size=\"12\" fill=\"#444\" stroke=\"#fff\" stroke-width=\"4\" "
                                         "paint-order=\"stroke\"") +
                                 (to_the_left ? " text-anchor=\"end\"" : ""));
        }
        out_ += labels;
    }

    /// Steps, in pixels: samples that would not be seen are left out, and a side that is down leaves a gap.
    void curve(const series& of) {
        std::string path;
        bool pen_down = false;
        double last_x = 0;
        double last_y = -1;
        for (const auto& sample : history_.samples) {
            const auto& value = sample.*of.value;
            const double x = x_.at(sample.seconds);
            if (!value) {
                if (pen_down) path += "H" + number(last_x);
                pen_down = false;
                continue;
            }
            const double y = y_.at(static_cast<double>(*value));
            if (!pen_down) {
                path += "M" + number(x) + " " + number(y);
            } else if (std::abs(y - last_y) >= 0.1) {
                path += "H" + number(x) + "V" + number(y);
            } else {
                last_x = x;
                continue;
            }
            pen_down = true;
            last_x = x;
            last_y = y;
        }
        if (pen_down) path += "H" + number(last_x);
        out_ += "<path d=\"" + path + "\" fill=\"none\" stroke=\"" + of.colour + "\" stroke-width=\"" +
                of.width + "\" stroke-linejoin=\"round\"/>\n";
    }

    void legend() {
        double x = right - 160;
        for (const auto& entry : both) {
            line(x, 28, x + 24, 28,
                 std::string("stroke-width=\"") + entry.width + "\" stroke=\"" + entry.colour + "\"");
            text(x + 31, 32.5, entry.name);
            x += 90;
        }
    }

    const watch_history& history_;
    axis x_{};
    axis y_{};
    std::string out_;
};

}  // namespace

std::string draw_chart(const watch_history& history, const std::string& title, const std::string& subtitle) {
    return drawing(history).document(title, subtitle);
}

}  // namespace retail
