// Consul, where it has the mesh: an agent, what is registered with it, and the sidecars.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "demo/process.hpp"
#include "network.hpp"

namespace retail {

struct catalogue_options {
    std::filesystem::path consul;
    std::filesystem::path configuration;  ///< the directory of agent.hcl and the others
    std::filesystem::path envoy;
    std::filesystem::path directory;  ///< for what is rendered, and for logs
};

/// A replica of the shop as Consul knows it.
struct replica_entry {
    std::string name;
    std::string service;        ///< shop-edge or shop-cloud
    std::string address;        ///< at which the others reach its sidecars
    std::string local_address;  ///< at which its sidecars and it reach each other
    std::string check_address;  ///< at which the agent reaches it
    bool is_in_cloud = false;
};

/// Used by the main thread. Everything ends with it.
class catalogue {
  public:
    static constexpr std::uint16_t gateway_admin_port = 19000;  ///< of the gateway's sidecar

    catalogue(catalogue_options options, network& net);

    /// Starts the agent: nobody may speak to anybody. Throws std::runtime_error, as all others do.
    void start(const std::stop_token& stop);
    /// Registers a replica with its sidecars, which it starts unless they run, and finds the others. HOST:PORT of each,
    /// which is one of the replica's own sidecar.
    std::vector<std::string> enter(const replica_entry& entered);
    /// Lets those speak to each other that are to.
    void allow();
    /// SIGKILLs the gateway's sidecar where it runs, and starts it.
    void open_gateway();
    /// What Envoy calls the cluster of a service.
    std::string cluster_of(const std::string& service);

  private:
    std::filesystem::path render(const std::string& file, const std::string& name,
                                 const std::map<std::string, std::string>& values) const;
    void call(const std::vector<std::string>& arguments) const;
    std::vector<std::string> find_others(const replica_entry& replica) const;
    std::unique_ptr<process> start_sidecar(const std::string& service, std::uint16_t admin_port, bool is_in_cloud);
    const std::string& trust_domain();

    const catalogue_options options_;
    network& network_;
    std::unique_ptr<process> agent_;
    std::map<std::string, std::unique_ptr<process>> sidecars_;  ///< by service
    std::string trust_domain_;
};

}  // namespace retail
