#include "mesh.hpp"

#include <boost/json.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <thread>

#include "demo/traffic.hpp"

namespace retail {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

// Of the mesh's own network, so nobody else's can be taken.
constexpr std::uint16_t http_port = 8080;
constexpr std::uint16_t sync_port = 7400;
constexpr std::uint16_t gateway_port = 8000;
constexpr std::uint16_t admin_port = 9901;
constexpr auto edge_1_address = "127.0.0.11";
constexpr auto edge_2_address = "127.0.0.12";
constexpr auto start_patience = std::chrono::seconds(30);
constexpr auto drain = std::chrono::milliseconds(600);  // some intervals of the gateway's health checks
constexpr auto look_again = std::chrono::milliseconds(10);

std::string with_port(const std::string& address, std::uint16_t port) {
    return address + ":" + std::to_string(port);
}

std::string read_text(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream) throw std::runtime_error(file.string() + " cannot be read");
    return {std::istreambuf_iterator<char>(stream), {}};
}

/// Asks until `fn` says yes. A service that does not answer yet is asked again.
template <class Function>
void wait_for(const std::string& what, const std::stop_token& stop, Function fn) {
    const auto deadline = std::chrono::steady_clock::now() + start_patience;
    while (true) {
        try {
            if (fn()) return;
        } catch (const no_answer&) {
        }
        if (stop.stop_requested()) throw interrupted();
        if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error(what);
        std::this_thread::sleep_for(look_again);
    }
}

/// One of Envoy's counters or gauges; 0 while it does not have it.
std::uint64_t read_statistic(const std::string& name) {
    http_client admin(endpoint{"127.0.0.1", admin_port}, std::chrono::seconds(2));
    const auto answer = admin.get("/stats?format=json&filter=^" + name + "$");
    if (answer.status != 200) throw no_answer("the gateway does not tell " + name);
    const json::value statistics = json::parse(answer.body);
    const json::array& found = statistics.at("stats").as_array();
    return found.empty() ? 0 : found.front().at("value").to_number<std::uint64_t>();
}

}  // namespace

std::string render_configuration(const std::string& text, unsigned rate_per_second) {
    const std::map<std::string, std::string> values{
        {"GATEWAY_HOST", "127.0.0.1"},
        {"GATEWAY_PORT", std::to_string(gateway_port)},
        {"ADMIN_PORT", std::to_string(admin_port)},
        {"EDGE_1_HOST", edge_1_address},
        {"EDGE_1_PORT", std::to_string(http_port)},
        {"EDGE_2_HOST", edge_2_address},
        {"EDGE_2_PORT", std::to_string(http_port)},
        {"CLOUD_HOST", network::cloud_address},
        {"CLOUD_PORT", std::to_string(http_port)},
        {"TILL_SHA1", "ung3/MJGCwZBMYOLtr0SxkkwccU="},     // till-secret
        {"AUDITOR_SHA1", "v4IBvBYJdfjlQa56mRTEumgs544="},  // auditor-secret
        {"RATE_PER_SECOND", std::to_string(rate_per_second)},
    };
    std::string rendered;
    for (std::size_t at = 0;;) {
        const std::size_t begin = text.find("${", at);
        rendered += text.substr(at, begin - at);
        if (begin == std::string::npos) return rendered;
        const std::size_t end = text.find('}', begin);
        if (end == std::string::npos) throw std::runtime_error("the configuration does not close a ${");
        const std::string name = text.substr(begin + 2, end - begin - 2);
        const auto found = values.find(name);
        if (found == values.end())
            throw std::runtime_error("the configuration names an unknown ${" + name + "}");
        rendered += found->second;
        at = end + 1;
    }
}

fs::path write_configuration(const mesh_options& options) {
    const fs::path file = options.directory / "gateway.yaml";
    std::ofstream(file) << render_configuration(read_text(options.configuration), options.rate_per_second);
    process check({options.envoy, "--mode", "validate", "--log-level", "error", "--config-path", file});
    if (!check.wait(start_patience)) {
        throw std::runtime_error(options.envoy.string() + " does not take " + options.configuration.string());
    }
    return file;
}

