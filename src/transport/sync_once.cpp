#include "transport/sync_once.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "transport/dial.hpp"

namespace anabranch::transport {

using namespace asio::experimental::awaitable_operators;
using namespace std::chrono_literals;

namespace {

constexpr auto watch_interval = 20ms;
/// Fewer bytes than that are heartbeats, and no progress.
constexpr std::uint64_t progress_bytes = 1024;

/// What is held waits for a clock. When nothing else has moved for this long, it is all that remains.
constexpr auto held_patience = 1s;

/// Follows one connection from its events.
class exchange {
  public:
    explicit exchange(const sync_once_request& request) : request_(request) {}

    void follow(std::shared_ptr<connection> talking) { talking_ = std::move(talking); }

    void changed() {
        const auto now = steady_clock::now();
        const auto& totals = talking_->session().progress();
        const auto transactions = totals.transactions_sent + totals.transactions_received;
        const auto bytes = totals.bytes_sent + totals.bytes_received;
        if (transactions != transactions_ || bytes >= bytes_ + progress_bytes ||
            talking_->session().phase() != phase_ || totals.peer_waits != peer_waits_ || waits()) {
            transactions_ = transactions;
            peer_waits_ = totals.peer_waits;
            bytes_ = bytes;
            phase_ = talking_->session().phase();
            last_progress_ = now;
        }
        if (request_.watch && now >= last_watched_ + watch_interval) {
            last_watched_ = now;
            request_.watch(totals);
        }
        const auto& session = talking_->session();
        if (caught_up_at_) return;
        if (!session.caught_up() && (session.held().empty() || now < last_progress_ + held_patience)) return;
        caught_up_at_ = now;
        talking_->finish();
    }

    awaitable<void> watch_for_progress() {
        co_await asio::this_coro::throw_if_cancelled(false);
        asio::steady_timer timer(co_await asio::this_coro::executor);
        for (;;) {
            timer.expires_at(last_progress_ + bounded(request_.timeout));
            const auto [cancelled] = co_await timer.async_wait(as_values);
            if (cancelled) co_return;
            if (steady_clock::now() < last_progress_ + bounded(request_.timeout)) continue;
            if (waits()) {
                last_progress_ = steady_clock::now();
                continue;
            }
            talking_->close({errc::timed_out, request_.name + ": no progress in time, with " + remaining()});
            co_return;
        }
    }

    const std::optional<steady_clock::time_point>& caught_up_at() const { return caught_up_at_; }

  private:
    /// For its budget: there is nothing wrong.
    bool waits() const { return talking_->session().progress().budget_wait.count() > 0; }

    std::string remaining() const {
        const auto& totals = talking_->session().progress();
        return std::to_string(totals.transactions_to_send) + " transactions to send and " +
               std::to_string(totals.transactions_to_receive) + " to receive";
    }

    const sync_once_request& request_;
    std::shared_ptr<connection> talking_;
    std::uint64_t transactions_ = 0;
    std::uint64_t peer_waits_ = 0;
    std::uint64_t bytes_ = 0;
    session_phase phase_ = session_phase::greeting;
    steady_clock::time_point last_progress_ = steady_clock::now();
    steady_clock::time_point last_watched_{};
    std::optional<steady_clock::time_point> caught_up_at_;
};

awaitable<result<sync_report>> exchange_with(std::shared_ptr<peering> peers,
                                             const sync_once_request& request) {
    const auto begun = steady_clock::now();
    const auto& options = peers->options();
    auto stream = co_await dial(request.to, peers->tls(), std::min(options.connect_timeout, request.timeout));
    if (peers->is_stopped()) co_return fail(errc::cancelled, request.name + ": stopped");
    if (!stream) co_return fail(std::move(stream.error()));

    co_await peers->sync_to_disk();
    exchange watched(request);
    auto talking =
        peers->make_connection(std::move(*stream), request.name, [&watched] { watched.changed(); });
    watched.follow(talking);
    co_await (peers->run(talking) || watched.watch_for_progress());
    peers->keep_budgets(request.name, talking->session().progress());

    const auto& session = talking->session();
    if (request.watch) request.watch(session.progress());
    if (!watched.caught_up_at()) {
        if (auto failure = talking->failure()) co_return fail(std::move(*failure));
        co_return fail(errc::network, request.name + ": the peer closed the connection");
    }
    sync_report report;
    if (session.peer()) report.peer = *session.peer();
    report.totals = session.progress();
    report.round_trips = talking->round_trips();
    report.elapsed = std::chrono::duration_cast<std::chrono::microseconds>(*watched.caught_up_at() - begun);
    report.held = session.held();
    co_return report;
}

}  // namespace

awaitable<void> sync_once(std::shared_ptr<peering> peers, sync_once_request request) {
    co_await asio::this_coro::throw_if_cancelled(false);
    request.done(co_await exchange_with(std::move(peers), request));
}

}  // namespace anabranch::transport
