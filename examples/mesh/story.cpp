#include "story.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <functional>
#include <set>
#include <thread>

#include "demo/reading.hpp"
#include "demo/stocking.hpp"
#include "demo/terminal.hpp"
#include "demo/traffic.hpp"
#include "json.hpp"
#include "shoppers.hpp"
#include "uuid.hpp"

namespace retail {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr auto look_again = milliseconds(5);
constexpr auto recovery_patience = std::chrono::seconds(30);
/// Times what is sold that each replica may sell: also without identities, where orders are sold twice,
/// nobody has to ask another replica for stock.
constexpr std::int64_t supply = 4;

double milliseconds_since(steady_clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(steady_clock::now() - begin).count();
}

/// Stops a process again and again for as long as it lives.
class slowdown {
  public:
    slowdown(side& slowed, milliseconds stopped, milliseconds running)
        : thread_([&slowed, stopped, running](const std::stop_token& stop) {
              while (!stop.stop_requested()) {
                  slowed.pause();
                  sleep(stopped, stop);
                  slowed.resume();
                  sleep(running, stop);
              }
          }) {}

  private:
    static void sleep(milliseconds time, const std::stop_token& stop) {
        for (; time > time.zero() && !stop.stop_requested(); time -= look_again)
            std::this_thread::sleep_for(look_again);
    }

    std::jthread thread_;
};

/// How many requests are in this state; nothing where the service does not offer it.
std::optional<std::uint64_t> count_requests(http_client& client, const std::string& state) {
    const auto answer = client.get("/requests?limit=1000&state=" + state);
    if (answer.status == 404) return {};
    if (answer.status != 200) throw std::runtime_error("GET /requests was answered with " + answer.body);
    return boost::json::parse(answer.body).at("requests").as_array().size();
}

struct fault {
    std::string name;
    std::function<void()> begin;  ///< when a fifth of the orders is sent
    std::function<void()> end;    ///< when all are done
    /// Before that: what is special about these orders.
    std::function<void(std::vector<purchase*>&)> prepare{};
};

class story {
  public:
    story(const story_options& options, mesh& played, network& net, const order_set& input,
          std::stop_token stop, report& told)
        : options_(options),
          mesh_(played),
          network_(net),
          input_(input),
          stop_(std::move(stop)),
          told_(told) {}

    void tell() {
        told_.has_identity = options_.has_identity;
        told_.purchases = make_purchases(input_, options_.orders);
        start();
        stock_up();
        follow_a_session();
        const auto faults = list_faults();
        for (std::size_t i = 0; i < faults.size(); ++i) play(faults[i], i, faults.size());
        compare();
        if (!mesh_.stop()) told_.found.differences.push_back("a service did not end in order");
    }

  private:
    void start() {
        progress_bar bar("start");
        const auto begin = steady_clock::now();
        mesh_.start(stop_);
        bar.finish("gateway, two edges and a cloud after " + std::to_string(int(milliseconds_since(begin))) + " ms" +
                   (mesh_.has_consul() ? "; peers from Consul's catalogue, and all denied until it was allowed" : ""));
    }

    /// At the replicas themselves, once: that is not what is tried here.
    void stock_up() {
        progress_bar bar("stock");
        order_set sold;
        for (const auto& wanted : told_.purchases) sold.orders.push_back(wanted.content);
        cart pieces;
        for (const auto& placed : sold.orders) {
            for (const auto& line : placed.lines)
                pieces[line.sku] += supply * std::max<std::int64_t>(line.quantity, 0);
        }
        http_client cloud(mesh_.at(mesh::cloud).control);
        const auto products = product_requests(sold);
        for (const auto& request : products) {
            if (stop_.stop_requested()) throw interrupted();
            expect(cloud.request(request.method, request.target, request.body), 201);
        }
        for (const auto& each : mesh_.instances()) {
            http_client client(each->control);
            for (const auto& body : delivery_bodies(pieces))
                expect(client.request("POST", "/stock", body), 200);
            for (const auto& [sku, count] : pieces) delivered_[sku] += count;
        }
        if (recover() < 0)
            throw std::runtime_error("the replicas do not become equal before anything has happened");
        bar.finish(grouped(static_cast<std::int64_t>(products.size())) + " products at all replicas");
    }

