// Which targets have been reached. Nothing here fails.
#include <algorithm>
#include <cmath>

#include "driver/bars.hpp"
#include "driver/part.hpp"
#include "driver/table.hpp"
#include "driver/targets.hpp"

namespace bench {

namespace {

constexpr double furthest = 1000;  // what is not there at all, or has no room to be better, stands at the picture's edge

std::optional<double> times_better(const target& t) {
    if (!t.bound) return {};
    const double better = t.is_at_most ? *t.bound / *t.measured : *t.measured / *t.bound;
    return std::isfinite(better) ? std::clamp(better, 1 / furthest, furthest) : furthest;
}

std::string verdict(const target& t) {
    if (!t.bound) return "not known: no peer in this run";
    const bool is_reached = t.is_at_most ? *t.measured <= *t.bound : *t.measured >= *t.bound;
    return is_reached ? "reached" : "NOT reached";
}

}  // namespace

void say_targets(driver& suite) {
    auto all = all_targets(suite.kept());
    std::erase_if(all, [](const target& t) { return !t.measured; });
    if (all.empty()) return;
    table text({"target", "goal", "goal in this run", "measured", ""});
    const auto n = target_size(suite.kept());
    const std::string size = n ? " (reconnect: N = " + grouped(*n) + ")" : "";
    goals drawn{"Where it has to get to" + size, {}};
    for (const auto& t : all) {
        text.add({t.figure, t.goal, significant(t.bound), significant(t.measured), verdict(t)});
        drawn.all.push_back({t.figure + ": " + t.goal,
                             significant(t.measured) + (t.bound ? ", goal " + significant(t.bound) : ", no peer"),
                             times_better(t)});
    }
    driver::say("\nWhere it has to get to" + size + "\n\n" + text.to_text());
    suite.keep_picture("targets", draw(drawn));
}

}  // namespace bench
