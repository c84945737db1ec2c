#include "driver/peers.hpp"

#include <sstream>

#include "driver/child.hpp"

namespace bench {

namespace {

/// Empty, and a line that says why, where it cannot be built.
std::filesystem::path build(const std::filesystem::path& project) {
    const auto manifest = project / "benchmarks" / "peers" / "Cargo.toml";
    if (!std::filesystem::exists(manifest)) {
        driver::say("Without the peers: ./run bench finds their sources, --peers names the program.\n");
        return {};
    }
    const auto cargo = find_program("cargo");
    if (cargo.empty()) {
        driver::say("Without the peers: there is no cargo here to build them with.\n");
        return {};
    }
    const auto target = std::filesystem::absolute(project / "build" / "peers");
    driver::say("Building the peers with cargo ...\n");
    try {
        run_child({cargo, "build", "--quiet", "--release", "--locked", "--manifest-path", manifest},
                  {{"CARGO_TARGET_DIR", target}});
    } catch (const std::runtime_error& failure) {
        driver::say("Without the peers: " + std::string(failure.what()) + ".\n");
        return {};
    }
    return target / "release" / "anabranch-peers";
}

}  // namespace

peers::peers(const settings& asked) : program_(asked.peers) {
    if (asked.size == extent::smoke) return;
    if (program_.empty()) program_ = build(asked.project);
    if (program_.empty()) return;
    std::istringstream lines(run_child({program_, "--list"}));
    for (std::string line; std::getline(lines, line);) systems_.push_back(line.substr(0, line.find(' ')));
}

row peers::measure(const std::string& system, std::uint64_t n) const {
    return driver::measure_with({program_, "--system", system, "--n", std::to_string(n)}).at(0);
}

}  // namespace bench
