// retail-demo: feeds orders to two instances of the shop through a link cut and a kill, or through a long
// absence, and shows that both hold the same state in the end.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <iostream>

#include "demo/absence.hpp"
#include "demo/chart.hpp"
#include "demo/program.hpp"
#include "demo/scenario.hpp"
#include "demo/terminal.hpp"
#include "demo/traffic.hpp"

namespace {

namespace fs = std::filesystem;

struct demo_options {
    std::string orders;
    std::string json;
    std::string svg = "convergence.svg";
    std::string directory;
    bool keep = false;
    double cut = 4;
    double deadline = 60;
    std::size_t connections = 4;
    bool is_long_absence = false;
    retail::absence_options absence;
    std::uint64_t log_limit_kib = absence.log_limit / 1024;
};

constexpr int usage_error = 2;
const std::string program = "retail-demo";

void add_long_absence(CLI::App& app, demo_options& options) {
    auto* absence = app.add_flag("--long-absence", options.is_long_absence,
                                 "another story: edge and cloud in one process, over TCP without HTTP, apart until "
                                 "the log is cut without edge; orders of one line each, those of the CSV and more "
                                 "like them");
    for (const char* other : {"--svg", "--cut", "--connections"}) absence->excludes(app.get_option(other));
    app.add_option("--count", options.absence.orders,
                   "orders that both take in all during the long absence, a tenth of them at edge")
        ->check(CLI::Range(100, 100'000'000))
        ->capture_default_str()
        ->needs(absence);
    app.add_option("--log-limit", options.log_limit_kib, "KiB of log that wait for edge in the long absence")
        ->check(CLI::Range(16, 1 << 20))
        ->capture_default_str()
        ->needs(absence);
}

/// Fills `options`; where the program should end instead, its exit code.
std::optional<int> parse_command_line(int argc, char** argv, demo_options& options) {
    CLI::App app{
        "Feeds real orders over HTTP to two instances of a shop, edge and cloud, cuts the link between them, "
        "kills "
        "one with SIGKILL and starts it again, heals the link, and checks that both hold the same state and "
        "exactly "
        "what was ordered, and that the last piece of a product is sold once. Exits with 0 where they do. "
        "With --long-absence another story: the two are apart for so many orders that the log is cut without "
        "edge, which gets the rows that have changed when it is back."};
    app.add_option("--orders", options.orders,
                   "CSV of order lines: "
                   "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country "
                   "(default: ../shared/data/online-retail.csv beside the project, else generated orders)");
    app.add_option("--json", options.json, "write the result as one JSON object to this file");
    app.add_option("--svg", options.svg, "draw transactions behind over time to this file")
        ->capture_default_str();
    app.add_option("--dir", options.directory,
                   "keep the stores in this directory (default: a temporary one)");
    app.add_flag("--keep", options.keep, "do not remove the temporary directory");
    app.add_option("--cut", options.cut, "seconds over which the last third of the orders is spread")
        ->check(CLI::Range(0.0, 3600.0))
        ->capture_default_str();
    app.add_option("--deadline", options.deadline, "seconds within which both sides have to become equal")
        ->check(CLI::Range(0.1, 3600.0))
        ->capture_default_str();
    app.add_option("--connections", options.connections, "HTTP connections to each side")
        ->check(CLI::Range(1, 64))
        ->capture_default_str();
    add_long_absence(app, options);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& problem) {
        return app.exit(problem) == 0 ? 0 : usage_error;
    }
    return {};
}

/// Where both sides keep their stores.
retail::workspace make_workspace(const demo_options& options) {
    if (options.directory.empty()) return retail::workspace("retail-demo", options.keep);
    return retail::workspace(options.directory, {"edge", "cloud"});
}

/// Nobody reads a million of them.
void show(const std::vector<std::string>& differences) {
    constexpr std::size_t shown = 20;
    for (std::size_t i = 0; i < differences.size() && i < shown; ++i)
        std::cerr << "retail-demo: " << differences[i] << "\n";
    if (differences.size() > shown)
        std::cerr << "retail-demo: and " << differences.size() - shown << " more\n";
}

/// Where one is wanted.
template <class Outcome>
bool write_json(const demo_options& options, const Outcome& found) {
    return options.json.empty() || retail::write_file(program, options.json, to_json_text(found));
}

int run_long_absence(const demo_options& options, const retail::order_set& orders,
                     const retail::workspace& stores, const std::stop_token& stop) {
    auto asked = options.absence;
    asked.directory = stores.path();
    asked.log_limit = options.log_limit_kib * 1024;
    asked.deadline = std::chrono::duration<double>(options.deadline);
    retail::absence_outcome found;
    retail::run_absence(asked, orders, stop, found);
    std::cout << "\n" << to_table(found);
    show(found.differences);
    return write_json(options, found) && found.converged ? 0 : 1;
}

int run_services(const demo_options& options, const retail::order_set& orders, const retail::workspace& stores,
                 const std::stop_token& stop) {
    const fs::path service = fs::canonical("/proc/self/exe").parent_path() / "retail-service";
    if (!fs::exists(service)) throw std::runtime_error(service.string() + " is missing");

    retail::scenario_result result;
    retail::run_scenario({.service = service,
                          .directory = stores.path(),
                          .connections = options.connections,
                          .cut = std::chrono::duration<double>(options.cut),
                          .deadline = std::chrono::duration<double>(options.deadline)},
                         orders, stop, result);

    std::cout << "\n" << to_table(result.found);
    show(result.found.differences);

    const std::string subtitle = retail::grouped(static_cast<std::int64_t>(result.found.orders)) +
                                 " orders with " +
                                 retail::grouped(static_cast<std::int64_t>(result.found.lines)) +
                                 " lines; shaded: no link between the two";
    bool written = retail::write_file(
        program, options.svg,
        draw_chart(result.history, "Edge and cloud: transactions behind each other", subtitle));
    if (written) std::cout << "  chart                 " << options.svg << "\n";
    written = write_json(options, result.found) && written;
    return result.found.converged && written ? 0 : 1;
}

int run(const demo_options& options) {
    const retail::signal_watch signals;
    const auto orders = retail::load_orders(options.orders);
    const auto stores = make_workspace(options);
    return options.is_long_absence ? run_long_absence(options, orders, stores, signals.token())
                                   : run_services(options, orders, stores, signals.token());
}

}  // namespace

int main(int argc, char** argv) {
    demo_options options;
    if (const auto exit_code = parse_command_line(argc, argv, options)) return *exit_code;
    if ((!options.is_long_absence && !retail::can_write(program, options.svg)) ||
        (!options.json.empty() && !retail::can_write(program, options.json))) {
        return usage_error;
    }
    ::signal(SIGPIPE, SIG_IGN);
    try {
        return run(options);
    } catch (const retail::interrupted&) {
        std::cerr << "retail-demo: interrupted\n";
        return 130;
    } catch (const std::exception& failure) {
        std::cerr << "retail-demo: " << failure.what() << "\n";
        return 1;
    }
}