    static void expect(const http_answer& answer, unsigned status) {
        if (answer.status == status) return;
        throw std::runtime_error("stock could not be brought in: " + answer.body);
    }

    /// A client whose session only the cloud has: the edges answer 425, and the gateway goes on to the cloud.
    void follow_a_session() {
        progress_bar bar("session");
        constexpr std::array edges{mesh::edge_1, mesh::edge_2};
        for (const auto which : edges) mesh_.set_apart(which);
        for (const auto which : edges) mesh_.wait_until_ready(which, stop_);
        mesh_.wait_for_gateway(stop_);

        const std::string product = "/products/" + percent_encoded(told_.purchases.front().content.lines.front().sku);
        http_client cloud(mesh_.at(mesh::cloud).control);
        const auto seen = cloud.request("PUT", product + "/tags/seen", {}).session_token;
        const auto differs = [&](const std::string& what, const http_answer& answer, unsigned expected) {
            if (answer.status == expected) return;
            told_.found.differences.push_back(what + " was answered with " + std::to_string(answer.status) + " " + answer.body);
        };
        for (const auto which : edges) {
            http_client client(mesh_.at(which).control);
            differs("an edge that a session is ahead of", client.get(product, seen), 425);
        }
        const auto before = mesh_.counts();
        http_client client(mesh::gateway());
        http_headers headers{{"Authorization", till}, {"Session-Token", seen}};
        differs("a write that may not be tried again", client.request("PUT", product + "/tags/unkeyed", {}, headers), 425);
        differs("a read of a session that the cloud has", client.request("GET", product, {}, headers), 200);
        headers.emplace_back("Idempotency-Key", uuid_v7());
        differs("a write of a session that the cloud has", client.request("PUT", product + "/tags/keyed", {}, headers), 200);
        const auto tried = mesh_.counts().retries - before.retries;
        if (tried < 2) told_.found.differences.push_back("the gateway has not tried elsewhere what the edges were too early for");

        for (const auto which : edges) mesh_.bring_back(which);
        for (const auto which : edges) mesh_.wait_until_ready(which, stop_);
        mesh_.wait_for_gateway(stop_);
        if (recover() < 0) throw std::runtime_error("the replicas do not become equal after the edges were apart");
        bar.finish("followed to the cloud after " + std::to_string(tried) + " answers of edges that it was ahead of");
    }

    std::vector<fault> list_faults() {
        const auto nothing = [] {};
        return {
            {"none", nothing, nothing},
            {"link to the cloud cut", [this] { network_.cut(); }, [this] { network_.heal(); }},
            {"an edge killed", [this] { kill_mid_request(mesh::edge_1); }, [this] { restart(mesh::edge_1); }},
            {"an edge ended in order",
             [this] {
                 if (!mesh_.end_instance(mesh::edge_2)) told_.found.differences.push_back("edge-2 did not end in order");
             },
             [this] { restart(mesh::edge_2); }},
            {"an edge stalls",
             [this] { slow_ = slow_down(mesh::edge_1, milliseconds(900), milliseconds(100)); },
             [this] { slow_.reset(); }},
            {"the cloud is slow",
             [this] { slow_ = slow_down(mesh::cloud, milliseconds(900), milliseconds(10)); },
             [this] { slow_.reset(); }},
            {"the edges refuse connections",
             [this] {
                 mesh_.kill_instance(mesh::edge_1);
                 mesh_.kill_instance(mesh::edge_2);
             },
             [this] {
                 restart(mesh::edge_1);
                 restart(mesh::edge_2);
             }},
            {"the gateway restarted", [this] { mesh_.restart_gateway(); }, nothing},
            {"throttled",
             [this] {
                 crawler_ = std::make_unique<crawler>(mesh::gateway(), 4 * options_.gateway_per_second);
             },
             [this] { crawler_.reset(); }},
            {"denied", nothing, nothing,
             [](std::vector<purchase*>& purchases) {
                 // In turn: nobody, a wrong password, one who may only read; and one who may order.
                 const std::array<const char*, 4> who{"", wrong_password, auditor, till};
                 for (std::size_t i = 0; i < purchases.size(); ++i)
                     purchases[i]->authorization = who[i % who.size()];
             }},
        };
    }

