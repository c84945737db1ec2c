#include "golden/golden.hpp"

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

#include "support/catch.hpp"

namespace anabranch::test {

std::string to_hex(std::string_view bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const char b : bytes) {
        text += digits[static_cast<unsigned char>(b) >> 4];
        text += digits[static_cast<unsigned char>(b) & 15];
    }
    return text;
}

std::string from_hex(std::string_view text) {
    REQUIRE(text.size() % 2 == 0);
    std::string bytes;
    for (std::size_t i = 0; i < text.size(); i += 2) {
        bytes += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
    }
    return bytes;
}

std::vector<std::vector<std::string>> golden_lines(const std::string& name) {
    std::ifstream file(std::string(ANABRANCH_TEST_DIR "/golden/") + name + ".hex");
    std::vector<std::vector<std::string>> lines;
    for (std::string line; std::getline(file, line);) {
        std::istringstream in(line.substr(0, line.find('#')));
        std::vector<std::string> words;
        for (std::string word; in >> word;) words.push_back(word);
        if (!words.empty()) lines.push_back(std::move(words));
    }
    return lines;
}

std::string golden(const std::string& name) {
    std::string hex;
    for (const auto& line : golden_lines(name)) {
        for (const auto& word : line) hex += word;
    }
    return from_hex(hex);
}

bool is_printing() { return std::getenv("ANABRANCH_PRINT_GOLDEN") != nullptr; }

void check_golden(const std::string& name, std::string_view bytes) {
    if (is_printing()) std::cout << "-- " << name << ".hex\n" << to_hex(bytes) << '\n';
    INFO("tests/golden/" << name << ".hex");
    CHECK(to_hex(bytes) == to_hex(golden(name)));
}

}  // namespace anabranch::test
