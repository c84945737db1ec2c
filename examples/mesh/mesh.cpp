#include "mesh.hpp"

#include <algorithm>
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
// Some intervals of the health checks: the gateway's 0.25 s, Consul's 1 s.
constexpr auto drain_for_envoy = std::chrono::milliseconds(600);
constexpr auto drain_for_consul = std::chrono::milliseconds(3000);
constexpr auto calm_for_consul = std::chrono::milliseconds(1500);
constexpr auto look_again = std::chrono::milliseconds(10);

std::string with_port(const std::string& address, std::uint16_t port) {
    return address + ":" + std::to_string(port);
}

/// One of Envoy's counters or gauges; 0 while it does not have it.
std::uint64_t read_statistic(std::uint16_t port, const std::string& name) {
    http_client admin(port, std::chrono::seconds(2));
    const auto answer = admin.get("/stats?format=json&filter=^" + name + "$");
    if (answer.status != 200) throw no_answer("the gateway does not tell " + name);
    const json::value statistics = json::parse(answer.body);
    const json::array& found = statistics.at("stats").as_array();
    return found.empty() ? 0 : found.front().at("value").to_number<std::uint64_t>();
}

gateway_statistics gateways_own() {
    return {.admin_port = admin_port,
            .healthy = {{"cluster.edges.membership_healthy", 2},
                        {"cluster.cloud.membership_healthy", 1},
                        {"cluster.cloud_mirror.membership_healthy", 1}},
            .active = {"cluster.edges.upstream_rq_active", "cluster.cloud.upstream_rq_active", "cluster.cloud_mirror.upstream_rq_active"},
            .copies = "cluster.cloud_mirror.upstream_rq_2xx",
            .retries = "cluster.shop.upstream_rq_retry"};
}

/// Of the gateway's sidecar. The edges' cluster is an aggregate: first the edges, then the cloud.
gateway_statistics sidecars_own(const std::string& edges, const std::string& cloud) {
    const std::string first = "cluster.failover-target~0~" + edges;
    const std::string second = "cluster.failover-target~1~" + edges;
    const std::string mirror = "cluster." + cloud;
    return {.admin_port = catalogue::gateway_admin_port,
            .healthy = {{first + ".membership_healthy", 2}, {second + ".membership_healthy", 1}, {mirror + ".membership_healthy", 1}},
            .active = {first + ".upstream_rq_active", second + ".upstream_rq_active", mirror + ".upstream_rq_active"},
            .copies = mirror + ".upstream_rq_2xx",
            .retries = "cluster." + edges + ".upstream_rq_retry"};
}

}  // namespace

std::string read_text(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream) throw std::runtime_error(file.string() + " cannot be read");
    return {std::istreambuf_iterator<char>(stream), {}};
}