    std::unique_ptr<slowdown> slow_down(std::size_t which, milliseconds stopped, milliseconds running) {
        return std::make_unique<slowdown>(mesh_.at(which).service, stopped, running);
    }

    /// Lets requests queue up, and kills it when it has just begun with them.
    void kill_mid_request(std::size_t which) {
        mesh_.at(which).service.pause();
        std::this_thread::sleep_for(milliseconds(150));
        mesh_.at(which).service.resume();
        std::this_thread::sleep_for(milliseconds(2));
        mesh_.kill_instance(which);
    }

    void restart(std::size_t which) {
        mesh_.start_instance(which);
        mesh_.wait_until_ready(which, stop_);
    }

    void play(const fault& played, std::size_t index, std::size_t count) {
        progress_bar bar(std::to_string(index + 1) + "/" + std::to_string(count));
        std::vector<purchase*> purchases;
        const std::size_t size = told_.purchases.size();
        for (std::size_t i = size * index / count; i < size * (index + 1) / count; ++i) {
            told_.purchases[i].fault = index;
            purchases.push_back(&told_.purchases[i]);
        }
        if (played.prepare) played.prepare(purchases);
        remember_what_is_held();
        const gateway_counts before = mesh_.counts();
        {
            shoppers sent({.gateway = mesh::gateway(),
                           .per_second = options_.per_second,
                           .has_identity = options_.has_identity},
                          purchases, stop_);
            bool begun = false;
            while (!sent.finished()) {
                if (!begun && sent.sent() * 5 >= sent.total()) {
                    begun = true;
                    played.begin();
                }
                bar.show(sent.done(), sent.total(), played.name);
                std::this_thread::sleep_for(look_again);
            }
            sent.finish();
            if (!begun) played.begin();
        }
        episode lived{.name = played.name, .missed = missed_until_now()};
        const auto healed = steady_clock::now();
        played.end();
        lived.recovery_ms = recover(healed);
        mesh_.wait_for_gateway(stop_);
        const gateway_counts after = mesh_.counts();
        lived.copies = after.copies - before.copies;
        lived.retries = after.retries - before.retries;
        bar.finish(played.name + ": " + std::to_string(lived.missed) + " requests missed" +
                   (lived.recovery_ms < 0
                        ? ", and NOT EQUAL after 30 s"
                        : ", all equal " + std::to_string(int(lived.recovery_ms)) + " ms after its end"));
        if (lived.recovery_ms < 0)
            told_.found.differences.push_back(played.name + ": the replicas did not become equal");
        told_.episodes.push_back(std::move(lived));
    }

    /// Milliseconds until all replicas have equal digests; negative where they do not get there.
    double recover(steady_clock::time_point begin = steady_clock::now()) {
        std::vector<http_client> clients;
        for (const auto& each : mesh_.instances()) clients.emplace_back(each->control);
        while (steady_clock::now() - begin < recovery_patience) {
            if (stop_.stop_requested()) throw interrupted();
            if (is_equal(clients)) return milliseconds_since(begin);
            std::this_thread::sleep_for(look_again);
        }
        return -1;
    }