mesh::mesh(const mesh_options& options, network& net) : options_(options), network_(net) {
    const std::string cloud_sync = with_port(network::cloud_address, sync_port);
    const std::string edge_1_sync = with_port(edge_1_address, sync_port);
    const auto make = [&](const std::string& name, const std::string& address, const std::string& control,
                          std::vector<std::string> others) {
        std::vector<std::string> command{options.service, "--data", options.directory / name, "--drain",
                                         std::to_string(drain.count())};
        auto apart = std::make_unique<side>(name, command, with_port(address, http_port));
        command.insert(command.end(), {"--listen", with_port(address, sync_port)});
        command.insert(command.end(), others.begin(), others.end());
        return std::unique_ptr<instance>(new instance{
            side(name, command, with_port(address, http_port)), {control, http_port}, std::move(apart)});
    };
    instances_[edge_1] = make("edge-1", edge_1_address, edge_1_address, {"--peer", cloud_sync});
    instances_[edge_2] =
        make("edge-2", edge_2_address, edge_2_address, {"--peer", cloud_sync, "--peer", edge_1_sync});
    instances_[cloud] = make("cloud", "0.0.0.0", network::control_address, {"--create"});
}

void mesh::start(const std::stop_token& stop) {
    configuration_ = write_configuration(options_);
    for (const std::size_t which : {cloud, edge_1, edge_2}) start_instance(which);
    for (const std::size_t which : {cloud, edge_1, edge_2}) wait_until_ready(which, stop);
    open_gateway();
    wait_for_gateway(stop);
}

bool mesh::stop() {
    gateway_.reset();
    bool in_order = true;
    for (const std::size_t which : {edge_1, edge_2, cloud}) in_order = end_instance(which) && in_order;
    return in_order;
}

void mesh::start_instance(std::size_t which) {
    auto& started = at(which);
    if (which == cloud) {
        network_.in_cloud([&] { started.service.start(); });
    } else {
        started.service.start();
    }
    started.is_up = true;
}

void mesh::kill_instance(std::size_t which) {
    at(which).is_up = false;
    at(which).service.kill();
}

bool mesh::end_instance(std::size_t which) {
    const bool in_order = at(which).service.stop();
    at(which).is_up = false;
    return in_order;
}

void mesh::set_apart(std::size_t which) {
    kill_instance(which);
    at(which).apart->start();
}

void mesh::bring_back(std::size_t which) {
    at(which).apart->kill();
    start_instance(which);
}

void mesh::wait_until_ready(std::size_t which, const std::stop_token& stop) {
    http_client client(at(which).control, std::chrono::seconds(2));
    wait_for(at(which).service.name() + " is not ready", stop,
             [&] { return client.get("/ready").status == 200; });
}

endpoint mesh::gateway() { return {"127.0.0.1", gateway_port}; }

void mesh::open_gateway() {
    gateway_ = std::make_unique<process>(std::vector<std::string>{
        options_.envoy, "--config-path", configuration_, "--disable-hot-restart", "--concurrency", "1",
        "--log-level", "warning", "--log-path", options_.directory / "gateway.log"});
}

void mesh::restart_gateway() {
    before_restart_ = counts();
    gateway_.reset();
    open_gateway();
}

void mesh::wait_for_gateway(const std::stop_token& stop) {
    http_client client(gateway(), std::chrono::seconds(2));
    const http_headers headers{{"Authorization", auditor}};
    wait_for("the gateway does not let requests through to everybody", stop, [&] {
        return client.request("GET", "/ready", {}, headers).status == 200 &&
               read_statistic("cluster.edges.membership_healthy") == 2 &&
               read_statistic("cluster.cloud.membership_healthy") == 1 &&
               read_statistic("cluster.cloud_mirror.membership_healthy") == 1;
    });
}

void mesh::wait_until_quiet(const std::stop_token& stop) {
    wait_for("requests are under way that nobody has sent", stop, [] {
        return read_statistic("cluster.edges.upstream_rq_active") == 0 &&
               read_statistic("cluster.cloud.upstream_rq_active") == 0 &&
               read_statistic("cluster.cloud_mirror.upstream_rq_active") == 0;
    });
}

gateway_counts mesh::counts() const {
    return {before_restart_.copies + read_statistic("cluster.cloud_mirror.upstream_rq_2xx"),
            before_restart_.retries + read_statistic("cluster.shop.upstream_rq_retry")};
}

}  // namespace retail
