// Line plots, both axes logarithmic.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace bench {

struct plot {
    struct series {
        std::string name{};
        std::vector<std::pair<double, double>> points{};  // positive; others cannot be shown
        std::size_t colour = 0;                            // of those there are; beyond them grey
        bool is_dashed = false;
        bool is_strong = false;
    };
    std::string title;
    std::string x_label;
    std::string y_label;
    std::vector<series> lines;
};

std::string draw(const plot& what);

}  // namespace bench
