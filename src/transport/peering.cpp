#include "transport/peering.hpp"

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <exception>

namespace anabranch::transport {

peering::peering(asio::any_io_executor executor, store local, replica_options options,
                 std::shared_ptr<asio::ssl::context> tls)
    : executor_(std::move(executor)),
      store_(std::move(local)),
      options_(std::move(options)),
      tls_(std::move(tls)),
      disk_(store_,
            [this](disk_syncer::round number, result<void> outcome) {
                auto finish = [self = shared_from_this(), number, outcome = std::move(outcome)] {
                    self->finish_round(number, outcome);
                };
                asio::post(executor_, std::move(finish));
            }),
      link_ended_(executor_),
      round_ended_(executor_) {
    never(link_ended_);
    never(round_ended_);
}

void peering::start() {
    disk_.start();
    subscription_.emplace(store_, [this] { request_sync(); });
}

void peering::stop() {
    subscription_.reset();
    asio::post(executor_, [self = shared_from_this()] { self->close_all(); });
    disk_.stop();
}

void peering::close_all() {
    stopped_ = true;
    for (const auto& talking : connections_) talking->close({errc::cancelled, "stopped"});
    link_ended_.cancel();
    round_ended_.cancel();
    const auto running = running_;
    for (const auto& signal : running) signal->emit(asio::cancellation_type::terminal);
    when_over({});
}

void peering::when_over(std::function<void()> done) {
    if (done) over_.push_back(std::move(done));
    if (!stopped_ || !running_.empty()) return;
    for (const auto& waiting : std::exchange(over_, {})) waiting();
}

std::shared_ptr<asio::cancellation_signal> peering::spawn(awaitable<void> work) {
    auto signal = std::make_shared<asio::cancellation_signal>();
    if (stopped_) return signal;
    running_.insert(signal);
    auto ended = [self = shared_from_this(), signal](const std::exception_ptr& unforeseen) {
        if (unforeseen) std::rethrow_exception(unforeseen);
        self->running_.erase(signal);
        self->when_over({});
    };
    asio::co_spawn(executor_, std::move(work),
                   asio::bind_cancellation_slot(signal->slot(), std::move(ended)));
    return signal;
}

std::shared_ptr<connection> peering::make_connection(std::unique_ptr<byte_stream> stream, std::string name,
                                                     std::function<void()> changed) {
    const auto options = options_for(name);
    return std::make_shared<connection>(
        executor_, std::move(stream), store_, options, std::move(name),
        connection_events{.sync_wanted = [this] { request_sync(); }, .changed = std::move(changed)});
}

session_options peering::options_for(const std::string& name) {
    auto options = options_.session;
    const auto last = budgets_.find(name);
    if (last == budgets_.end()) return options;
    const auto now = now_of_session();
    last->second.send.advance(now);
    last->second.receive.advance(now);
    options.send_budget.left = last->second.send.left();
    options.receive_budget.left = last->second.receive.left();
    return options;
}

void peering::keep_budgets(const std::string& name, const sync_progress& last) {
    auto send = options_.session.send_budget;
    auto receive = options_.session.receive_budget;
    send.left = last.send_budget_left;
    receive.left = last.receive_budget_left;
    const budgets left{{send, now_of_session()}, {receive, now_of_session()}};
    if (left.send.is_limited() || left.receive.is_limited()) budgets_.insert_or_assign(name, left);
}

awaitable<void> peering::run(std::shared_ptr<connection> talking) {
    if (stopped_) {
        talking->close({errc::cancelled, "stopped"});
        co_return;
    }
    const auto self = shared_from_this();
    connections_.push_back(talking);
    has_connections_ = true;
    co_await talking->run();
    std::erase(connections_, talking);
    has_connections_ = !connections_.empty();
}

awaitable<bool> peering::talk(std::unique_ptr<byte_stream> stream, std::string name, direction from,
                              status_board::key key) {
    const auto self = shared_from_this();
    co_await sync_to_disk();
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return false;
    link here{.talking = {}, .from = from, .key = key, .peer = {}, .holds_shown = 0};
    here.talking = make_connection(std::move(stream), name, [this, &here] { show(here); });
    links_.push_back(&here);
    board_.update(key, [](peer_status& status) {
        status.connected = true;
        status.phase = session_phase::greeting;
        status.totals = {};
        status.waiting.clear();
        status.held.clear();
    });
    co_await run(here.talking);
    if (from == direction::dialled) keep_budgets(name, here.talking->session().progress());
    std::erase(links_, &here);
    link_ended_.cancel();
    board_.update(key, [&](peer_status& status) {
        status.connected = false;
        status.phase = session_phase::ended;
        if (auto failure = here.talking->failure()) status.last_error = std::move(failure);
    });
    co_return here.talking->has_been_live();
}

void peering::show(link& changed) {
    const auto& session = changed.talking->session();
    const bool is_new = !changed.peer && session.peer();
    if (is_new) changed.peer = session.peer();
    board_.update(changed.key, [&](peer_status& status) {
        status.phase = session.phase();
        status.totals = session.progress();
        status.waiting = session.waiting();
        if (is_new) {
            status.id = session.peer();
            ++status.sessions;
        }
        if (status.phase == session_phase::live) status.last_error.reset();
        if (status.phase == session_phase::ended) status.last_error = changed.talking->failure();
        if (status.totals.holds != changed.holds_shown || !status.held.empty()) {
            status.held = session.held();
            changed.holds_shown = status.totals.holds;
        }
    });
    if (is_new) settle_duplicates(*session.peer());
}

void peering::settle_duplicates(const replica_id& peer) {
    // Two replicas that are configured to connect to each other end up with two connections, and each would
    // carry everything. The one that the smaller id dialled stays. Only who dialled a connection ends it: who
    // accepted one cannot know whether it is somebody's sync_once().
    const bool theirs_stays =
        peer < store_.id() && std::any_of(links_.begin(), links_.end(), [&](const link* other) {
            return other->from == direction::accepted && other->peer == peer;
        });
    bool have_mine = false;
    for (const auto* mine : links_) {
        if (mine->from != direction::dialled || mine->peer != peer) continue;
        if (theirs_stays || have_mine) mine->talking->finish();
        have_mine = true;
    }
}

bool peering::is_connected_to(const replica_id& peer) const {
    return std::any_of(links_.begin(), links_.end(),
                       [&](const link* other) { return other->peer == peer; });
}

awaitable<void> peering::while_connected_to(replica_id peer) {
    while (!stopped_ && is_connected_to(peer)) {
        co_await link_ended_.async_wait(as_values);
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none) break;
    }
}

void peering::request_sync() {
    if (has_connections_) disk_.request();
}

awaitable<void> peering::sync_to_disk() {
    const auto wanted = disk_.latest() + 1;
    disk_.request();
    while (!stopped_ && !is_disk_failing_ && last_round_ < wanted) {
        co_await round_ended_.async_wait(as_values);
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none) break;
    }
}

void peering::finish_round(disk_syncer::round number, const result<void>& outcome) {
    if (stopped_) return;
    last_round_ = number;
    is_disk_failing_ = !outcome;
    round_ended_.cancel();
    if (is_disk_failing_) {
        for (const auto* shown : links_)
            board_.update(shown->key, [&](peer_status& status) { status.last_error = outcome.error(); });
        spawn(pause_syncing());
        return;
    }
    for (const auto& talking : connections_) talking->poll();
    disk_.round_done();
}

awaitable<void> peering::pause_syncing() {
    // A full disk does not get emptier by being asked at once again. Sessions go on with what is durable.
    co_await asio::this_coro::throw_if_cancelled(false);
    asio::steady_timer pause(executor_, std::chrono::seconds(1));
    co_await pause.async_wait(as_values);
    disk_.round_done();
    request_sync();
}

}  // namespace anabranch::transport
