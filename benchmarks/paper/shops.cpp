#include "paper/shops.hpp"

#include <stdexcept>
#include <thread>

namespace bench::paper {

namespace {

constexpr std::chrono::seconds patience{60};
constexpr const char* any_port = "127.0.0.1:0";

shops::command with(shops::command service, const shops::command& options) {
    service.insert(service.end(), options.begin(), options.end());
    return service;
}

template <class Condition>
void wait_until(const char* what, Condition&& is_so) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!is_so()) {
        if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error(what);
        std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
}

}  // namespace

/// Beside this program in the build directory.
shops::command shops::retail_service() {
    const auto build = std::filesystem::canonical("/proc/self/exe").parent_path().parent_path();
    const auto program = build / "examples" / "retail" / "retail-service";
    if (!std::filesystem::exists(program)) throw std::runtime_error(program.string() + " is missing");
    return {program};
}

shops::command shops::document_service() { return {"/proc/self/exe", "serve-documents"}; }

shops::shops(command service, const std::filesystem::path& directory, bool has_edge)
    : cloud_("cloud", with(service, {"--create", "--data", directory / "cloud", "--listen", any_port})) {
    cloud_.start();
    if (!has_edge) return;
    link_ = std::make_unique<retail::relay>(cloud_.sync_port());
    const std::string peer = "127.0.0.1:" + std::to_string(link_->port());
    edge_ = std::make_unique<retail::side>("edge", with(service, {"--data", directory / "edge", "--peer", peer}));
    edge_->start();
    wait_until_ready(*edge_);
}

void wait_until_ready(const retail::side& service) {
    retail::http_client client(service.http_port());
    wait_until("the service did not become ready", [&] { return client.get("/ready").status == 200; });
}

retail::progress progress_of(const retail::side& service) {
    retail::http_client client(service.http_port());
    return retail::read_progress(client);
}

void wait_for(const retail::side& service, const retail::progress& goal) {
    retail::http_client client(service.http_port());
    wait_until("the service did not catch up",
               [&] { return retail::missing(retail::read_progress(client), goal) == 0; });
}

}  // namespace bench::paper
