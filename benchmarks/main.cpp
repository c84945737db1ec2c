// anabranch-bench: measures the library beside what a user would otherwise pick.
#include <signal.h>
#include <stdlib.h>
#include <sys/vfs.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <iostream>

#include "driver/child.hpp"
#include "driver/driver.hpp"
#include "driver/part.hpp"
#include "paper/document_service.hpp"

namespace {

namespace fs = std::filesystem;

constexpr int usage_error = 2;

struct request {
    bench::settings suite;
    bool is_measurement = false;  // this is the child that measures
    bool is_service = false;
    bench::paper::document_options service;
    std::string measurement;
    std::string parameters;
};

std::string describe_parts() {
    std::string text = "Parts:\n";
    for (const auto& part : bench::parts()) {
        text += "  " + std::string(part.name) + std::string(18 - part.name.size(), ' ') + std::string(part.what) + "\n";
    }
    return text;
}

/// Fills `asked`; where the program should end instead, its exit code.
std::optional<int> parse_command_line(int argc, char** argv, request& asked) {
    CLI::App app{"Measures the library beside the peers, everything side by side in one run, and writes tables, JSON "
                 "and plots."};
    app.name("run bench");
    app.footer(describe_parts());
    std::vector<std::string> names;
    for (const auto& part : bench::parts()) names.emplace_back(part.name);
    auto& suite = asked.suite;
    app.add_option("--only", suite.only, "run this part; may be given more than once")->check(CLI::IsMember(names));
    app.add_option("--n", suite.n, "operations a side in retail-reconnect (default: 1000, 10000, 100000, 1000000), or in disk (default: 10000000)")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{100'000'000}));
    app.add_option("--json", suite.json, "write the results as JSON to this file, too");
    bool is_quick = false;
    bool is_smoke = false;
    app.add_flag("--quick", is_quick, "smaller sizes, fewer runs");
    app.add_flag("--smoke", is_smoke, "tiny sizes, no peers: for the tests")->group("");
    app.add_option("--runs", suite.runs, "measure each thing this often (default: 5; 3 for the largest and with --quick)")
        ->check(CLI::Range(1U, 1000U));
    app.add_option("--results", suite.results, "write results and plots to this directory");
    app.add_option("--scratch", suite.scratch, "keep databases below this directory while they are measured")
        ->check(CLI::ExistingDirectory);
    app.add_option("--peers", suite.peers, "the program anabranch-peers (default: built with cargo)")
        ->check(CLI::ExistingFile);
    auto* measure = app.add_subcommand("measure", "one measurement; the suite runs these")->group("");
    measure->add_option("name", asked.measurement)->required();
    measure->add_option("parameters", asked.parameters)->required();
    auto* serve = app.add_subcommand("serve-documents", "a service that the suite measures")->group("");
    serve->add_option("--data", asked.service.data)->required();
    serve->add_flag("--create", asked.service.creates);
    serve->add_option("--http", asked.service.http);
    serve->add_option("--listen", asked.service.listen);
    serve->add_option("--peer", asked.service.peers);
    try {
        app.parse(argc, argv);
        asked.is_measurement = measure->parsed();
        asked.is_service = serve->parsed();
        if (is_quick) suite.size = bench::extent::quick;
        if (is_smoke) suite.size = bench::extent::smoke;
        for (const auto& name : suite.only) {
            const auto part = std::ranges::find(bench::parts(), name, &bench::part::name);
            if (suite.n && !part->takes_n) throw CLI::ValidationError("--n", "the part " + name + " takes none");
        }
    } catch (const CLI::ParseError& problem) {
        return app.exit(problem) == 0 ? 0 : usage_error;
    }
    return {};
}

/// The child: one measurement, one row a line.
int measure(const request& asked) {
    const auto all = bench::measurements();
    const auto found = std::ranges::find(all, asked.measurement, &bench::measurement::name);
    if (found == all.end()) {
        std::cerr << "anabranch-bench: no measurement \"" << asked.measurement << "\"\n";
        return usage_error;
    }
    for (const auto& row : found->run(bench::json::parse(asked.parameters).as_object())) {
        std::cout << bench::json::serialize(row) << "\n";
    }
    std::cout << std::flush;
    return 0;
}

/// Finds out before the run, not after it. Leaves the file as it was.
bool can_write(const fs::path& file) {
    const bool existed = fs::exists(fs::symlink_status(file));
    const bool good = std::ofstream(file, std::ios::app).good();
    if (!good) std::cerr << "anabranch-bench: " << file.string() << " cannot be written\n";
    if (good && !existed) fs::remove(file);
    return good;
}

void complete(bench::settings& suite) {
    if (const char* root = ::getenv("ANABRANCH_ROOT")) suite.project = root;
    if (suite.results.empty()) suite.results = suite.project / "benchmarks" / "results";
    if (suite.scratch.empty()) suite.scratch = fs::temp_directory_path();
    struct statfs system {};
    constexpr decltype(system.f_type) tmpfs = 0x0102'1994;
    if (::statfs(suite.scratch.c_str(), &system) == 0 && system.f_type == tmpfs) {
        std::cerr << "anabranch-bench: " << suite.scratch.string()
                  << " is memory, not a disk: what waits for a disk is measured too fast. --scratch names another.\n";
    }
}

/// A wrong value is a failure; a missed target is a result.
bool are_values_right(const bench::driver& suite) {
    bool are_right = true;
    for (const auto& row : suite.kept()) {
        const auto* ok = row.if_contains("values_ok");
        if (!ok || ok->as_bool() || !row.at("system").as_string().starts_with("anabranch")) continue;
        std::cerr << "anabranch-bench: wrong values: " << bench::json::serialize(row) << "\n";
        are_right = false;
    }
    return are_right;
}

int run(bench::settings asked) {
    complete(asked);
    if (!asked.json.empty() && !can_write(asked.json)) return usage_error;
    bench::driver suite(asked);
    for (const auto& part : bench::parts()) {
        if (asked.only.empty() || std::ranges::count(asked.only, part.name) > 0) part.run(suite);
    }
    bench::say_targets(suite);
    suite.write_results();
    return are_values_right(suite) ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    request asked;
    if (const auto exit_code = parse_command_line(argc, argv, asked)) return *exit_code;
    ::signal(SIGPIPE, SIG_IGN);
    try {
        if (asked.is_measurement) return measure(asked);
        if (asked.is_service) return bench::paper::serve_documents(asked.service);
        bench::watch_for_interruption();
        return run(asked.suite);
    } catch (const bench::interrupted&) {
        std::cerr << "\nanabranch-bench: interrupted\n";
        return 130;
    } catch (const std::exception& failure) {
        std::cerr << "anabranch-bench: " << failure.what() << "\n";
        return 1;
    }
}