    /// The digest reads the whole state: it is asked for once the cheap answer is that they are equal.
    static bool is_equal(std::vector<http_client>& clients) {
        const progress first = read_progress(clients[0]);
        for (std::size_t i = 1; i < clients.size(); ++i) {
            const progress other = read_progress(clients[i]);
            if (missing(first, other) + missing(other, first) > 0) return false;
        }
        const auto digest = [](http_client& client) { return read_json(client, "/digest").at("digest"); };
        const auto expected = digest(clients[0]);
        return std::all_of(clients.begin() + 1, clients.end(),
                           [&](http_client& client) { return digest(client) == expected; });
    }

    /// References of the orders at each replica. One that is down keeps what was seen of it last.
    void remember_what_is_held() {
        for (std::size_t i = 0; i < held_.size(); ++i) {
            const auto& each = mesh_.at(i);
            if (!each.is_up) continue;
            http_client client(each.control);
            for (const auto& id : list_orders(client, "/orders")) {
                auto& reference = reference_of_id_[id];
                if (reference.empty()) reference = reference_of(read_order(client, id));
                held_[i].insert(reference);
            }
        }
    }

    static order read_order(http_client& client, const std::string& id) {
        return parse_order(read_json(client, "/orders/" + percent_encoded(id)).as_object());
    }

    /// Acknowledged orders that the replica which lacks most of them does not have.
    std::size_t missed_until_now() {
        remember_what_is_held();
        std::size_t most = 0;
        for (const auto& held : held_) {
            most = std::max<std::size_t>(
                most,
                std::count_if(told_.purchases.begin(), told_.purchases.end(), [&](const purchase& wanted) {
                    return wanted.outcome == told::placed && !held.count(wanted.reference);
                }));
        }
        return most;
    }

    void compare() {
        progress_bar bar("compare");
        mesh_.wait_until_quiet(stop_);  // a copy may be late
        if (recover() < 0) told_.found.differences.push_back("the replicas did not become equal in the end");
        std::vector<holdings> replicas;
        for (const auto& each : mesh_.instances()) {
            http_client client(each->control);
            holdings read{each->service.name(), {}, {}, {}};
            for (const auto& id : list_orders(client, "/orders")) {
                if (stop_.stop_requested()) throw interrupted();
                read.orders.push_back(read_order(client, id));
            }
            for (const auto& item : list_items(client, "/products", "products"))
                read.stock.emplace(item.at("sku").as_string(), item.at("stock").as_int64());
            read.digest = read_json(client, "/digest").at("digest").as_string();
            told_.digests.emplace_back(read.name, read.digest);
            replicas.push_back(std::move(read));
        }
        http_client cloud(mesh_.at(mesh::cloud).control);
        told_.superseded = count_requests(cloud, "superseded");
        told_.unconfirmed = count_requests(cloud, "unconfirmed");
        auto differences = std::move(told_.found.differences);
        told_.found = judge(told_.purchases, delivered_, replicas);
        told_.found.differences.insert(told_.found.differences.begin(), differences.begin(),
                                       differences.end());
        bar.finish("every order and every product's stock at all replicas");
    }

    static constexpr auto wrong_password = "Basic dGlsbDp3cm9uZw==";  // till:wrong

    const story_options& options_;
    mesh& mesh_;
    network& network_;
    const order_set& input_;
    const std::stop_token stop_;
    report& told_;
    cart delivered_;
    std::unique_ptr<slowdown> slow_;
    std::unique_ptr<crawler> crawler_;
    std::array<std::set<std::string>, 3> held_;
    std::map<std::string, std::string> reference_of_id_;
};

}  // namespace

void tell_story(const story_options& options, mesh& played, network& net, const order_set& input,
                const std::stop_token& stop, report& told) {
    story one(options, played, net, input, stop, told);
    try {
        one.tell();
    } catch (const interrupted&) {
        throw;
    } catch (const std::exception& failure) {
        if (told.episodes.empty()) throw;
        told.found.differences.push_back(failure.what());
    }
}

}  // namespace retail
