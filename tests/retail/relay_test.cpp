// The link that can be cut, and the client, against a small server in this process.
#include "demo/relay.hpp"

#include <thread>

#include "demo/http_client.hpp"
#include "http_server.hpp"
#include "support/catch.hpp"

using namespace retail;

namespace {

/// Answers every request with its own body.
class echo_server {
  public:
    echo_server() : thread_([this] { server_.run(); }) {}
    ~echo_server() {
        server_.stop();
        thread_.join();
    }
    std::uint16_t port() const { return server_.port(); }

  private:
    http_server server_{{"127.0.0.1", 0}, 2, [](const http_request& r) {
                            return http_response{200, r.body, {}};
                        }};
    std::thread thread_;
};

}  // namespace

TEST_CASE("the relay carries, cuts, refuses, and carries again") {
    const echo_server server;
    relay link(server.port());
    http_client client(link.port(), std::chrono::seconds(5));

    CHECK(client.request("POST", "/", "hello").body == "hello");
    const auto before = link.bytes();
    CHECK(before > 100);
    const std::string large(500'000, 'x');
    CHECK(client.request("POST", "/", large).body == large);
    CHECK(link.bytes() > before + 2 * large.size());

    link.cut();
    const auto at_cut = link.bytes();
    CHECK_THROWS_AS(client.get("/"), no_answer);
    CHECK_THROWS_AS(client.get("/"), no_answer);
    CHECK(link.bytes() == at_cut);

    link.heal();
    CHECK(client.request("POST", "/", "again").body == "again");
}

TEST_CASE("a client of a dead port gets no answer") {
    std::uint16_t port = 0;
    {
        const echo_server server;
        port = server.port();
        http_client client(port);
        CHECK(client.request("POST", "/", "x").body == "x");
    }
    http_client client(port);
    CHECK_THROWS_AS(client.get("/"), no_answer);
}

TEST_CASE("names are encoded for paths") {
    CHECK(percent_encoded("BANK CHARGES/\xc3\xa9?&") == "BANK%20CHARGES%2F%C3%A9%3F%26");
}
