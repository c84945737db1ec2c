#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <fstream>

#include "support/catch.hpp"
#include "transport/authority.hpp"
#include "transport/node.hpp"

using namespace anabranch;
using namespace anabranch::test;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

replica_options with(const tls_credentials& credentials) {
    replica_options options;
    options.tls = credentials;
    return options;
}

bool has(const std::string& text, const std::string& part) {
    UNSCOPED_INFO(text);
    return text.find(part) != std::string::npos;
}

/// Why the last accepted connection was turned away; empty while none was.
std::string reason_at(node& server) {
    for (const auto& peer : server.replica().peers()) {
        if (peer.accepted && !peer.connected && peer.last_error) return peer.last_error->message;
    }
    return {};
}

/// A TLS client that is not a replica, as far as it gets: the error of its handshake or of its first read.
boost::system::error_code greet(node& server, asio::ssl::context& tls) {
    asio::io_context context;
    asio::ssl::stream<tcp::socket> stream(context, tls);
    const auto text = server.endpoint();
    stream.next_layer().connect({asio::ip::make_address("127.0.0.1"),
                                 static_cast<std::uint16_t>(std::stoi(text.substr(text.find(':') + 1)))});
    boost::system::error_code problem;
    stream.handshake(asio::ssl::stream_base::client, problem);
    char byte{};
    if (!problem) stream.read_some(asio::buffer(&byte, 1), problem);
    return problem;
}

}  // namespace

TEST_CASE("replicas with certificates of one authority converge over TLS") {
    authority ca;
    node cloud(with(ca.issue()));
    auto options = with(ca.issue({.names = "DNS:edge.example"}));  // a client's name is nobody's business
    options.peers = {cloud.endpoint()};
    node edge(options);
    cloud.add_many("cloud", 2000);
    edge.add_many("edge", 2000);
    CHECK(converge({&cloud, &edge}, 4000));
    edge.add("live");
    CHECK(eventually([&] { return cloud.has("live"); }));

    node third(with(ca.issue()));
    CHECK(third.replica().sync_once(cloud.endpoint()));
    CHECK(third.digest() == cloud.digest());
    cloud.restart();
    cloud.add("after a restart");
    CHECK(eventually([&] { return edge.has("after a restart"); }));
}

TEST_CASE("a host's name is verified as an address is") {
    authority ca;
    node cloud(with(ca.issue({.names = "DNS:localhost"})));
    node edge(with(ca.issue()));
    CHECK(edge.replica().sync_once("localhost:" + std::to_string(cloud.replica().port())));

    const auto by_address = edge.replica().sync_once(cloud.endpoint());
    REQUIRE_FALSE(by_address);
    CHECK(by_address.error().code == errc::network);
    CHECK(has(by_address.error().message, "IP address mismatch"));
    CHECK(has(by_address.error().message, cloud.endpoint()));
}

TEST_CASE("the certificate of another host is refused") {
    authority ca;
    node cloud(with(ca.issue({.names = "DNS:cloud.example,IP:127.0.0.2"})));
    node edge(with(ca.issue()));
    const auto by_name = edge.replica().sync_once("localhost:" + std::to_string(cloud.replica().port()));
    REQUIRE_FALSE(by_name);
    CHECK(has(by_name.error().message, "hostname mismatch"));
    CHECK(has(edge.replica().sync_once(cloud.endpoint()).error().message, "IP address mismatch"));
}

TEST_CASE("a certificate of another authority is refused, on either side") {
    authority ours;
    authority theirs;
    node cloud(with(ours.issue()));
    node stranger(with(theirs.issue()));
    const auto refused = stranger.replica().sync_once(cloud.endpoint());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::network);
    CHECK(has(refused.error().message, "certificate is refused"));

    // One that believes our authority, and whose own certificate we do not believe.
    auto believer = theirs.issue();
    believer.authority = ours.certificate();
    node half(with(believer));
    half.add("smuggled");
    const auto turned_away = half.replica().sync_once(cloud.endpoint());
    REQUIRE_FALSE(turned_away);
    CHECK(turned_away.error().code == errc::network);
    CHECK(has(turned_away.error().message, "alert"));
    CHECK(eventually([&] {
        const auto all = cloud.replica().peers();
        return std::any_of(all.begin(), all.end(), [](const peer_status& peer) {
            return peer.last_error && has(peer.last_error->message, "certificate is refused");
        });
    }));
    CHECK(cloud.size() == 0);
}

