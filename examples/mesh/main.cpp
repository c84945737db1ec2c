// retail-mesh: plays orders through a real Envoy to two edges and a cloud, while one fault after the other
// happens, and checks that each order counts once.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>

#include "demo/program.hpp"
#include "demo/terminal.hpp"
#include "demo/traffic.hpp"
#include "mesh.hpp"
#include "network.hpp"
#include "report.hpp"
#include "story.hpp"

namespace {

namespace fs = std::filesystem;

const std::string program = "retail-mesh";
constexpr int usage_error = 2;
constexpr int unavailable = 69;  // EX_UNAVAILABLE: this machine cannot run it
constexpr std::size_t quick_orders = 225;

struct options {
    std::string envoy;
    std::string configuration;
    std::string orders;
    std::string json;
    std::string directory;
    bool keep = false;
    bool quick = false;
    bool validate = false;
    bool without_identity = false;
    bool has_consul = false;
    std::string consul;
    std::string consul_configuration;
    double rate = 15;
};

/// Fills `chosen`; where the program should end instead, its exit code.
std::optional<int> parse_command_line(int argc, char** argv, options& chosen) {
    CLI::App app{
        "Plays real orders through an Envoy gateway to a shop of two edges and a cloud that mirror, retry, "
        "fail over and "
        "replicate, while one fault after the other happens, and checks that each order that a client was "
        "told is placed "
        "is there exactly once on every replica. Runs in network namespaces of its own. Exits with 0 where "
        "it holds, 69 "
        "where this machine cannot run it."};
    app.add_option("--envoy", chosen.envoy, "the Envoy to run (./run mesh installs one)")->required();
    app.add_option("--configuration", chosen.configuration, "the gateway's configuration")->required();
    app.add_option("--orders", chosen.orders,
                   "CSV of order lines: "
                   "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country "
                   "(default: ../shared/data/online-retail.csv beside the project, else generated orders)");
    app.add_option("--json", chosen.json, "write the result as one JSON object to this file");
    app.add_option("--dir", chosen.directory, "keep stores, configuration and Envoy's log in this directory");
    app.add_flag("--keep", chosen.keep, "do not remove the temporary directory");
    app.add_option("--rate", chosen.rate, "orders a second")
        ->check(CLI::Range(1.0, 100.0))
        ->capture_default_str();
    app.add_flag("--quick", chosen.quick, "fewer orders, once through all faults, in less than a minute");
    app.add_flag("--without-identity", chosen.without_identity,
                 "send no Idempotency-Key: shows how many orders are then doubled or lost");
    app.add_flag("--consul", chosen.has_consul,
                 "through Consul: sidecars, intentions, and peers from its catalogue (./run mesh builds it, once, which takes minutes)");
    app.add_option("--consul-agent", chosen.consul, "the Consul to run");
    app.add_option("--consul-configuration", chosen.consul_configuration, "the directory of its configuration");
    app.add_flag("--validate", chosen.validate, "only have Envoy validate the configuration");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& problem) {
        return app.exit(problem) == 0 ? 0 : usage_error;
    }
    if (chosen.has_consul == (chosen.consul.empty() || chosen.consul_configuration.empty())) {
        std::cerr << program << ": --consul, --consul-agent and --consul-configuration belong together\n";
        return usage_error;
    }
    return {};
}

retail::workspace make_workspace(const options& chosen) {
    if (chosen.directory.empty()) return retail::workspace(program, chosen.keep);
    return retail::workspace(chosen.directory, {"edge-1", "edge-2", "cloud"});
}

void print_differences(const std::vector<std::string>& differences) {
    constexpr std::size_t shown = 20;
    for (std::size_t i = 0; i < differences.size() && i < shown; ++i)
        std::cerr << program << ": " << differences[i] << "\n";
    if (differences.size() > shown)
        std::cerr << program << ": and " << differences.size() - shown << " more\n";
}

/// Also the gateway's configuration of the mesh that Consul has; and Consul's where there is one.
int validate(retail::mesh_options mesh_options) {
    const fs::path given = mesh_options.configuration;
    for (const auto& file : {given, given.parent_path() / "consul" / "gateway.yaml"}) {
        if (file != given && !fs::exists(file)) continue;
        mesh_options.configuration = file;
        retail::write_configuration(mesh_options);
        std::cout << file.string() << " is valid\n";
    }
    if (mesh_options.consul.empty()) return 0;
    // A dev agent keeps nothing, any other needs a place for it.
    const fs::path place = mesh_options.directory / "place.hcl";
    std::ofstream(place) << "data_dir = " << mesh_options.directory << "\n";
    retail::process check({mesh_options.consul, "validate", mesh_options.consul_configuration / "agent.hcl", place});
    return check.wait(std::chrono::seconds(30)) ? 0 : 1;
}

int run(const options& chosen) {
    std::optional<retail::network> net;  // before all threads
    if (!chosen.validate) net.emplace();
    const retail::signal_watch signals;
    const auto directory = make_workspace(chosen);
    const retail::mesh_options mesh_options{
        .service = fs::canonical("/proc/self/exe").parent_path().parent_path() / "retail" / "retail-service",
        .envoy = chosen.envoy,
        .configuration = chosen.configuration,
        .directory = directory.path(),
        .consul = chosen.consul,
        .consul_configuration = chosen.consul_configuration};
    if (chosen.validate) return validate(mesh_options);
    if (!fs::exists(mesh_options.service))
        throw std::runtime_error(mesh_options.service.string() + " is missing");
    const auto orders = retail::load_orders(chosen.orders);

    retail::report told;
    retail::mesh played(mesh_options, *net);
    retail::tell_story({.orders = chosen.quick ? quick_orders : orders.orders.size(),
                        .per_second = chosen.rate,
                        .has_identity = !chosen.without_identity,
                        .gateway_per_second = mesh_options.rate_per_second},
                       played, *net, orders, signals.token(), told);
    std::cout << "\n" << to_table(told) << std::flush;
    print_differences(told.found.differences);
    const bool written = chosen.json.empty() || retail::write_file(program, chosen.json, to_json_text(told));
    return holds(told) && written ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    options chosen;
    if (const auto exit_code = parse_command_line(argc, argv, chosen)) return *exit_code;
    if (!chosen.json.empty() && !retail::can_write(program, chosen.json)) return usage_error;
    ::signal(SIGPIPE, SIG_IGN);
    try {
        return run(chosen);
    } catch (const retail::interrupted&) {
        std::cerr << program << ": interrupted\n";
        return 130;
    } catch (const retail::no_network& failure) {
        std::cerr << program << ": " << failure.what() << "\n";
        return unavailable;
    } catch (const std::exception& failure) {
        std::cerr << program << ": " << failure.what() << "\n";
        return 1;
    }
}
