#include "demo/scenario.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <optional>

#include "demo/relay.hpp"
#include "demo/stocking.hpp"
#include "demo/terminal.hpp"
#include "demo/traffic.hpp"
#include "demo/verify.hpp"
#include "json.hpp"

namespace retail {

namespace {

using seconds = std::chrono::duration<double>;
using request_lists = std::array<std::vector<client_request>, 2>;  // for edge, for cloud

constexpr auto look_again = std::chrono::milliseconds(5);

std::string text_of(seconds time) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2f s", time.count());
    return text;
}

std::string behind_text(const behind_sample& sample) {
    const auto one = [](const auto& value) { return value ? std::to_string(*value) : std::string("?"); };
    return "edge " + one(sample.edge) + ", cloud " + one(sample.cloud) + " transactions behind";
}

/// For edge and cloud, of each product twice what that side is going to sell. So what it has left is never less
/// than what it has sold lately: it asks the other side for nothing, and has enough when the link is cut.
std::array<cart, 2> supplies(const order_set& input) {
    std::array<cart, 2> pieces;
    for (std::size_t i = 0; i < input.orders.size(); ++i) {
        for (const auto& line : input.orders[i].lines) {
            if (line.quantity > 0) pieces[i % 2][line.sku] += 2 * line.quantity;
        }
    }
    return pieces;
}

void expect_orders(const order_set& input, expectation& expected) {
    for (const auto& placed : input.orders) {
        expected.orders.emplace(placed.id, placed);
        for (const auto& line : placed.lines) expected.stock[line.sku] -= line.quantity;
        if (!placed.head.customer.empty()) expected.customers[placed.head.customer].push_back(placed.id);
    }
    for (auto& [customer, ids] : expected.customers) std::sort(ids.begin(), ids.end());
}

/// Orders `from` up to `to`, alternately for edge and cloud.
request_lists order_requests(const order_set& input, std::size_t from, std::size_t to) {
    request_lists requests;
    for (std::size_t i = from; i < to; ++i) {
        requests[i % 2].push_back({"POST", "/orders", boost::json::serialize(to_json(input.orders[i]))});
    }
    return requests;
}

class story {
  public:
    story(const scenario_options& options, const order_set& input, const std::stop_token& stop,
          outcome& found)
        : options_(options),
          input_(input),
          stop_(stop),
          found_(found),
          cloud_("cloud",
                 {options.service, "--create", "--data", options.directory / "cloud", "--listen",
                  "127.0.0.1:0"}) {
        cloud_.start();
        link_ = std::make_unique<relay>(cloud_.sync_port());
        const std::string peer = "127.0.0.1:" + std::to_string(link_->port());
        edge_ = std::make_unique<side>(
            "edge",
            std::vector<std::string>{options.service, "--data", options.directory / "edge", "--peer", peer});
        edge_->start();
        watcher_ = std::make_unique<watcher>(*edge_, cloud_);
    }

    void tell() {
        const std::size_t count = input_.orders.size();
        join();
        seed();
        feed_connected(order_requests(input_, 0, count / 3));
        link_->cut();
        watcher_->mark("link cut");
        feed_and_kill(order_requests(input_, count / 3, count * 2 / 3));
        feed_cut(order_requests(input_, count * 2 / 3, count));
        heal();
        compare();
        history_ = watcher_->history();
        sell_last_item();
        if (!edge_->stop() || !cloud_.stop()) found_.differences.push_back("a service did not end in order");
    }

    /// Of the orders; the last item is another story.
    watch_history history() const { return history_ ? *history_ : watcher_->history(); }

  private:
    using requests_sent = std::unique_ptr<traffic>;

    requests_sent send(request_lists requests, seconds spread = {}) {
        return std::make_unique<traffic>(std::array<side*, 2>{edge_.get(), &cloud_}, std::move(requests),
                                         options_.connections, spread, stop_);
    }

    /// Shows the progress until everything is answered.
    void watch(traffic& sent, progress_bar& bar) {
        while (!sent.finished()) {
            bar.show(sent.answered(), sent.total(), behind_text(watcher_->latest()));
            std::this_thread::sleep_for(look_again);
        }
        sent.finish();
        found_.unanswered += sent.unanswered();
        found_.found_done += sent.found_done();
    }

    /// Cloud has founded the shop; edge is let in when they meet, and takes orders from then on.
    void join() {
        progress_bar bar("join");
        const double begin = watcher_->now();
        http_client client(edge_->http_port());
        while (client.get("/ready").status != 200) {
            if (watcher_->now() - begin > options_.deadline.count()) {
                throw std::runtime_error("cloud has not let edge in for " + text_of(options_.deadline));
            }
            if (stop_.stop_requested()) throw interrupted();
            std::this_thread::sleep_for(look_again);
        }
        bar.finish("edge is a member beside cloud " + text_of(seconds(watcher_->now() - begin)) +
                   " after it was started");
    }

