// retail-service: one instance of the shop. It serves HTTP, and keeps its store in sync with its peers.
#include <CLI/CLI.hpp>
#include <anabranch/replica.hpp>
#include <anabranch/store.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <iostream>

#include "api.hpp"
#include "http_server.hpp"

namespace {

// A request that waits, for stock or for its session, holds one of them.
constexpr std::size_t serving_threads = 16;
constexpr int most_wait_ms = 20'000;

struct service_options {
    std::string data;
    bool creates = false;
    std::string http = "127.0.0.1:8080";
    std::string durability = "os";
    long stock_wait_ms = 250;
    long session_wait_ms = 250;
    long drain_ms = 0;
    anabranch::http::readiness_options ready;
    anabranch::replica_options replica;
    anabranch::tls_credentials tls;
};

std::string check_endpoint(const std::string& text) {
    return retail::parse_endpoint(text) ? ""
                                        : "\"" + text + "\" is not HOST:PORT with a port from 0 to 65535";
}

/// Fills `options`; where the program should end instead, its exit code.
std::optional<int> parse_command_line(int argc, char** argv, service_options& options) {
    CLI::App app{"A shop: products, stock, carts and orders over HTTP, replicated with its peers."};
    app.add_option("--data", options.data, "the store's directory; made where there is none")->required();
    auto* create = app.add_flag("--create", options.creates,
                                "found the shop, unless the directory holds it already: for the first "
                                "instance, once; every other one joins when it meets a member, and takes no "
                                "orders before");
    app.add_option("--http", options.http, "HOST:PORT to serve HTTP on; port 0 takes any")
        ->check(check_endpoint)
        ->capture_default_str();
    app.add_option("--listen", options.replica.listen, "HOST:PORT to accept peers on; port 0 takes any")
        ->check(check_endpoint);
    // Who has peers joins them; after the loss of its disk it would otherwise found a second shop.
    app.add_option("--peer", options.replica.peers,
                   "HOST:PORT of a peer to stay connected to (repeatable); not together with --create")
        ->check(check_endpoint)
        ->excludes(create);
    app.add_option("--send-rate", options.replica.session.send_budget.bytes,
                   "bytes a second that each peer is sent at most, for a metered link; 0: as many as it takes")
        ->capture_default_str();
    app.add_option("--receive-rate", options.replica.session.receive_budget.bytes,
                   "bytes a second that each peer is asked to send at most; 0: as many as it likes")
        ->capture_default_str();
    auto* cert =
        app.add_option("--cert", options.tls.certificate, "PEM certificate; peers then need one, too");
    auto* key = app.add_option("--key", options.tls.private_key, "its private key");
    auto* ca =
        app.add_option("--ca", options.tls.authority, "the authority that signed the peers' certificates");
    cert->needs(key)->needs(ca);
    key->needs(cert);
    ca->needs(cert);
    app.add_option("--durability", options.durability,
                   "what an answered write survives: os, the death of the process; disk, the loss of power")
        ->check(CLI::IsMember({"os", "disk"}))
        ->capture_default_str();
    app.add_option("--stock-wait", options.stock_wait_ms,
                   "milliseconds that an order for stock which only other instances may sell waits for them "
                   "to let this one; 0: never")
        ->check(CLI::Range(0, most_wait_ms))
        ->capture_default_str();
    app.add_option("--session-wait", options.session_wait_ms,
                   "milliseconds that a request with a Session-Token waits for this instance to catch up; 0: "
                   "never")
        ->check(CLI::Range(0, most_wait_ms))
        ->capture_default_str();
    app.add_option("--drain", options.drain_ms,
                   "milliseconds that it goes on serving after SIGTERM, while /ready says that it is draining: "
                   "long enough for the mesh to notice")
        ->check(CLI::Range(0, most_wait_ms))
        ->capture_default_str();
    app.add_option("--ready-peers", options.ready.min_connected_peers,
                   "peers that must be connected for /ready; 0: it is ready though it reaches nobody")
        ->check(CLI::Range(0, 1000))
        ->capture_default_str();
    app.add_option("--ready-behind", options.ready.max_behind,
                   "transactions that it may lack for /ready when it has not caught up since its start")
        ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 40))
        ->capture_default_str();
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& problem) {
        return app.exit(problem) == 0 ? 0 : 2;
    }
    if (*cert) options.replica.tls = options.tls;
    return {};
}

int give_up(const anabranch::error& failure) {
    std::cerr << "retail-service: " << failure.message << "\n";
    return 1;
}

/// The store refuses writes below 32 MiB of free disk: others should have them before that.
bool has_room(const std::filesystem::path& directory) {
    constexpr std::uintmax_t least = 64ULL * 1024 * 1024;
    std::error_code failure;
    const auto space = std::filesystem::space(directory, failure);
    return failure || space.available >= least;
}

int serve(const service_options& options) {
    auto store = anabranch::store::open(options.data);
    if (!store) return give_up(store.error());
    auto bucket = options.creates ? store->create_bucket("shop") : store->bucket("shop");
    if (!bucket) return give_up(bucket.error());

    anabranch::replica replica(*store, options.replica);
    const auto durability =
        options.durability == "disk" ? anabranch::durability::disk : anabranch::durability::os;
    retail::api api(*store, *bucket,
                    {.shop = {durability, std::chrono::milliseconds(options.stock_wait_ms)},
                     .session_wait = std::chrono::milliseconds(options.session_wait_ms),
                     .ready = options.ready,
                     .has_room = [&options] { return has_room(options.data); }},
                    [&replica] { return replica.peers(); });
    retail::http_server server(
        *retail::parse_endpoint(options.http), serving_threads,
        [&api](const retail::http_request& request) { return api.handle(request); },
        {.drain = std::chrono::milliseconds(options.drain_ms)}, [&api] { api.drain(); });

    if (auto started = replica.start(); !started) return give_up(started.error());
    std::cout << "listening http=" << server.port() << " sync=" << replica.port()
              << " replica=" << to_string(store->id()) << std::endl;
    server.run();
    replica.stop();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    service_options options;
    // Peers are found again soon: a shop rather connects once too often than it sells what is gone.
    options.replica.backoff_max = std::chrono::seconds(1);
    if (const auto exit_code = parse_command_line(argc, argv, options)) return *exit_code;
    std::signal(SIGPIPE, SIG_IGN);
    try {
        return serve(options);
    } catch (const std::exception& failure) {
        std::cerr << "retail-service: " << options.http << ": " << failure.what() << "\n";
        return 1;
    }
}
