#include "catalogue.hpp"

#include <boost/json.hpp>
#include <fstream>
#include <stdexcept>

#include "demo/http_client.hpp"
#include "mesh.hpp"

namespace retail {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

// The agent's own, of the mesh's own network.
constexpr std::uint16_t api_port = 8500;
constexpr std::uint16_t grpc_port = 8502;
constexpr std::uint16_t first_peer_port = 7500;
constexpr auto patience = std::chrono::seconds(30);

json::value ask(const std::string& target) {
    const auto answer = http_client(api_port, std::chrono::seconds(5)).get(target);
    if (answer.status != 200) throw no_answer("Consul does not tell " + target + ": " + answer.body);
    return json::parse(answer.body);
}

/// Of services that have a replica of the shop: replica.hcl gives it to them.
bool is_replica(const json::value& tags) {
    for (const auto& tag : tags.as_array()) {
        if (tag == "shop-replica") return true;
    }
    return false;
}

}  // namespace

catalogue::catalogue(catalogue_options options, network& net) : options_(std::move(options)), network_(net) {}

void catalogue::start(const std::stop_token& stop) {
    // In a file, as nobody reads what it says. The cloud's sidecars reach it over the driver's own link.
    agent_ = std::make_unique<process>(std::vector<std::string>{
        "/bin/sh", "-c", "log=$1; shift; exec \"$@\" >\"$log\" 2>&1", "sh", options_.directory / "consul.log", options_.consul, "agent",
        "-dev", "-client", "0.0.0.0", "-config-file", options_.configuration / "agent.hcl"});
    wait_for("Consul's agent does not start", stop, [] {
        const auto leader = ask("/v1/status/leader");
        return leader.is_string() && !leader.as_string().empty() && !ask("/v1/connect/ca/roots").at("TrustDomain").as_string().empty();
    });
    trust_domain_.clear();
}

std::vector<std::string> catalogue::enter(const replica_entry& entered) {
    std::vector<std::string> peers;
    std::string upstreams;
    for (const auto& service : find_others(entered)) {
        const auto port = std::to_string(first_peer_port + peers.size());
        upstreams += "{ destination_name = \"" + service + "\", local_bind_address = \"" + entered.local_address +
                     "\", local_bind_port = " + port + " },";
        peers.push_back(entered.local_address + ":" + port);
    }
    call({"services", "register",
          render("replica.hcl", entered.name, {{"NAME", entered.name},
                                               {"SERVICE", entered.service},
                                               {"ADDRESS", entered.address},
                                               {"LOCAL_ADDRESS", entered.local_address},
                                               {"CHECK_ADDRESS", entered.check_address},
                                               {"UPSTREAMS", upstreams}})});
    for (const auto& service : {entered.name, "sync-" + entered.name}) {
        auto& sidecar = sidecars_[service];
        const auto admin_port = static_cast<std::uint16_t>(gateway_admin_port + sidecars_.size());
        if (!sidecar) sidecar = start_sidecar(service, admin_port, entered.is_in_cloud);
    }
    return peers;
}

std::vector<std::string> catalogue::find_others(const replica_entry& replica) const {
    std::vector<std::string> found;
    const json::value services = ask("/v1/catalog/services");
    for (const auto& [service, tags] : services.as_object()) {
        if (is_replica(tags) && service != "sync-" + replica.name) found.emplace_back(service);
    }
    return found;
}

void catalogue::allow() {
    for (const auto& intention : fs::directory_iterator(options_.configuration / "intentions"))
        call({"config", "write", intention.path()});
}

void catalogue::open_gateway() {
    call({"services", "register", render("gateway.hcl", "gateway", {{"TRUST_DOMAIN", trust_domain()}})});
    auto& sidecar = sidecars_["gateway"];
    sidecar.reset();
    sidecar = start_sidecar("gateway", gateway_admin_port, false);
}

std::string catalogue::cluster_of(const std::string& service) { return service + ".default.dc1.internal." + trust_domain(); }

fs::path catalogue::render(const std::string& file, const std::string& name, const std::map<std::string, std::string>& values) const {
    const fs::path rendered = options_.directory / (name + ".hcl");
    std::ofstream(rendered) << fill_in(read_text(options_.configuration / file), values);
    return rendered;
}

void catalogue::call(const std::vector<std::string>& arguments) const {
    std::vector<std::string> command{options_.consul};
    command.insert(command.end(), arguments.begin(), arguments.end());
    process called(command);
    if (called.wait(patience)) return;
    std::string text = "consul";
    for (const auto& argument : arguments) text += " " + argument;
    throw std::runtime_error(text + " failed");
}

std::unique_ptr<process> catalogue::start_sidecar(const std::string& service, std::uint16_t admin_port, bool is_in_cloud) {
    const std::string agent = is_in_cloud ? network::driver_address : "127.0.0.1";
    process bootstrap({options_.consul, "connect", "envoy", "-sidecar-for", service, "-admin-bind", "127.0.0.1:" + std::to_string(admin_port),
                       "-grpc-addr", "http://" + agent + ":" + std::to_string(grpc_port), "-bootstrap"});
    const fs::path file = options_.directory / ("sidecar-" + service + ".json");
    {
        std::ofstream text(file);
        while (const auto line = bootstrap.read_line(patience)) text << *line << "\n";
    }
    if (!bootstrap.wait(patience)) throw std::runtime_error("consul connect envoy -sidecar-for " + service + " failed");
    const fs::path log = options_.directory / ("sidecar-" + service + ".log");
    const std::vector<std::string> command{options_.envoy, "--config-path", file, "--disable-hot-restart", "--concurrency", "1",
                                           "--drain-time-s", "1", "--log-level", "warning", "--log-path", log};
    std::unique_ptr<process> started;
    const auto start = [&] { started = std::make_unique<process>(command); };
    if (is_in_cloud) {
        network_.in_cloud(start);
    } else {
        start();
    }
    return started;
}

const std::string& catalogue::trust_domain() {
    if (trust_domain_.empty()) trust_domain_ = ask("/v1/connect/ca/roots").at("TrustDomain").as_string();
    return trust_domain_;
}

}  // namespace retail
