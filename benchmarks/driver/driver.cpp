#include "driver/driver.hpp"

#include <sys/utsname.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <fstream>
#include <iostream>
#include <sstream>
#include <thread>

#include "driver/child.hpp"
#include "driver/scratch.hpp"
#include "measure/statistics.hpp"

namespace bench {

namespace {

rows parse_rows(const std::string& output) {
    rows all;
    std::istringstream lines(output);
    for (std::string line; std::getline(lines, line);) all.push_back(json::parse(line).as_object());
    return all;
}

std::string date_now() {
    char text[32];
    const std::time_t now = std::time(nullptr);
    std::strftime(text, sizeof text, "%Y-%m-%dT%H-%M-%SZ", std::gmtime(&now));
    return text;
}

std::string describe_machine() {
    std::string model = "unknown processor";
    std::ifstream cpu("/proc/cpuinfo");
    for (std::string line; std::getline(cpu, line);) {
        if (!line.starts_with("model name")) continue;
        model = line.substr(line.find(':') + 2);
        break;
    }
    utsname system{};
    ::uname(&system);
    return model + ", " + std::to_string(std::thread::hardware_concurrency()) + " threads, " + system.sysname + " " +
           system.release;
}

void write(const std::filesystem::path& file, const std::string& content) {
    std::ofstream stream(file, std::ios::binary);
    stream << content << std::flush;
    if (!stream) throw std::runtime_error(file.string() + " could not be written");
}

/// One row a line: to be read by people, and compared by tools.
std::string to_text(const std::vector<row>& all) {
    std::string text = "[\n";
    for (std::size_t i = 0; i < all.size(); ++i) {
        text += "  " + json::serialize(all[i]) + (i + 1 < all.size() ? ",\n" : "\n");
    }
    return text + "]\n";
}

}  // namespace

driver::driver(settings asked) : asked_(std::move(asked)) {}

unsigned driver::runs(unsigned usual) const {
    if (asked_.runs) return *asked_.runs;
    if (asked_.size == extent::smoke) return 1;
    return asked_.size == extent::quick ? 3 : usual;
}

rows driver::measure(std::string_view name, json::object parameters) const {
    throw_if_interrupted();
    const scratch_directory scratch(asked_.scratch);
    parameters["scratch"] = scratch.path().string();
    return parse_rows(run_child({"/proc/self/exe", "measure", std::string(name), json::serialize(parameters)}));
}

rows driver::measure_with(const std::vector<std::string>& command) { return parse_rows(run_child(command)); }

const row& driver::keep(std::string_view part, row result) {
    row with_part{{"part", part}};
    for (auto& field : result) with_part[field.key()] = std::move(field.value());
    return kept_.emplace_back(std::move(with_part));
}

void driver::keep_picture(const std::string& name, std::string drawn) { pictures_.emplace_back(name, std::move(drawn)); }

void driver::say(const std::string& text) {
    progress({});
    std::cout << text << std::flush;
}

void driver::progress(const std::string& text) {
    if (!::isatty(STDERR_FILENO)) return;
    std::cerr << "\r\x1b[K" << text << std::flush;
}

void driver::write_results() const {
    if (kept_.empty()) return;
    if (!asked_.json.empty()) write(asked_.json, to_text(kept_));
    std::filesystem::create_directories(asked_.results);
    const std::string date = date_now();
    auto all = kept_;
    const std::string machine = describe_machine();
    for (auto& each : all) {
        each["date"] = date;
        each["machine"] = machine;
    }
    const auto stem = (asked_.results / date).string();
    write(stem + ".json", to_text(all));
    say("\nresults: " + stem + ".json\n");
    for (const auto& [name, svg] : pictures_) {
        write(stem + "-" + name + ".svg", svg);
        say("picture: " + stem + "-" + name + ".svg\n");
    }
}

row median_of(const std::vector<row>& runs) {
    row medians;
    for (const auto& field : runs.at(0)) {
        std::vector<double> numbers;
        bool are_all_whole = true;
        bool are_all_true = true;
        for (const auto& each : runs) {
            const auto& value = each.at(field.key());
            if (value.is_number()) numbers.push_back(value.to_number<double>());
            are_all_whole = are_all_whole && !value.is_double();
            are_all_true = are_all_true && value.is_bool() && value.get_bool();
        }
        if (field.value().is_bool()) {
            medians[field.key()] = are_all_true;
        } else if (numbers.empty()) {
            medians[field.key()] = field.value();
        } else if (are_all_whole) {
            medians[field.key()] = static_cast<std::uint64_t>(median(numbers));
        } else {
            medians[field.key()] = median(numbers);
        }
    }
    medians["runs"] = runs.size();
    return medians;
}

std::optional<double> number_of(const row* of, std::string_view field) {
    if (!of) return {};
    const auto* value = of->if_contains(field);
    if (!value || !value->is_number()) return {};
    return value->to_number<double>();
}

const row* find_row(const std::vector<row>& kept, std::string_view part, std::string_view system,
                    std::string_view engine, std::optional<std::uint64_t> n) {
    for (const auto& each : kept) {
        if (each.at("part").as_string() != part || each.at("system").as_string() != system) continue;
        if (each.at("engine").as_string() != engine) continue;
        if (n && number_in(each, "n") != *n) continue;
        return &each;
    }
    return nullptr;
}

}  // namespace bench