TEST_CASE("an expired certificate is refused, on either side") {
    authority ca;
    node expired(with(ca.issue({.names = "IP:127.0.0.1", .lifetime = 30min})));
    node valid(with(ca.issue()));
    const auto refused = valid.replica().sync_once(expired.endpoint());
    REQUIRE_FALSE(refused);
    CHECK(has(refused.error().message, "expired"));
    const auto turned_away = expired.replica().sync_once(valid.endpoint());
    REQUIRE_FALSE(turned_away);
    CHECK(eventually([&] { return has(reason_at(valid), "expired"); }));
}

TEST_CASE("a client without a certificate, or with an older TLS, is turned away") {
    authority ca;
    node cloud(with(ca.issue()));

    asio::ssl::context anonymous(asio::ssl::context::tls_client);
    CHECK(greet(cloud, anonymous));
    CHECK(eventually([&] { return has(reason_at(cloud), "presented no certificate"); }));

    const auto mine = ca.issue();
    asio::ssl::context older(asio::ssl::context::tlsv12_client);
    older.use_certificate_chain_file(mine.certificate.string());
    older.use_private_key_file(mine.private_key.string(), asio::ssl::context::pem);
    CHECK(greet(cloud, older));

    asio::ssl::context good(asio::ssl::context::tlsv13_client);
    good.use_certificate_chain_file(mine.certificate.string());
    good.use_private_key_file(mine.private_key.string(), asio::ssl::context::pem);
    CHECK_FALSE(greet(cloud, good));
}

TEST_CASE("plain TCP and TLS do not meet, and say so") {
    authority ca;
    node plain;
    node tls(with(ca.issue()));

    const auto tls_to_plain = tls.replica().sync_once(plain.endpoint());
    REQUIRE_FALSE(tls_to_plain);
    CHECK(tls_to_plain.error().code == errc::network);
    CHECK(has(tls_to_plain.error().message, "does not speak TLS"));

    const auto plain_to_tls = plain.replica().sync_once(tls.endpoint());
    REQUIRE_FALSE(plain_to_tls);
    CHECK(plain_to_tls.error().code == errc::network);
    CHECK(has(plain_to_tls.error().message, "expect TLS"));
    CHECK(eventually([&] { return has(reason_at(tls), "does not speak TLS"); }));
}

TEST_CASE("a handshake that never comes ends after its timeout") {
    authority ca;
    auto options = with(ca.issue());
    options.connect_timeout = 100ms;
    node cloud(options);
    asio::io_context context;
    tcp::socket silent(context);
    silent.connect({asio::ip::make_address("127.0.0.1"), cloud.replica().port()});
    CHECK(eventually([&] { return has(reason_at(cloud), "no TLS handshake in time"); }));
}

TEST_CASE("credentials that cannot be used keep a replica from starting") {
    authority ca;
    authority other;
    auto credentials = ca.issue();
    std::string part;
    SECTION("a missing certificate") { part = credentials.certificate = "/nonexistent/certificate.pem"; }
    SECTION("a missing key") { part = credentials.private_key = "/nonexistent/key.pem"; }
    SECTION("a missing authority") { part = credentials.authority = "/nonexistent/authority.pem"; }
    SECTION("the key of another certificate") {
        credentials.private_key = other.issue().private_key;
        part = credentials.private_key;
    }
    SECTION("a file that is no certificate") {
        std::ofstream(credentials.certificate) << "not PEM\n";
        part = credentials.certificate;
    }
    replica refused(store::in_memory().value(), with(credentials));
    const auto started = refused.start();
    REQUIRE_FALSE(started);
    CHECK(started.error().code == errc::invalid_argument);
    CHECK(has(started.error().message, part));
}
