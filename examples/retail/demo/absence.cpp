#include "demo/absence.hpp"

#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <functional>
#include <future>

#include "demo/audit.hpp"
#include "demo/local_shop.hpp"
#include "demo/log_reach.hpp"
#include "demo/relay.hpp"
#include "demo/terminal.hpp"
#include "demo/traffic.hpp"

namespace retail {

namespace {

using steady_clock = std::chrono::steady_clock;
using seconds = std::chrono::duration<double>;

constexpr auto look_again = std::chrono::milliseconds(10);
constexpr const char* unequal = "edge and cloud did not become equal";
constexpr std::size_t before_share = 10;  // a tenth of what comes while they are apart is there before

double seconds_since(steady_clock::time_point begin) { return seconds(steady_clock::now() - begin).count(); }

double cpu_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::string text_of(double time) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2f s", time);
    return text;
}

anabranch::store_options short_log(std::uint64_t limit) {
    anabranch::store_options options;
    options.log_limit_bytes = limit;
    return options;
}

class absence_story {
  public:
    absence_story(const absence_options& options, const order_set& input, const std::stop_token& stop,
                  absence_outcome& found)
        : options_(options),
          orders_(input),
          apart_(options.orders / before_share),
          all_(apart_ + options.orders),
          stop_(stop),
          found_(found),
          cloud_("cloud", options.directory, true, short_log(options.log_limit), {.listen = "127.0.0.1:0"}),
          link_(cloud_.replica.port()),
          edge_("edge", options.directory, false, short_log(options.log_limit), {}) {}

    void tell() {
        // A sync that has begun ends with the replica: nothing else can interrupt it.
        const std::stop_callback interrupt(stop_, [this] { edge_.replica.stop(); });
        join();
        stock();
        take_connected();
        take_apart();
        look_at_log();
        heal();
        compare();
    }

  private:
    std::string endpoint() const { return "127.0.0.1:" + std::to_string(link_.port()); }

    anabranch::sync_report meet(const std::function<void(const anabranch::sync_progress&)>& watch = {}) {
        auto met = edge_.replica.sync_once(
            endpoint(), watch, std::chrono::duration_cast<std::chrono::milliseconds>(options_.deadline));
        if (stop_.stop_requested()) throw interrupted();
        return value_of(std::move(met), unequal);
    }

    bool are_equal() const {
        return edge_.bucket.progress() == cloud_.bucket.progress() &&
               edge_.bucket.durable_progress() == cloud_.bucket.durable_progress() &&
               edge_.bucket.durable_progress() == edge_.bucket.progress();
    }

    void wait_until(const std::function<bool()>& reached, const std::string& what) const {
        for (const auto begin = steady_clock::now(); !reached(); std::this_thread::sleep_for(look_again)) {
            if (stop_.stop_requested()) throw interrupted();
            if (seconds_since(begin) > options_.deadline.count()) {
                throw std::runtime_error(what + " for " + text_of(options_.deadline.count()));
            }
        }
    }

    /// Cloud has founded the shop; edge is let in when they meet. They stay connected until the link is cut.
    void join() {
        progress_bar bar("join");
        value_of(edge_.replica.connect(endpoint()), "edge");
        wait_until([&] { return edge_.bucket.is_member(); }, "cloud has not let edge in");
        bar.finish("edge is a member beside cloud");
    }

    /// Products at the cloud, and at each side twice the pieces that it is going to sell, as in the shorter story: so
    /// neither asks the other for any.
    void stock() {
        progress_bar bar("seed");
        anabranch::session_token session;
        const auto& lines = orders_.lines();
        for (const auto& line : lines) {
            if (!stock_.emplace(line.sku, 0).second) continue;
            const product_update described{{line.description, line.price}, 0, {}};
            value_of(cloud_.shop.put_product(line.sku, described, {session}), "a product was not taken");
        }
        std::array<std::vector<std::int64_t>, 2> uses;  // of each line, by each side
        uses.fill(std::vector<std::int64_t>(lines.size()));
        for (std::size_t i = 0; i < all_; ++i) ++uses[side_of(i)][orders_.line_of(i)];
        std::array<cart, 2> pieces;
        for (std::size_t line = 0; line < lines.size(); ++line) {
            for (const auto side : {edge_side, cloud_side}) {
                const auto quantity = lines[line].quantity * uses[side][line];
                if (quantity > 0) pieces[side][lines[line].sku] += 2 * quantity;
                stock_[lines[line].sku] -= quantity;
            }
        }
        bring_in(edge_, pieces[edge_side]);
        bring_in(cloud_, pieces[cloud_side]);
        wait_until([&] { return are_equal(); }, "edge and cloud have not been equal");
        found_.products = stock_.size();
        bar.finish(grouped(static_cast<std::int64_t>(found_.products)) +
                   " products described, and stock at both sides");
    }

