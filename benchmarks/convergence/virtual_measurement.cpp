#include "convergence/measurements.hpp"
#include "convergence/network.hpp"
#include "retail_reconnect/catalogue.hpp"

namespace bench::convergence {

namespace {

std::vector<network::pair> links_of(const std::string& topology, std::size_t replicas) {
    std::vector<network::pair> links;
    for (std::size_t i = 1; i < replicas; ++i) {
        if (topology == "star") links.emplace_back(0, i);
        if (topology == "chain") links.emplace_back(i - 1, i);
        if (topology != "mesh") continue;
        for (std::size_t other = 0; other < i; ++other) links.emplace_back(other, i);
    }
    if (links.empty()) throw std::invalid_argument("no topology \"" + topology + "\"");
    return links;
}

/// Operations of the reconnect workload on a bucket that was empty, spread over the time.
void work_apart(network& net, std::uint64_t seconds, std::uint64_t per_second) {
    std::vector<retail::solo> alone;
    for (std::size_t i = 0; i < net.size(); ++i) {
        alone.emplace_back(std::vector<retail::product>(retail::product_count), retail::edge_seed + i);
    }
    for (std::uint64_t operation = 0; operation < seconds * per_second; ++operation) {
        net.pass(std::chrono::microseconds(1'000'000 / per_second));
        for (std::size_t i = 0; i < net.size(); ++i) retail::commit_each(net.bucket(i), alone[i].draw(1));
    }
}

bool are_equal(network& net) {
    const auto digest = expect(net.bucket(0).digest());
    for (std::size_t i = 1; i < net.size(); ++i) {
        if (expect(net.bucket(i).digest()) != digest) return false;
    }
    return true;
}

}  // namespace

rows measure_virtual(const json::object& parameters) {
    const auto replicas = number_in(parameters, "replicas");
    const auto seconds = number_in(parameters, "seconds");
    const auto per_second = number_in(parameters, "per_second");
    const auto topology = text_in(parameters, "topology");
    const bool is_folded = parameters.at("folded").as_bool();
    const link_shape shape{std::chrono::microseconds(number_in(parameters, "rtt_ms") * 500),
                           static_cast<double>(number_in(parameters, "mbit_per_s")) * 1e6};
    anabranch::session_options options;
    if (!is_folded) options.fold_above = UINT64_MAX;

    network net(replicas);
    work_apart(net, seconds, per_second);
    const auto met = net.now();
    net.converge(links_of(topology, replicas), shape, options);

    row result = parameters;
    result.erase("scratch");
    result["system"] = is_folded ? "anabranch" : "anabranch-unfolded";
    result["engine"] = "memory";
    result["missed"] = (replicas - 1) * seconds * per_second;
    result["converge_ms"] = static_cast<double>((net.now() - met).count()) / 1000;
    result["bytes"] = net.bytes();
    result["values_ok"] = are_equal(net);
    return {result};
}

}  // namespace bench::convergence
