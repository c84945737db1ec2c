// What runs: two edges and a cloud, each a shop with a store of its own, and the gateway before them.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "catalogue.hpp"
#include "demo/http_client.hpp"
#include "demo/side.hpp"
#include "network.hpp"

namespace retail {

struct mesh_options {
    std::filesystem::path service;
    std::filesystem::path envoy;
    std::filesystem::path configuration;  ///< gateway.yaml
    std::filesystem::path directory;      ///< for stores, the rendered configuration and Envoy's log
    unsigned rate_per_second = 200;       ///< that the gateway lets through
    // Where Consul has the mesh.
    std::filesystem::path consul{};                ///< the program; empty: it has not
    std::filesystem::path consul_configuration{};  ///< the directory of agent.hcl and the others
};

// Values of Authorization. The gateway knows these two.
inline constexpr auto till = "Basic dGlsbDp0aWxsLXNlY3JldA==";             // till:till-secret
inline constexpr auto auditor = "Basic YXVkaXRvcjphdWRpdG9yLXNlY3JldA==";  // auditor:auditor-secret

/// The text with each ${NAME} replaced by its value. Throws std::runtime_error for a name that has none.
std::string fill_in(const std::string& text, const std::map<std::string, std::string>& values);
/// With what the gateway of this mesh uses.
std::string render_configuration(const std::string& text, unsigned rate_per_second);

std::string read_text(const std::filesystem::path& file);

/// Asks until `fn` says yes. Who does not answer yet is asked again. Throws std::runtime_error(what) after a while, and
/// interrupted.
void wait_for(const std::string& what, const std::stop_token& stop, const std::function<bool()>& fn);

/// Renders the configuration into the directory. Throws std::runtime_error where Envoy does not take it;
/// Envoy itself says why.
std::filesystem::path write_configuration(const mesh_options& options);

/// An instance, and where the driver reaches it whatever happens to the link.
struct instance {
    side service;
    endpoint control;
    replica_entry entry;
    std::unique_ptr<side> apart{};  ///< of an edge: the same instance, without peers
    bool is_up = false;
};

/// Where whoever mirrors and retries counts: names of Envoy's statistics.
struct gateway_statistics {
    std::uint16_t admin_port = 0;
    std::vector<std::pair<std::string, std::uint64_t>> healthy;  ///< instances that requests are sent to
    std::vector<std::string> active;                             ///< requests under way
    std::string copies;
    std::string retries;
};

/// What the gateway has counted.
struct gateway_counts {
    std::uint64_t copies = 0;   ///< mirrored, and carried out by the cloud
    std::uint64_t retries = 0;  ///< of the gateway's own: the client saw none of them
};

/// Started and ended by the main thread. Everything ends with it.
class mesh {
  public:
    static constexpr std::size_t edge_1 = 0;
    static constexpr std::size_t edge_2 = 1;
    static constexpr std::size_t cloud = 2;

    mesh(const mesh_options& options, network& net);

    /// Founds the shop in the cloud, lets the edges join, opens the gateway. Throws std::runtime_error.
    void start(const std::stop_token& stop);
    /// False where a service did not end in order.
    bool stop();

    bool has_consul() const { return catalogue_ != nullptr; }
    std::array<std::unique_ptr<instance>, 3>& instances() { return instances_; }
    instance& at(std::size_t which) { return *instances_[which]; }
    void start_instance(std::size_t which);
    void kill_instance(std::size_t which);
    /// SIGTERM, and waits for its end. False where it did not end in order.
    bool end_instance(std::size_t which);
    /// An edge is killed, and started again so that it hears of no other instance; and the other way round.
    void set_apart(std::size_t which);
    void bring_back(std::size_t which);
    /// Waits until it is a member of the shop.
    void wait_until_ready(std::size_t which, const std::stop_token& stop);

    static endpoint gateway();
    /// SIGKILL, and starts it again.
    void restart_gateway();
    /// Waits until it lets requests through, and to all instances.
    void wait_for_gateway(const std::stop_token& stop);
    /// Waits until no request and no copy is under way.
    void wait_until_quiet(const std::stop_token& stop);
    /// Since the start of the mesh.
    gateway_counts counts() const;

  private:
    void open_gateway();
    /// Consul denies what nobody has allowed.
    void see_denials(const std::stop_token& stop);
    bool is_served() const;

    const mesh_options options_;
    network& network_;
    std::array<std::unique_ptr<instance>, 3> instances_;
    std::unique_ptr<catalogue> catalogue_;  ///< nothing without Consul
    gateway_statistics statistics_;
    std::filesystem::path configuration_;
    std::unique_ptr<process> gateway_;
    gateway_counts before_restart_;
};

}  // namespace retail
