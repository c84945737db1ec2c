// Bars: what things come to, beside each other.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace bench {

struct bars {
    struct bar {
        std::string name{};
        double value = 0;
        std::string text{};  // beside it
        bool is_strong = false;
    };
    struct group {
        std::string title;
        std::vector<bar> all{};
    };
    std::string title;
    std::vector<group> groups;
};

/// Two groups in a line, each to its own scale.
std::string draw(const bars& what);

/// How many times better than its goal each thing is.
struct goals {
    struct goal {
        std::string name{};
        std::string text{};
        std::optional<double> times_better{};  // below 1: not reached; nothing: not known
    };
    std::string title;
    std::vector<goal> all;
};

/// To one logarithmic scale, from 1, where the goal is, to the right what is better.
std::string draw(const goals& what);

}  // namespace bench