void wait_for(const std::string& what, const std::stop_token& stop, const std::function<bool()>& fn) {
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

std::string render_configuration(const std::string& text, unsigned rate_per_second) {
    return fill_in(text, {
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
    });
}

std::string fill_in(const std::string& text, const std::map<std::string, std::string>& values) {
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
    const bool has_consul = !options.consul.empty();
    if (has_consul) {
        catalogue_ = std::make_unique<catalogue>(
            catalogue_options{options.consul, options.consul_configuration, options.envoy, options.directory}, net);
    }
    const auto make = [&](const std::string& name, const std::string& address, const replica_entry& entry,
                          const std::string& control) {
        const auto drain = has_consul ? drain_for_consul : drain_for_envoy;
        std::vector<std::string> command{options.service, "--data", options.directory / name, "--drain",
                                         std::to_string(drain.count())};
        auto apart = std::make_unique<side>(name, command, with_port(address, http_port));
        command.insert(command.end(), {"--listen", with_port(address, sync_port)});
        return std::unique_ptr<instance>(new instance{
            side(name, command, with_port(address, http_port)), {control, http_port}, entry, std::move(apart)});
    };
    const auto make_edge = [&](const std::string& name, const std::string& address) {
        return make(name, address, {name, "shop-edge", address, address, address}, address);
    };
    instances_[edge_1] = make_edge("edge-1", edge_1_address);
    instances_[edge_2] = make_edge("edge-2", edge_2_address);
    instances_[cloud] =
        make("cloud", "0.0.0.0",
             {"cloud", "shop-cloud", network::cloud_address, "127.0.0.1", network::control_address, true}, network::control_address);
}

void mesh::start(const std::stop_token& stop) {
    configuration_ = write_configuration(options_);
    if (catalogue_) catalogue_->start(stop);
    for (const std::size_t which : {cloud, edge_1, edge_2}) start_instance(which);
    if (catalogue_) {
        statistics_ = sidecars_own(catalogue_->cluster_of("shop-edge"), catalogue_->cluster_of("shop-cloud"));
        open_gateway();
        see_denials(stop);
        catalogue_->allow();
    } else {
        statistics_ = gateways_own();
    }
    for (const std::size_t which : {cloud, edge_1, edge_2}) wait_until_ready(which, stop);
    if (!catalogue_) open_gateway();
    wait_for_gateway(stop);
}

void mesh::see_denials(const std::stop_token& stop) {
    http_client client(gateway(), std::chrono::seconds(2));
    const http_headers headers{{"Authorization", auditor}};
    wait_for("Consul does not deny the gateway's requests", stop, [&] {
        const auto answer = client.request("GET", "/products", {}, headers);
        return answer.status == 403 && answer.body.starts_with("RBAC");
    });
    // By now an edge that could reach the cloud would have joined it.
    for (const std::size_t which : {edge_1, edge_2}) {
        const auto answer = http_client(at(which).control, std::chrono::seconds(2)).get("/ready");
        if (answer.body.find("not_a_member") == std::string::npos)
            throw std::runtime_error(at(which).service.name() + " reaches the cloud before it is allowed to: " + answer.body);
    }
}

bool mesh::stop() {
    gateway_.reset();
    bool in_order = true;
    for (const std::size_t which : {edge_1, edge_2, cloud}) in_order = end_instance(which) && in_order;
    return in_order;
}

void mesh::start_instance(std::size_t which) {
    auto& started = at(which);
    std::vector<std::string> peers;
    if (catalogue_) {
        peers = catalogue_->enter(started.entry);
    } else if (which != cloud) {
        peers.push_back(with_port(network::cloud_address, sync_port));
        if (which == edge_2) peers.push_back(with_port(edge_1_address, sync_port));
    }
    std::vector<std::string> more;
    for (const auto& peer : peers) more.insert(more.end(), {"--peer", peer});
    if (which == cloud) {
        if (peers.empty()) more.push_back("--create");
        network_.in_cloud([&] { started.service.start(more); });
    } else {
        started.service.start(more);
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
    if (catalogue_) catalogue_->open_gateway();
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
    // Consul looks once a second: what it says may be about an instance that has been restarted since.
    const auto calm = catalogue_ ? calm_for_consul : std::chrono::milliseconds(0);
    auto begin = std::chrono::steady_clock::now();
    wait_for("the gateway does not let requests through to everybody", stop, [&] {
        const bool is_open = is_served() && client.request("GET", "/ready", {}, headers).status == 200;
        if (!is_open) begin = std::chrono::steady_clock::now();
        return is_open && std::chrono::steady_clock::now() - begin >= calm;
    });
}

bool mesh::is_served() const {
    return std::all_of(statistics_.healthy.begin(), statistics_.healthy.end(), [this](const auto& expected) {
        return read_statistic(statistics_.admin_port, expected.first) == expected.second;
    });
}

void mesh::wait_until_quiet(const std::stop_token& stop) {
    wait_for("requests are under way that nobody has sent", stop, [this] {
        return std::all_of(statistics_.active.begin(), statistics_.active.end(),
                           [this](const auto& name) { return read_statistic(statistics_.admin_port, name) == 0; });
    });
}

gateway_counts mesh::counts() const {
    return {before_restart_.copies + read_statistic(statistics_.admin_port, statistics_.copies),
            before_restart_.retries + read_statistic(statistics_.admin_port, statistics_.retries)};
}

}  // namespace retail
