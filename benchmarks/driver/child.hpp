// Child processes, and an end in order when the user wants one.
#pragma once

#include <exception>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace bench {

/// The user pressed Ctrl-C, or the process was asked to end.
struct interrupted : std::exception {
    const char* what() const noexcept override { return "interrupted"; }
};

/// From now on SIGINT, SIGTERM and SIGHUP make `run_child` throw `interrupted`, in its own time.
void watch_for_interruption();
void throw_if_interrupted();

using environment_variables = std::vector<std::pair<std::string, std::string>>;

/// Runs the program and returns what it wrote to its standard output. It is killed where this throws, and where this
/// process dies. Throws std::runtime_error where it does not end with 0.
std::string run_child(const std::vector<std::string>& command, const environment_variables& environment = {});

/// The program's path, of those in PATH; empty where there is none.
std::filesystem::path find_program(const std::string& name);

}  // namespace bench
