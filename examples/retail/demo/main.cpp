// retail-demo: feeds orders to two instances of the shop through a link cut and a kill, and shows that both
// hold the same state in the end.
#include <signal.h>
#include <stdlib.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <system_error>
#include <thread>

#include "demo/chart.hpp"
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
};

constexpr int usage_error = 2;
constexpr std::size_t generated_orders = 450;

/// Fills `options`; where the program should end instead, its exit code.
std::optional<int> parse_command_line(int argc, char** argv, demo_options& options) {
    CLI::App app{
        "Feeds real orders over HTTP to two instances of a shop, edge and cloud, cuts the link between them, "
        "kills "
        "one with SIGKILL and starts it again, heals the link, and checks that both hold the same state and "
        "exactly "
        "what was ordered, and that the last piece of a product is sold once. Exits with 0 where they do."};
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
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& problem) {
        return app.exit(problem) == 0 ? 0 : usage_error;
    }
    return {};
}

/// Finds out before the run, not after it. Leaves the file as it was.
bool can_write(const std::string& file) {
    const bool existed = fs::exists(fs::symlink_status(file));
    const bool good = std::ofstream(file, std::ios::app).good();
    if (!good) std::cerr << "retail-demo: " << file << " cannot be written\n";
    if (good && !existed) fs::remove(file);
    return good;
}

bool write(const std::string& file, const std::string& content) {
    std::ofstream stream(file, std::ios::binary);
    stream << content << std::flush;
    if (!stream) std::cerr << "retail-demo: " << file << " could not be written\n";
    return stream.good();
}

retail::order_set load_orders(const demo_options& options) {
    fs::path file = options.orders;
    if (file.empty()) {
        if (const char* root = ::getenv("ANABRANCH_ROOT")) {
            const fs::path shared = fs::path(root) / ".." / "shared" / "data" / "online-retail.csv";
            if (fs::exists(shared)) file = fs::canonical(shared);
        }
    }
    const auto orders = file.empty() ? retail::generate_orders(generated_orders) : retail::read_orders(file);
    const std::string name = file.empty() ? "generated ones" : file.string();
    constexpr std::size_t shown = 20;
    for (std::size_t i = 0; i < orders.skipped.size() && i < shown; ++i) {
        std::cerr << name << ":" << orders.skipped[i].line << ": skipped: " << orders.skipped[i].reason
                  << "\n";
    }
    std::cout << "  orders     " << retail::grouped(static_cast<std::int64_t>(orders.orders.size()))
              << " with " << retail::grouped(static_cast<std::int64_t>(orders.lines)) << " lines from "
              << name << " (" << orders.skipped.size() << " lines skipped)" << std::endl;
    return orders;
}

/// Where both sides keep their stores. A temporary directory goes away with it.
class workspace {
  public:
    explicit workspace(const demo_options& options) : temporary_(options.directory.empty() && !options.keep) {
        if (options.directory.empty()) {
            std::string name = (fs::temp_directory_path() / "retail-demo-XXXXXX").string();
            if (!::mkdtemp(name.data())) throw std::system_error(errno, std::generic_category(), name);
            path_ = name;
        } else {
            path_ = fs::absolute(options.directory);
            for (const char* side : {"edge", "cloud"}) {
                if (fs::exists(path_ / side))
                    throw std::runtime_error((path_ / side).string() + " exists already");
            }
            fs::create_directories(path_);
        }
        if (!temporary_) std::cout << "  stores     " << path_.string() << "\n";
    }
    ~workspace() {
        std::error_code ignored;
        if (temporary_) fs::remove_all(path_, ignored);
    }
    workspace(const workspace&) = delete;
    workspace& operator=(const workspace&) = delete;

    const fs::path& path() const { return path_; }

  private:
    const bool temporary_;
    fs::path path_;
};

/// Turns SIGINT and the like into a stop request, for as long as it lives. Made before all other threads.
class signal_watch {
  public:
    signal_watch() {
        ::sigemptyset(&signals_);
        for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&signals_, number);
        ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
        thread_ = std::jthread([this](const std::stop_token& ended) {
            const timespec patience{0, 50'000'000};
            while (!ended.stop_requested()) {
                if (::sigtimedwait(&signals_, nullptr, &patience) > 0) stop_.request_stop();
            }
        });
    }
    std::stop_token token() const { return stop_.get_token(); }

  private:
    sigset_t signals_{};
    std::stop_source stop_;
    std::jthread thread_;
};

int run(const demo_options& options) {
    const signal_watch signals;
    const auto orders = load_orders(options);
    if (orders.orders.empty()) {
        std::cerr << "retail-demo: no order line can be used\n";
        return 1;
    }
    const workspace stores(options);
    const fs::path service = fs::canonical("/proc/self/exe").parent_path() / "retail-service";
    if (!fs::exists(service)) throw std::runtime_error(service.string() + " is missing");

    retail::scenario_result result;
    retail::run_scenario({.service = service,
                          .directory = stores.path(),
                          .connections = options.connections,
                          .cut = std::chrono::duration<double>(options.cut),
                          .deadline = std::chrono::duration<double>(options.deadline)},
                         orders, signals.token(), result);

    std::cout << "\n" << to_table(result.found);
    constexpr std::size_t shown = 20;
    const auto& differences = result.found.differences;
    for (std::size_t i = 0; i < differences.size() && i < shown; ++i)
        std::cerr << "retail-demo: " << differences[i] << "\n";
    if (differences.size() > shown)
        std::cerr << "retail-demo: and " << differences.size() - shown << " more\n";

    const std::string subtitle = retail::grouped(static_cast<std::int64_t>(result.found.orders)) +
                                 " orders with " +
                                 retail::grouped(static_cast<std::int64_t>(result.found.lines)) +
                                 " lines; shaded: no link between the two";
    bool written = write(
        options.svg, draw_chart(result.history, "Edge and cloud: transactions behind each other", subtitle));
    if (written) std::cout << "  chart                 " << options.svg << "\n";
    if (!options.json.empty()) written = write(options.json, to_json_text(result.found)) && written;
    return result.found.converged && written ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    demo_options options;
    if (const auto exit_code = parse_command_line(argc, argv, options)) return *exit_code;
    if (!can_write(options.svg) || (!options.json.empty() && !can_write(options.json))) return usage_error;
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