    void bring_in(local_shop& to, const cart& pieces) {
        anabranch::session_token session;
        std::vector<delivery> some;
        for (const auto& [sku, count] : pieces) {
            if (stop_.stop_requested()) throw interrupted();
            stock_[sku] += count;
            some.push_back({sku, count});
            if (some.size() < max_deliveries) continue;
            value_of(to.shop.deliver(some, {session}), "stock was not taken");
            some.clear();
        }
        value_of(to.shop.deliver(some, {session}), "stock was not taken");
    }

    void take_connected() {
        progress_bar bar("connected");
        take(bar, 0, apart_);
        wait_until([&] { return are_equal(); }, "edge and cloud have not been equal");
        found_.orders_before = apart_;
        bar.finish(grouped(static_cast<std::int64_t>(apart_)) + " orders at both sides");
    }

    void take_apart() {
        progress_bar bar("apart");
        link_.cut();
        edge_.replica.disconnect(endpoint());
        log_.note(0);
        const auto begin = steady_clock::now();
        take(bar, apart_, all_);
        found_.seconds_apart = seconds_since(begin);
        bar.finish(grouped(static_cast<std::int64_t>(options_.orders)) + " orders at both sides without a link in " +
                   text_of(found_.seconds_apart));
    }

    /// Orders `from` up to `to`, at both sides at once.
    void take(progress_bar& bar, std::size_t from, std::size_t to) {
        std::atomic<std::size_t> taken = 0;
        std::atomic<bool> has_failed = false;
        const auto work = [&](local_shop& at, std::size_t side) {
            try {
                anabranch::session_token session;
                for (std::size_t i = from; i < to && !has_failed; ++i) {
                    if (side_of(i) != side) continue;
                    if (stop_.stop_requested()) throw interrupted();
                    const auto placed = orders_.at(i);
                    value_of(at.shop.place(placed, {session}), at.name + " did not take order " + placed.id);
                    ++taken;
                    if (from < apart_) continue;
                    ++(side == edge_side ? found_.orders_edge : found_.orders_cloud);
                    if (side == cloud_side && found_.orders_cloud % sync_every_ == 0) keep_house();
                }
            } catch (...) {
                has_failed = true;
                throw;
            }
        };
        auto at_edge = std::async(std::launch::async, [&] { work(edge_, edge_side); });
        auto at_cloud = std::async(std::launch::async, [&] { work(cloud_, cloud_side); });
        for (const auto* side : {&at_edge, &at_cloud}) {
            while (side->wait_for(look_again) != std::future_status::ready) bar.show(taken, to - from);
        }
        at_edge.get();
        at_cloud.get();
    }

    /// A member does what it owes the others, such as cutting the log, when it syncs; while nobody is connected it has to be
    /// told to.
    void keep_house() {
        value_of(cloud_.store.sync(), "cloud");
        log_.note(found_.orders_cloud);
    }

    /// What edge lacks is not in cloud's log any more: or it would need no walk.
    void look_at_log() {
        for (int i = 0; i < 2; ++i) value_of(cloud_.store.sync(), "cloud");  // names the laggard, then cuts
        const auto members = cloud_.bucket.members();
        const bool is_named = std::any_of(members.begin(), members.end(), [](const auto& m) { return m.is_laggard; });
        const auto first = log_.first_in_log();
        found_.log_limit = options_.log_limit;
        found_.was_left_behind = is_named && first != std::size_t{0};
        if (!found_.was_left_behind) {
            found_.differences.push_back("cloud's log has not been cut without edge; more orders or a lower limit "
                                         "would see to that");
        }
        if (!first || *first == 0 || *first == found_.orders_cloud) return;
        found_.orders_in_log = found_.orders_cloud - *first;
        found_.log_uncut = options_.log_limit * found_.orders_cloud / found_.orders_in_log;
    }

