// A measurement is what one child process does: parameters in, rows out. What it needs of memory is its own.
#pragma once

#include <anabranch/result.hpp>
#include <boost/json.hpp>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

namespace json = boost::json;

using row = json::object;
using rows = std::vector<row>;

struct measurement {
    std::string_view name;
    rows (*run)(const json::object& parameters);
};

/// All there are.
std::span<const measurement> measurements();

/// The value; an error of the library ends the measurement.
template <class T>
T expect(anabranch::result<T> outcome) {
    if (!outcome) throw std::runtime_error(outcome.error().message);
    if constexpr (!std::is_void_v<T>) return std::move(*outcome);
}

inline std::uint64_t number_in(const json::object& parameters, std::string_view name) {
    return parameters.at(name).to_number<std::uint64_t>();
}

inline std::string text_in(const json::object& parameters, std::string_view name) {
    return std::string(parameters.at(name).as_string());
}

/// An empty directory that the driver has made for this measurement and removes after it.
inline std::filesystem::path scratch_in(const json::object& parameters) { return text_in(parameters, "scratch"); }

}  // namespace bench
