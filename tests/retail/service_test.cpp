// The service as a process: bad bytes on its port, bad directories, orderly and disorderly ends.
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/json.hpp>
#include <memory>
#include <thread>

#include "demo/process.hpp"
#include "demo/relay.hpp"
#include "demo/side.hpp"
#include "programs.hpp"
#include "support/catch.hpp"

using namespace retail;
using retail::test::temporary_directory;

namespace {

const std::string service = RETAIL_SERVICE;
const std::string product = R"({"name":"LANTERN","price":"3.39","stock":5})";

/// Sends bytes as they are; everything that comes back until the service closes.
std::string talk(std::uint16_t port, const std::string& bytes) {
    namespace asio = boost::asio;
    asio::io_context context;
    asio::ip::tcp::socket socket(context);
    socket.connect({asio::ip::address_v4::loopback(), port});
    boost::system::error_code failure;
    asio::write(socket, asio::buffer(bytes), failure);
    socket.shutdown(asio::ip::tcp::socket::shutdown_send, failure);
    std::string answer;
    asio::read(socket, asio::dynamic_buffer(answer), failure);
    return answer;
}

std::string status_line(const std::string& answer) { return answer.substr(0, answer.find("\r\n")); }

std::string peer(const side& s) { return "127.0.0.1:" + std::to_string(s.sync_port()); }

/// The status that it has when it is 200, or after a time that is long enough on every machine.
unsigned get_eventually(const side& from, const std::string& target) {
    http_client client(from.http_port());
    unsigned status = 0;
    for (int i = 0; i < 6000 && status != 200; ++i) {
        if (i > 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
        status = client.get(target).status;
    }
    return status;
}

bool becomes_ready(const side& started) { return get_eventually(started, "/ready") == 200; }

/// A shop's founder, and an instance that reaches it over a link that can be cut.
struct two_sides {
    temporary_directory directory;
    side cloud;
    std::unique_ptr<relay> link;
    std::unique_ptr<side> edge;

    explicit two_sides(const std::vector<std::string>& options = {})
        : cloud("cloud", command({"--create", "--data", directory.path() / "cloud", "--listen", "127.0.0.1:0"},
                                 options)) {
        cloud.start();
        link = std::make_unique<relay>(cloud.sync_port());
        edge = std::make_unique<side>(
            "edge", command({"--data", directory.path() / "edge", "--peer",
                             "127.0.0.1:" + std::to_string(link->port())},
                            options));
        edge->start();
        REQUIRE(becomes_ready(*edge));
    }
    static std::vector<std::string> command(std::vector<std::string> own,
                                            const std::vector<std::string>& more) {
        own.insert(own.begin(), service);
        own.insert(own.end(), more.begin(), more.end());
        return own;
    }
};

std::string order_for(const std::string& id, int quantity) {
    return R"({"id":")" + id + R"(","country":"","date":"","lines":[{"sku":"1","price":"1","quantity":)" +
           std::to_string(quantity) + "}]}";
}

std::size_t count(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
}

}  // namespace

TEST_CASE("bad requests get an answer, and the service goes on") {
    const temporary_directory directory;
    side shop("shop", {service, "--create", "--data", directory.path() / "data"});
    shop.start();
    const auto port = shop.http_port();

    CHECK(status_line(talk(port, "GARBAGE\r\n\r\n")) == "HTTP/1.1 400 Bad Request");
    CHECK(status_line(talk(port, std::string(100'000, 'x'))).starts_with("HTTP/1.1 4"));
    CHECK(status_line(talk(port, "GET / HTTP/1.1\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n")) ==
          "HTTP/1.1 431 Request Header Fields Too Large");
    CHECK(talk(port, "").empty());
    CHECK(talk(port, "GET /rea").empty());
    const std::string large = std::string(1'048'577, ' ');
    const auto post = [](const std::string& body) {
        return "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) +
               "\r\n\r\n" + body;
    };
    const auto refusal = talk(port, post(large));
    CHECK(status_line(refusal) == "HTTP/1.1 413 Payload Too Large");
    CHECK(refusal.find("\"code\":\"too_large\"") != std::string::npos);
    CHECK(status_line(talk(port, "POST /orders HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n"))
              .starts_with("HTTP/1.1 4"));
    CHECK(status_line(talk(port, post("{"))) == "HTTP/1.1 400 Bad Request");
    CHECK(talk(port, "PATCH /orders HTTP/1.1\r\n\r\n").find("Allow: GET, POST\r\n") != std::string::npos);
    const auto head = talk(port, "HEAD /ready HTTP/1.1\r\n\r\n");
    CHECK(status_line(head) == "HTTP/1.1 200 OK");
    CHECK(head.ends_with("\r\n\r\n"));

    // Pipelined requests are answered in their order, each once.
    std::string pipelined;
    for (int i = 0; i < 50; ++i) pipelined += "GET /ready HTTP/1.1\r\n\r\nGET /nowhere HTTP/1.1\r\n\r\n";
    const auto answers = talk(port, pipelined);
    CHECK(count(answers, "HTTP/1.1 200") == 50);
    CHECK(count(answers, "HTTP/1.1 404") == 50);
    CHECK(answers.find("HTTP/1.1 200") < answers.find("HTTP/1.1 404"));

    http_client client(port);
    CHECK(client.request("PUT", "/products/1", product).status == 201);
    CHECK(shop.stop());
}

TEST_CASE("what was answered survives SIGKILL and SIGTERM") {
    const temporary_directory directory;
    for (const char* durability : {"os", "disk"}) {
        side shop("shop", {service, "--create", "--data", directory.path() / durability, "--durability",
                           durability});
        shop.start();
        CHECK(http_client(shop.http_port()).request("PUT", "/products/1", product).status == 201);
        shop.kill();
        shop.start();
        CHECK(http_client(shop.http_port()).request("POST", "/products/1/stock", R"({"add":2})").status ==
              200);
        CHECK(shop.stop());
        shop.start();
        const auto found = boost::json::parse(http_client(shop.http_port()).get("/products/1").body);
        CHECK(found.at("stock") == 7);
        CHECK(shop.stop());
    }
}

TEST_CASE("the service says what stands in its way") {
    const temporary_directory directory;
    const auto fails = [&](const std::string& arguments, int exit_code) {
        const auto ended = test::run(directory.path(), "timeout 20 " + service + " " + arguments);
        INFO(arguments << "\n" << ended.out << ended.err);
        CHECK(ended.exit_code == exit_code);
        CHECK_FALSE(ended.err.empty());
        CHECK(ended.out.find("listening") == std::string::npos);
        return ended.err;
    };
    fails("", 2);
    fails("--data x --unknown", 2);
    fails("--data x --http 127.0.0.1:70000", 2);
    fails("--data x --listen nonsense", 2);
    fails("--data x --durability later", 2);
    fails("--data x --cert a.pem", 2);
    fails("--data x --create --peer 127.0.0.1:1", 2);
    fails("--data x --http 127.0.0.1:0 --listen 127.0.0.1:0 --cert a --key b --ca c", 1);
    fails("--data x --stock-wait -1", 2);
    fails("--data x --session-wait 20001", 2);
    fails("--data x --session-wait soon", 2);
    fails("--data x --drain 20001", 2);
    fails("--data x --ready-peers -1", 2);
    fails("--data x --ready-behind all", 2);
    fails("--data x --http 192.0.2.1:0", 1);

    test::write_file(directory.path() / "file", "not a directory");
    fails("--data file --http 127.0.0.1:0", 1);
    std::filesystem::create_directory(directory.path() / "foreign");
    test::write_file(directory.path() / "foreign" / "thesis.txt", "precious");
    fails("--data foreign --http 127.0.0.1:0", 1);
    CHECK(test::read_file(directory.path() / "foreign" / "thesis.txt") == "precious");

    side shop("shop", {service, "--create", "--data", directory.path() / "used", "--listen", "127.0.0.1:0"});
    shop.start();
    fails("--data used --http 127.0.0.1:0", 1);
    fails("--data y --http 127.0.0.1:" + std::to_string(shop.http_port()), 1);
    fails("--data y --http 127.0.0.1:0 --listen 127.0.0.1:" + std::to_string(shop.sync_port()), 1);
    CHECK(http_client(shop.http_port()).get("/ready").status == 200);
}

TEST_CASE("an instance takes no writes before it has joined another one, also after the loss of its disk") {
    const temporary_directory directory;
    side first("first", {service, "--create", "--data", directory.path() / "1", "--listen", "127.0.0.1:0"});
    side alone("alone", {service, "--data", directory.path() / "2"});
    alone.start();
    const auto put = "PUT /products/1 HTTP/1.1\r\nContent-Length: " + std::to_string(product.size()) +
                     "\r\n\r\n" + product;
    const auto refusal = talk(alone.http_port(), put);
    CHECK(status_line(refusal) == "HTTP/1.1 503 Service Unavailable");
    CHECK(refusal.find("Retry-After: 1\r\n") != std::string::npos);
    CHECK(refusal.find("\"code\":\"not_a_member\"") != std::string::npos);
    CHECK(http_client(alone.http_port()).get("/ready").status == 503);
    CHECK(http_client(alone.http_port()).get("/products").status == 200);
    CHECK(alone.stop());

    first.start();
    side second("second", {service, "--data", directory.path() / "2", "--peer", peer(first)});
    for (int starts = 0; starts < 3; ++starts) {
        second.start();
        CHECK(becomes_ready(second));
        const auto sku = "/products/" + std::to_string(starts);
        CHECK(http_client(second.http_port()).request("PUT", sku, product).status == 201);
        CHECK(get_eventually(first, sku) == 200);
        second.kill();
        // The next start is one of the same member, the one after it one of a newcomer.
        if (starts == 1) std::filesystem::remove_all(directory.path() / "2");
    }
    const auto status = boost::json::parse(http_client(first.http_port()).get("/status").body);
    CHECK(status.at("members").as_array().size() == 3);
}

TEST_CASE("three services in a chain hold the same") {
    const temporary_directory directory;
    side first("first", {service, "--create", "--data", directory.path() / "1", "--listen", "127.0.0.1:0"});
    first.start();
    side second("second", {service, "--data", directory.path() / "2", "--listen", "127.0.0.1:0", "--peer",
                           peer(first)});
    second.start();
    side third("third", {service, "--data", directory.path() / "3", "--peer", peer(second)});
    third.start();

    CHECK(http_client(first.http_port()).request("PUT", "/products/1", product).status == 201);
    http_client client(third.http_port());
    CHECK(becomes_ready(third));
    CHECK(get_eventually(third, "/products/1") == 200);
    CHECK(client.get("/products/1").body == http_client(second.http_port()).get("/products/1").body);
    CHECK(client.get("/digest").body == http_client(first.http_port()).get("/digest").body);
}

TEST_CASE("an order waits for the right to sell to arrive from another process") {
    two_sides s({"--stock-wait", "20000"});
    CHECK(http_client(s.cloud.http_port()).request("PUT", "/products/1", product).status == 201);
    REQUIRE(get_eventually(*s.edge, "/products/1") == 200);
    http_client client(s.edge->http_port(), std::chrono::seconds(60));
    CHECK(client.request("POST", "/orders", order_for("A", 3)).status == 201);
    // What nobody has is refused at once: all five were the cloud's.
    const auto refusal = client.request("POST", "/orders", order_for("B", 3));
    CHECK(refusal.status == 409);
    CHECK(boost::json::parse(refusal.body).at("code") == "out_of_stock");
}

TEST_CASE("two tills sell the last item once, without a link between them") {
    two_sides s({"--stock-wait", "50"});
    const std::string last = R"({"name":"LANTERN","price":"3.39","stock":1})";
    http_client edge(s.edge->http_port());
    http_client cloud(s.cloud.http_port());
    CHECK(edge.request("PUT", "/products/1", last).status == 201);
    REQUIRE(get_eventually(s.cloud, "/products/1") == 200);
    s.link->cut();
    const auto refusal = cloud.request("POST", "/orders", order_for("A", 1));
    CHECK(refusal.status == 409);
    const auto body = boost::json::parse(refusal.body);
    CHECK(body.at("code") == "out_of_stock");
    CHECK(body.at("here") == 0);
    REQUIRE(body.at("elsewhere").as_array().size() == 1);
    CHECK(body.at("elsewhere").at(0).at("amount") == 1);
    CHECK(edge.request("POST", "/orders", order_for("B", 1)).status == 201);
    s.link->heal();
    CHECK(get_eventually(s.cloud, "/orders/B") == 200);
    for (auto* till : {&edge, &cloud}) {
        CHECK(boost::json::parse(till->get("/products/1").body).at("stock") == 0);
        CHECK(till->get("/orders/A").status == 404);
    }
}

TEST_CASE("a session that moves to another instance finds what it has done, or is told to wait") {
    two_sides s({"--session-wait", "20"});
    http_client edge(s.edge->http_port());
    http_client cloud(s.cloud.http_port());
    s.link->cut();
    const auto written = edge.request("PUT", "/products/1", product);
    CHECK(written.status == 201);
    REQUIRE_FALSE(written.session_token.empty());
    const auto behind = cloud.get("/products/1", written.session_token);
    CHECK(behind.status == 425);
    CHECK(behind.retry_after == "1");
    CHECK(behind.session_token == written.session_token);
    CHECK(boost::json::parse(behind.body).at("code") == "behind");
    CHECK(boost::json::parse(behind.body).at("missing") == 1);
    CHECK(cloud.get("/products/1").status == 404);
    CHECK(cloud.get("/ready", written.session_token).status == 200);
    s.link->heal();
    unsigned status = 425;
    for (int i = 0; i < 6000 && status == 425; ++i) {
        status = cloud.get("/products/1", written.session_token).status;
    }
    CHECK(status == 200);
    CHECK(cloud.get("/products/1", written.session_token).session_token == written.session_token);
    CHECK(cloud.get("/products/1", written.session_token + "x").status == 400);
}

TEST_CASE("a service that is told to end says so before it does") {
    const temporary_directory directory;
    process shop({service, "--create", "--data", directory.path() / "data", "--http", "127.0.0.1:0", "--drain", "20000"});
    const auto line = shop.read_line(std::chrono::seconds(30));
    REQUIRE(line);
    const std::string mark = "http=";
    http_client client(static_cast<std::uint16_t>(std::stoi(line->substr(line->find(mark) + mark.size()))));
    CHECK(client.get("/ready").status == 200);
    REQUIRE(::kill(shop.id(), SIGTERM) == 0);
    http_answer ready;
    for (int i = 0; i < 6000 && ready.status != 503; ++i) ready = client.get("/ready");
    CHECK(ready.status == 503);
    CHECK(ready.retry_after == "1");
    CHECK(boost::json::parse(ready.body).at("reasons") == boost::json::array{"draining"});
    CHECK(client.request("PUT", "/products/1", product).status == 201);
    CHECK(shop.terminate(std::chrono::seconds(15)));  // a second signal does not wait
}

TEST_CASE("a service on a full disk is not ready until there is room") {
    const temporary_directory directory;
    const auto disk = directory.path() / "disk";
    std::filesystem::create_directory(disk);
    if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=300m") != 0) {
        WARN("skipped: this process may not mount a file system");
        return;
    }
    const auto unmount = std::shared_ptr<void>(nullptr, [&](void*) { ::umount2(disk.c_str(), MNT_DETACH); });
    side shop("shop", {service, "--create", "--data", disk / "data"});
    shop.start();
    http_client client(shop.http_port());
    CHECK(client.get("/ready").status == 200);
    const auto fill = [&](std::size_t left) {
        const auto taken = std::filesystem::space(disk).available - left;
        const int file = ::open((disk / "filler").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        REQUIRE(file >= 0);
        const bool done = ::posix_fallocate(file, 0, static_cast<off_t>(taken)) == 0;
        ::close(file);
        REQUIRE(done);
    };
    fill(16 * 1024 * 1024);
    const auto ready = client.get("/ready");
    CHECK(ready.status == 503);
    CHECK(boost::json::parse(ready.body).at("reasons") == boost::json::array{"storage"});
    http_answer refused;  // the store looks at the disk from time to time
    for (int i = 0; i < 6000 && refused.status != 503; ++i) {
        if (i > 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
        refused = client.request("PUT", "/products/" + std::to_string(i), product);
    }
    CHECK(refused.status == 503);
    CHECK(boost::json::parse(refused.body).at("code") == "storage_full");
    std::filesystem::remove(disk / "filler");
    CHECK(becomes_ready(shop));
    CHECK(client.request("PUT", "/products/new", product).status == 201);
    CHECK(shop.stop());
}

TEST_CASE("an answered change is in the list of changes, also after a kill") {
    const temporary_directory directory;
    side shop("shop", {service, "--create", "--data", directory.path() / "data"});
    shop.start();
    const auto begin = boost::json::parse(http_client(shop.http_port()).get("/changes").body);
    CHECK(http_client(shop.http_port()).request("PUT", "/products/1", product).status == 201);
    const auto target =
        "/changes?prefix=product&after=" + boost::json::value_to<std::string>(begin.at("token"));
    const auto before = http_client(shop.http_port()).get(target);
    CHECK(before.status == 200);
    shop.kill();
    shop.start();
    CHECK(http_client(shop.http_port()).get(target).body == before.body);
    CHECK(boost::json::parse(before.body).at("steps").as_array().size() == 1);
}