    void heal() {
        progress_bar bar("heal");
        link_.heal();
        const auto begin = steady_clock::now();
        const auto cpu = cpu_seconds();
        // Once, and again for what the two have done about it, such as to say that edge is back.
        do {
            if (seconds_since(begin) > options_.deadline.count()) throw std::runtime_error(unequal);
            const auto report = meet([&](const anabranch::sync_progress& now) {
                const auto done = now.transactions_sent + now.transactions_received;
                bar.show(done, done + now.transactions_to_send + now.transactions_to_receive,
                         grouped(static_cast<std::int64_t>(now.bytes_received)) + " bytes to edge");
            });
            found_.bytes_to_edge += report.totals.bytes_received;
            found_.bytes_to_cloud += report.totals.bytes_sent;
            found_.round_trips += report.round_trips;
        } while (!are_equal());
        found_.seconds_to_converge = seconds_since(begin);
        found_.cpu_seconds = cpu_seconds() - cpu;
        bar.finish("both sides equal " + text_of(found_.seconds_to_converge) + " after the link was healed");
    }

    void compare() {
        progress_bar bar("compare");
        const auto read = [&](local_shop& at) {
            return std::async(std::launch::async, [&] {
                auto digest = anabranch::to_string(value_of(at.bucket.digest(), at.name));
                return std::pair(std::move(digest), audit(at, orders_, apart_, all_, stop_));
            });
        };
        auto from_edge = read(edge_);
        auto from_cloud = read(cloud_);
        const auto [digest_edge, edge] = from_edge.get();
        const auto [digest_cloud, cloud] = from_cloud.get();
        auto& wrong = found_.differences;
        for (const auto* side : {&edge, &cloud}) {
            wrong.insert(wrong.end(), side->differences.begin(), side->differences.end());
        }
        found_.digest_edge = digest_edge;
        found_.digest_cloud = digest_cloud;
        if (digest_edge != digest_cloud) wrong.push_back("the digests differ");
        if (edge.rows != cloud.rows) wrong.push_back("the numbers of rows differ");
        found_.rows = edge.rows;
        found_.edge_orders_at_cloud = cloud.exact[edge_side];
        found_.cloud_orders_at_edge = edge.exact[cloud_side];
        for (const auto& [sku, pieces] : stock_) {
            const auto is_exact = [&, &sku = sku, &pieces = pieces](const audit_result& side) {
                const auto at = side.stock.find(sku);
                return at != side.stock.end() && at->second == pieces;
            };
            if (is_exact(edge) && is_exact(cloud)) {
                ++found_.products_exact;
            } else {
                wrong.push_back("product " + sku + " has not a stock of " + std::to_string(pieces) + " at both sides");
            }
        }
        if (edge.stock.size() > stock_.size() || cloud.stock.size() > stock_.size()) {
            wrong.push_back("there are products that were never sent");
        }
        bar.finish("every order, every customer's orders and every product's stock at both sides");
    }

    const absence_options& options_;
    const repeated_orders orders_;
    const std::size_t apart_;  // the first order that is taken without a link
    const std::size_t all_;
    const std::stop_token stop_;
    absence_outcome& found_;
    // Often enough to find in the log the place where it begins.
    const std::size_t sync_every_ = std::clamp<std::size_t>(options_.orders / 1'000, 10, 250);
    std::map<std::string, std::int64_t> stock_;  // what has to be left of each product
    local_shop cloud_;
    log_reach log_{cloud_.bucket};
    relay link_;
    local_shop edge_;
};

}  // namespace

void run_absence(const absence_options& options, const order_set& input, const std::stop_token& stop,
                 absence_outcome& found) {
    absence_story told(options, input, stop, found);
    try {
        told.tell();
    } catch (const interrupted&) {
        throw;
    } catch (const std::exception& failure) {
        if (stop.stop_requested()) throw interrupted();
        found.differences.push_back(failure.what());
    }
    found.converged = found.differences.empty();
}

}  // namespace retail
