#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <random>
#include <thread>

#include "support/catch.hpp"
#include "transport/node.hpp"
#include "transport/relay.hpp"

using namespace anabranch;
using namespace anabranch::test;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

/// Elements that zstd cannot make much smaller.
void add_incompressible(node& to, int count, std::size_t size) {
    std::mt19937_64 random(static_cast<std::uint64_t>(count) * size);
    for (int i = 0; i < count; ++i) {
        std::string element(size, '\0');
        for (auto& byte : element) byte = static_cast<char>(random());
        to.add(element);
    }
}

tcp::socket connect_to(asio::io_context& context, const node& peer) {
    tcp::socket socket(context);
    const auto text = peer.endpoint();
    const auto port = static_cast<std::uint16_t>(std::stoi(text.substr(text.find(':') + 1)));
    socket.connect({asio::ip::make_address("127.0.0.1"), port});
    return socket;
}

/// Reads until the peer closes, which it must.
void read_to_end(tcp::socket& socket) {
    std::string bytes;
    boost::system::error_code end;
    asio::read(socket, asio::dynamic_buffer(bytes), end);
}

}  // namespace

TEST_CASE("a link that is cut and healed loses nothing") {
    node cloud;
    relay link(cloud.endpoint());
    node edge(peers({link.endpoint()}));
    edge.add("0");
    CHECK(eventually([&] { return cloud.has("0"); }));
    for (int round = 1; round <= 3; ++round) {
        link.cut();
        CHECK(eventually([&] { return !edge.is_live(link.endpoint()); }));
        edge.add("edge" + std::to_string(round));
        cloud.add("cloud" + std::to_string(round));
        link.heal();
        CHECK(converge({&cloud, &edge}, 1 + 2 * static_cast<std::size_t>(round)));
    }
}

TEST_CASE("a catch-up that is cut again and again resumes where it was") {
    node cloud;
    constexpr int count = 4000;
    constexpr std::size_t size = 500;
    add_incompressible(cloud, count, size);
    relay link(cloud.endpoint());
    // Enough for a chunk or two each time, and for the whole never.
    link.cut_after(700'000);
    auto options = peers({link.endpoint()});
    options.session.chunk_bytes = 64 * 1024;
    options.session.fold_bytes = 1024 * 1024;  // too large at first: it is found out what goes through
    node edge(options);
    CHECK(converge({&cloud, &edge}, count));
    CHECK(link.connections() >= 3);
    // Beginning anew each time would carry far more.
    CHECK(link.bytes() < 3 * count * size);
}

TEST_CASE("both sides catch up at once, with more than the kernel's buffers hold") {
    node cloud;
    node edge;
    add_incompressible(cloud, 3000, 1000);
    add_incompressible(edge, 3001, 999);
    REQUIRE(edge.replica().connect(cloud.endpoint()));
    CHECK(converge({&cloud, &edge}, 6001));
}

TEST_CASE("a peer that falls silent is given up after the timeout") {
    node cloud;
    relay link(cloud.endpoint());
    auto options = peers({link.endpoint()});
    options.session.heartbeat = 20ms;
    options.session.timeout = 100ms;
    node edge(options);
    CHECK(eventually([&] { return edge.is_live(link.endpoint()); }));
    link.freeze();
    CHECK(eventually([&] {
        const auto status = edge.status(link.endpoint());
        return status.last_error && status.last_error->code == errc::timed_out;
    }));
}

TEST_CASE("heartbeats keep an idle session") {
    node cloud;
    auto options = peers({cloud.endpoint()});
    options.session.heartbeat = 20ms;
    options.session.timeout = 60'000ms;
    node edge(options);
    CHECK(eventually([&] { return edge.is_live(cloud.endpoint()); }));
    const auto sent = edge.status(cloud.endpoint()).totals.bytes_sent;
    CHECK(eventually([&] { return edge.status(cloud.endpoint()).totals.bytes_sent >= sent + 30; }));
    CHECK(edge.status(cloud.endpoint()).sessions == 1);
}

TEST_CASE("garbage costs its sender the connection, and nobody else anything") {
    node cloud;
    node edge(peers({cloud.endpoint()}));
    CHECK(eventually([&] { return edge.is_live(cloud.endpoint()); }));

    asio::io_context context;
    const std::string garbage = GENERATE(
        std::string("GET / HTTP/1.1\r\nHost: cloud\r\n\r\n"), std::string(200'000, '\xff'),
        std::string(64, '\0'), std::string("\x16\x03\x01\x02\x00\x01\x00", 7) + std::string(600, 'x'));
    auto socket = connect_to(context, cloud);
    boost::system::error_code ignored;
    asio::write(socket, asio::buffer(garbage), ignored);
    socket.shutdown(tcp::socket::shutdown_send, ignored);
    read_to_end(socket);

    // The one who was turned away is shown, with the reason.
    CHECK(eventually([&] {
        const auto all = cloud.replica().peers();
        return std::any_of(all.begin(), all.end(), [](const peer_status& peer) {
            return peer.accepted && !peer.connected && peer.last_error;
        });
    }));
    edge.add("goes on");
    CHECK(eventually([&] { return cloud.has("goes on"); }));
    CHECK(edge.status(cloud.endpoint()).sessions == 1);
}

TEST_CASE("a TLS client at a plain port is told apart from garbage") {
    node cloud;
    asio::io_context context;
    auto socket = connect_to(context, cloud);
    asio::write(socket,
                asio::buffer(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 9) + std::string(500, 'x')));
    read_to_end(socket);
    CHECK(eventually([&] {
        const auto all = cloud.replica().peers();
        return all.size() == 1 && all[0].last_error &&
               all[0].last_error->message.find("speaks TLS") != std::string::npos;
    }));
}

TEST_CASE("connections above the limit are closed, and taken again when others end") {
    replica_options options;
    options.max_connections = 2;
    node cloud(options);
    asio::io_context context;
    std::vector<tcp::socket> held;
    held.push_back(connect_to(context, cloud));
    held.push_back(connect_to(context, cloud));
    // A greeting arrives on those that are served.
    std::array<char, 1> byte{};
    asio::read(held[0], asio::buffer(byte));
    asio::read(held[1], asio::buffer(byte));

    auto refused = connect_to(context, cloud);
    boost::system::error_code end;
    asio::read(refused, asio::buffer(byte), end);
    CHECK(end);

    node edge(peers({cloud.endpoint()}));
    edge.add("x");
    CHECK(eventually([&] { return edge.status(cloud.endpoint()).last_error.has_value(); }));
    CHECK_FALSE(cloud.has("x"));
    held.clear();
    CHECK(eventually([&] { return cloud.has("x"); }));
}

TEST_CASE("a peer that reads nothing costs no more than the window, and is given up") {
    replica_options options;
    options.session.timeout = 300ms;
    node cloud(options);
    add_incompressible(cloud, 200, 1000);
    asio::io_context context;
    auto socket = connect_to(context, cloud);
    CHECK(eventually([&] {
        const auto all = cloud.replica().peers();
        return all.size() == 1 && all[0].last_error && all[0].last_error->code == errc::timed_out;
    }));
}
