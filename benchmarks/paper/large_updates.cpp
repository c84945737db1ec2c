#include "measure/cost.hpp"
#include "measure/statistics.hpp"
#include "paper/customer.hpp"
#include "paper/measurements.hpp"
#include "paper/shops.hpp"
#include "retail_reconnect/workload.hpp"

namespace bench::paper {

namespace {

/// Text that does not compress to nothing.
std::string random_text(std::size_t size) {
    retail::splitmix64 random(7);
    std::string text(size, 'a');
    for (char& c : text) c = static_cast<char>('a' + random.below(26));
    return text;
}

}  // namespace

rows measure_large_updates(const json::object& parameters) {
    const auto bytes = number_in(parameters, "bytes");
    const bool is_replicated = parameters.at("replicated").as_bool();
    shops both(shops::document_service(), scratch_in(parameters), is_replicated);

    const std::string text = random_text(bytes);
    const auto update = [&](std::uint64_t i) {
        std::string another = text;
        another.replace(0, std::to_string(i).size(), std::to_string(i));
        return ::retail::client_request{"PUT", "/documents/" + std::to_string(i % 20), another};
    };
    const stopwatch watch;
    customer client(both.cloud(), update);
    std::this_thread::sleep_for(std::chrono::duration<double>(parameters.at("seconds").to_number<double>()));
    client.stop();
    const double seconds = watch.elapsed().wall;
    // They arrive, too.
    if (is_replicated) wait_for(both.edge(), progress_of(both.cloud()));
    return {{{"requests_per_s", static_cast<double>(client.latencies().size()) / seconds},
             {"latency_p50_ms", percentile(client.latencies(), 0.5)},
             {"caught_up_s", is_replicated ? json::value(watch.elapsed().wall - seconds) : json::value(nullptr)}}};
}

}  // namespace bench::paper
