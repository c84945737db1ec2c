#include <boost/json.hpp>

#include "measure/cost.hpp"
#include "measure/statistics.hpp"
#include "paper/customer.hpp"
#include "paper/measurements.hpp"
#include "paper/shops.hpp"

namespace bench::paper {

namespace {

constexpr std::uint64_t products = 100;

std::string sku(std::uint64_t i) { return "p" + std::to_string(i % products); }

/// One more of some product: requests of both sides meet on the same counters.
retail::client_request restock(std::uint64_t i) { return {"POST", "/products/" + sku(i) + "/stock", R"({"add":1})"}; }

void sleep_for(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

void describe_products(shops& both) {
    retail::http_client client(both.cloud().http_port());
    for (std::uint64_t i = 0; i < products; ++i) {
        const auto answer = client.request("PUT", "/products/" + sku(i), R"({"name":"thing","price":"1.00","stock":0})");
        if (answer.status >= 300) throw std::runtime_error("a product was refused: " + answer.body);
    }
    wait_for(both.edge(), progress_of(both.cloud()));
}

struct recovery {
    std::uint64_t missed = 0;
    double seconds = 0;
};

/// While nothing crosses, both go on; then the link is back.
recovery cut_link(shops& both, double seconds) {
    both.link().cut();
    sleep_for(seconds);
    const auto of_edge = progress_of(both.edge());
    const auto of_cloud = progress_of(both.cloud());
    const std::uint64_t missed = retail::missing(of_edge, of_cloud) + retail::missing(of_cloud, of_edge);
    const stopwatch watch;
    both.link().heal();
    wait_for(both.edge(), of_cloud);
    wait_for(both.cloud(), of_edge);
    return {missed, watch.elapsed().wall};
}

/// SIGKILL, and started again: until it has what the cloud took meanwhile.
recovery reboot_edge(shops& both, double seconds) {
    const auto before = progress_of(both.edge());
    both.edge().kill();
    sleep_for(seconds);
    const auto of_cloud = progress_of(both.cloud());
    const stopwatch watch;
    both.edge().start();
    wait_for(both.edge(), of_cloud);
    return {retail::missing(before, of_cloud), watch.elapsed().wall};
}

std::int64_t stock_at(const retail::side& service) {
    retail::http_client client(service.http_port());
    std::int64_t total = 0;
    for (std::uint64_t i = 0; i < products; ++i) {
        total += json::parse(client.get("/products/" + sku(i)).body).at("stock").to_number<std::int64_t>();
    }
    return total;
}

/// Both show the same, and every answered request counts exactly once.
bool are_values_right(shops& both, const customer& at_edge, const customer& at_cloud) {
    wait_for(both.edge(), progress_of(both.cloud()));
    wait_for(both.cloud(), progress_of(both.edge()));
    const auto answered = static_cast<std::int64_t>(at_edge.latencies().size() + at_cloud.latencies().size());
    const auto unanswered = static_cast<std::int64_t>(at_edge.unanswered() + at_cloud.unanswered());
    const auto stock = stock_at(both.edge());
    return stock == stock_at(both.cloud()) && stock >= answered && stock <= answered + unanswered;
}

void add(row& to, const std::string& name, const recovery& found) {
    to[name + "_missed"] = found.missed;
    to[name + "_recovery_s"] = found.seconds;
    to[name + "_recovery_ms_per_missed"] =
        found.missed == 0 ? json::value(nullptr) : found.seconds * 1000 / static_cast<double>(found.missed);
}

}  // namespace

rows measure_faults(const json::object& parameters) {
    const auto value = [&](const char* name) { return parameters.at(name).to_number<double>(); };
    const double quiet = (value("seconds") - value("cut_seconds") - value("down_seconds")) / 3;
    shops both(shops::retail_service(), scratch_in(parameters), true);
    describe_products(both);

    const stopwatch watch;
    // Half of them at each side.
    const std::chrono::duration<double> pause(value("per_second") > 0 ? 2 / value("per_second") : 0);
    customer at_edge(both.edge(), restock, pause);
    customer at_cloud(both.cloud(), restock, pause);
    sleep_for(quiet);
    const auto cut = cut_link(both, value("cut_seconds"));
    sleep_for(quiet);
    const auto reboot = reboot_edge(both, value("down_seconds"));
    sleep_for(quiet);
    at_edge.stop();
    at_cloud.stop();
    const double seconds = watch.elapsed().wall;

    auto latencies = at_edge.latencies();
    latencies.insert(latencies.end(), at_cloud.latencies().begin(), at_cloud.latencies().end());
    row result{{"system", "anabranch"},
               {"engine", "rocksdb"},
               {"seconds", seconds},
               {"requests_per_s", static_cast<double>(latencies.size()) / seconds},
               {"latency_p50_ms", percentile(latencies, 0.5)},
               {"latency_p99_ms", percentile(latencies, 0.99)},
               {"latency_max_ms", percentile(latencies, 1)}};
    add(result, "cut", cut);
    add(result, "reboot", reboot);
    result["values_ok"] = are_values_right(both, at_edge, at_cloud);
    return {result};
}

}  // namespace bench::paper