    /// All products at the cloud; edge gets them over the link. Each side brings in what it is going to sell.
    void seed() {
        progress_bar bar("seed");
        request_lists requests{{{}, product_requests(input_)}};
        expect_orders(input_, expected_);
        found_.products = expected_.stock.size();
        const double begin = watcher_->now();
        const auto sent = send(std::move(requests));
        watch(*sent, bar);
        count_rate(sent->total(), watcher_->now() - begin);
        const auto pieces = supplies(input_);
        bring_in(*edge_, pieces[0]);
        bring_in(cloud_, pieces[1]);
        wait_until_equal(bar);
        bar.finish(grouped(static_cast<std::int64_t>(found_.products)) +
                   " products described at cloud, and at edge " + text_of(seconds(watcher_->now() - begin)) +
                   " after the first");
    }

    /// Each request once: one that is sent again would count again.
    void bring_in(const side& to, const cart& pieces) {
        http_client client(to.http_port());
        for (const auto& body : delivery_bodies(pieces)) {
            if (stop_.stop_requested()) throw interrupted();
            expect(client.request("POST", "/stock", body), 200, to.name() + " was brought stock");
        }
        for (const auto& [sku, count] : pieces) expected_.stock[sku] += count;
    }

    static void expect(const http_answer& answer, unsigned status, const std::string& what) {
        if (answer.status == status) return;
        throw std::runtime_error(what + ", and answered " + std::to_string(answer.status) + ": " +
                                 answer.body);
    }

    void feed_connected(request_lists requests) {
        progress_bar bar("connected");
        const double begin = watcher_->now();
        const auto sent = send(std::move(requests));
        watch(*sent, bar);
        count_rate(sent->total(), watcher_->now() - begin);
        wait_until_equal(bar);
        bar.finish(std::to_string(sent->total()) + " orders at both sides");
    }

    /// Kills edge when it has answered half of its requests and others are under way, and starts it again.
    void feed_and_kill(request_lists requests) {
        progress_bar bar("kill -9");
        const std::size_t half = requests[0].size() / 2;
        const auto sent = send(std::move(requests));
        while (sent->answered_by(0) < half && !sent->finished()) {
            std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
        edge_->kill();
        watcher_->mark("edge killed");
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        if (stop_.stop_requested()) throw interrupted();
        edge_->start();
        watcher_->mark("edge back");
        watch(*sent, bar);
        bar.finish(std::to_string(sent->total()) +
                   " orders at both sides without a link; edge killed and started again, " +
                   std::to_string(sent->unanswered()) + " requests sent again");
    }

    void feed_cut(request_lists requests) {
        progress_bar bar("cut");
        const auto sent = send(std::move(requests), options_.cut);
        watch(*sent, bar);
        bar.finish(std::to_string(sent->total()) + " orders at both sides without a link");
    }

    void heal() {
        progress_bar bar("heal");
        const double last_order = watcher_->now();
        wait([&] { return watcher_->latest().seconds > last_order + 0.02 && watcher_->latest().cloud; });
        const behind_sample before = watcher_->latest();
        found_.edge_behind = before.edge.value_or(0);
        found_.cloud_behind = before.cloud.value_or(0);
        const progress edge_before = watcher_->edge_progress();
        const progress cloud_before = watcher_->cloud_progress();
        const std::uint64_t bytes_before = link_->bytes();

        const double healed = watcher_->mark("healed");
        link_->heal();
        const double equal = wait_until_equal(bar);
        watcher_->mark("equal");
        found_.seconds_to_converge = equal - healed;
        found_.bytes_in_all = link_->bytes();
        found_.bytes = found_.bytes_in_all - bytes_before;
        found_.transactions = missing(edge_before, watcher_->edge_progress()) +
                              missing(cloud_before, watcher_->cloud_progress());
        found_.transactions_in_all = missing({}, watcher_->edge_progress());
        bar.finish("both sides equal " + text_of(seconds(found_.seconds_to_converge)) +
                   " after the link was healed");
    }

    void compare() {
        progress_bar bar("compare");
        found_.digest_edge = read_digest(*edge_);
        found_.digest_cloud = read_digest(cloud_);
        if (found_.digest_edge != found_.digest_cloud) found_.differences.push_back("the digests differ");
        verify(*edge_, expected_, found_.differences, stop_);
        verify(cloud_, expected_, found_.differences, stop_);
        bar.finish("every order, every customer's orders and every product's stock at both sides");
    }

    /// One piece, which edge may sell, no link, and a customer at both tills.
    void sell_last_item() {
        progress_bar bar("last item");
        http_client edge(edge_->http_port());
        http_client cloud(cloud_.http_port());
        const std::string product = "/products/LAST%20ITEM";
        expect(edge.request("PUT", product, R"({"name":"THE LAST ONE","price":"9.99","stock":1})"), 201,
               "edge was given the last item");
        wait_until_equal(bar);
        link_->cut();
        const std::array<http_client*, 2> tills{&cloud, &edge};
        std::vector<std::string> sold;
        for (auto* till : tills) {
            const std::string id = till == &edge ? "LAST-EDGE" : "LAST-CLOUD";
            const auto answer = till->request(
                "POST", "/orders",
                R"({"id":")" + id +
                    R"(","country":"","date":"","lines":[{"sku":"LAST ITEM","quantity":1,"price":"9.99"}]})");
            if (answer.status == 201) sold.push_back(id);
            if (answer.status == 409) ++found_.last.refused;
        }
        found_.last.sold = sold.size();
        link_->heal();
        wait_until_equal(bar);
        for (const auto& id : sold) {
            const bool stands = std::all_of(tills.begin(), tills.end(), [&](http_client* till) {
                return till->get("/orders/" + id).status == 200;
            });
            if (!stands) ++found_.last.refused_later;
        }
        found_.last.stock = equal_stock(edge.get(product), cloud.get(product));
        if (found_.last != last_item{1, 1, 0, 0}) {
            found_.differences.push_back("the last item was not sold once and refused once");
        }
        bar.finish("one piece, no link, two tills: sold by " + std::to_string(found_.last.sold) +
                   ", refused at once by " + std::to_string(found_.last.refused) + ", and later by " +
                   std::to_string(found_.last.refused_later));
    }

