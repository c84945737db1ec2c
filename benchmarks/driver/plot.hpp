// Line plots as SVG, both axes logarithmic.
#pragma once

#include <string>
#include <vector>

namespace bench {

struct plot {
    struct series {
        std::string name;
        std::vector<std::pair<double, double>> points;  // positive; others cannot be shown
    };
    std::string title;
    std::string x_label;
    std::string y_label;
    std::vector<series> lines;
};

std::string draw(const plot& what);

}  // namespace bench
