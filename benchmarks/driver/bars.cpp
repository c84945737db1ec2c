#include "driver/bars.hpp"

#include <algorithm>
#include <cmath>

#include "driver/svg.hpp"

namespace bench {

namespace {

constexpr double width = 960;
constexpr double top = 64;
constexpr double line_height = 20;
constexpr double bar_height = 13;

double height_of(const bars::group& of) { return 40 + line_height * static_cast<double>(of.all.size()); }

void draw_group(svg& out, const bars::group& what, double x, double y) {
    constexpr double name_width = 160;
    constexpr double length = 200;
    out.text(x, y + 12, what.title, "font-weight=\"600\"");
    double greatest = 0;
    for (const auto& each : what.all) greatest = std::max(greatest, each.value);
    for (const auto& each : what.all) {
        y += line_height;
        const double long_as = greatest > 0 ? std::max(1.0, length * each.value / greatest) : 1;
        const std::string weight = each.is_strong ? "font-weight=\"600\" " : "";
        out.text(x + name_width - 8, y + 11, each.name, weight + "text-anchor=\"end\"");
        out.bar(x + name_width, y, long_as, bar_height, each.is_strong ? colours[0] : grey);
        out.text(x + name_width + long_as + 6, y + 11, each.text, weight + "fill=\"#444\"");
    }
}

}  // namespace

std::string draw(const bars& what) {
    double height = top;
    for (std::size_t i = 0; i < what.groups.size(); i += 2) {
        const double second = i + 1 < what.groups.size() ? height_of(what.groups[i + 1]) : 0;
        height += std::max(height_of(what.groups[i]), second);
    }
    svg out(width, height, what.title);
    double y = top;
    for (std::size_t i = 0; i < what.groups.size(); i += 2) {
        draw_group(out, what.groups[i], 24, y);
        double deep = height_of(what.groups[i]);
        if (i + 1 < what.groups.size()) {
            draw_group(out, what.groups[i + 1], 24 + width / 2, y);
            deep = std::max(deep, height_of(what.groups[i + 1]));
        }
        y += deep;
    }
    return out.document();
}

std::string draw(const goals& what) {
    constexpr double left = 400;
    constexpr double right = width - 190;
    constexpr double most = 2;  // powers of ten, each way
    const double middle = (left + right) / 2;
    const double bottom = top + line_height * static_cast<double>(what.all.size());
    svg out(width, bottom + 44, what.title);
    const auto at = [&](double ratio) { return middle + (right - middle) * std::clamp(std::log10(ratio), -most, most) / most; };
    for (const double ratio : {0.01, 0.1, 1.0, 10.0, 100.0}) {
        out.line(at(ratio), top, at(ratio), bottom, ratio == 1 ? "stroke=\"#333\"" : "stroke=\"#ddd\"");
        const auto times = std::to_string(std::lround(std::max(ratio, 1 / ratio)));
        const std::string label = ratio == 1 ? "goal" : times + (ratio < 1 ? "× worse" : "× better");
        out.text(at(ratio), bottom + 20, label, "text-anchor=\"middle\" fill=\"#666\"");
    }
    double y = top;
    for (const auto& each : what.all) {
        out.text(left - 10, y + 14, each.name, "text-anchor=\"end\"");
        const double ratio = each.times_better.value_or(1);
        const double end = at(ratio);
        // Reached and not reached are told apart by their side, not only by their colour.
        if (each.times_better) {
            out.bar(std::min(middle, end), y + 4, std::max(1.5, std::abs(end - middle)), bar_height, ratio >= 1 ? colours[2] : colours[0]);
        }
        out.text(right + 12, y + 14, each.text, "fill=\"#444\"");
        y += line_height;
    }
    return out.document();
}

}  // namespace bench