    /// -1 where they differ, or one is not known.
    static std::int64_t equal_stock(const http_answer& one, const http_answer& other) {
        if (one.status != 200 || other.status != 200) return -1;
        const auto stock = [](const http_answer& answer) {
            return boost::json::parse(answer.body).at("stock").as_int64();
        };
        return stock(one) == stock(other) ? stock(one) : -1;
    }

    /// Waits until neither side lacks anything; returns when that was seen.
    double wait_until_equal(progress_bar& bar) {
        const double begin = watcher_->now();
        std::uint64_t most = 1;
        while (true) {
            const behind_sample now = watcher_->latest();
            const std::uint64_t left = now.edge.value_or(0) + now.cloud.value_or(0);
            if (now.seconds > begin && now.equal()) return now.seconds;
            most = std::max(most, left);
            bar.show(most - left, most, behind_text(now));
            if (watcher_->now() - begin > options_.deadline.count()) {
                throw std::runtime_error("not equal " + text_of(options_.deadline) +
                                         " after: " + behind_text(now));
            }
            if (stop_.stop_requested()) throw interrupted();
            std::this_thread::sleep_for(look_again);
        }
    }

    template <class Condition>
    void wait(Condition reached) {
        while (!reached()) {
            if (stop_.stop_requested()) throw interrupted();
            std::this_thread::sleep_for(look_again);
        }
    }

    /// Requests per second over all that were sent as fast as they were answered.
    void count_rate(std::size_t requests, double took) {
        unhindered_requests_ += static_cast<double>(requests);
        unhindered_seconds_ += took;
        found_.requests_per_second = unhindered_requests_ / unhindered_seconds_;
    }

    const scenario_options& options_;
    const order_set& input_;
    const std::stop_token stop_;
    outcome& found_;
    expectation expected_;
    double unhindered_requests_ = 0;
    double unhindered_seconds_ = 0;
    side cloud_;
    std::unique_ptr<relay> link_;
    std::unique_ptr<side> edge_;
    std::unique_ptr<watcher> watcher_;
    std::optional<watch_history> history_;
};

}  // namespace

void run_scenario(const scenario_options& options, const order_set& input, const std::stop_token& stop,
                  scenario_result& result) {
    outcome& found = result.found;
    found.orders = input.orders.size();
    found.lines = input.lines;
    found.quantity = input.quantity;
    found.skipped = input.skipped.size();
    found.seconds_to_converge = -1;
    story told(options, input, stop, found);
    try {
        told.tell();
    } catch (const interrupted&) {
        throw;
    } catch (const std::exception& failure) {
        found.differences.push_back(failure.what());
    }
    result.history = told.history();
    found.converged = found.differences.empty();
}

}  // namespace retail
