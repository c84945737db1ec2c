#include "transport/connection.hpp"

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>

namespace anabranch::transport {

using namespace asio::experimental::awaitable_operators;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t read_size = 64 * 1024;
/// From the decision to end until the stream is closed whatever the peer does.
constexpr auto linger = 1s;

}  // namespace

connection::connection(asio::any_io_executor executor, std::unique_ptr<byte_stream> stream, store local,
                       const session_options& options, std::string name, connection_events events)
    : stream_(std::move(stream)),
      options_(options),
      name_(std::move(name)),
      events_(std::move(events)),
      session_(std::move(local), options, now_of_session()),
      output_(executor),
      deadline_(executor) {
    never(output_);
}

awaitable<void> connection::run() {
    co_await asio::this_coro::throw_if_cancelled(false);
    const auto self = shared_from_this();
    poll();
    co_await (read_loop() && write_loop() && timer_loop());
}

awaitable<void> connection::read_loop() {
    co_await asio::this_coro::throw_if_cancelled(false);
    const auto buffer = std::make_unique<char[]>(read_size);
    while (!closed_) {
        const auto [problem, count] = co_await stream_->read_some(asio::buffer(buffer.get(), read_size));
        if (problem) {
            lost(problem);
        } else if (!closed_ &&
                   !is_ending()) {  // what comes after the end is read and dropped, until the peer ends too
            take({buffer.get(), count});
        }
    }
}

awaitable<void> connection::write_loop() {
    co_await asio::this_coro::throw_if_cancelled(false);
    while (!closed_) {
        const bool is_last = is_ending();
        const auto bytes = session_.take_output();
        if (bytes.empty() && !is_last) {
            co_await output_.async_wait(as_values);
            continue;
        }
        // It has read on from the store, perhaps to the end of its budget: the time from which it may go on is new.
        if (next_deadline() < deadline_.expiry()) deadline_.cancel();
        last_written_ = steady_clock::now();
        is_writing_ = true;
        for (std::size_t written = 0; written < bytes.size() && !closed_;) {
            const auto [problem, count] =
                co_await stream_->write_some(asio::buffer(bytes.data() + written, bytes.size() - written));
            if (problem) {
                lost(problem);
                co_return;
            }
            written += count;
            last_written_ = steady_clock::now();
        }
        is_writing_ = false;
        answer_due_ = true;
        if (is_last) {
            stream_->end_writing();
            co_return;
        }
        events_.changed();
    }
}

awaitable<void> connection::timer_loop() {
    co_await asio::this_coro::throw_if_cancelled(false);
    while (!closed_) {
        deadline_.expires_at(next_deadline());
        co_await deadline_.async_wait(as_values);
        const auto now = steady_clock::now();
        if (closed_ || is_overdue(now)) break;
        if (!is_ending() && now_of_session() >= session_.next_poll()) poll();
    }
    close();
}

steady_clock::time_point connection::next_deadline() const {
    if (ending_since_) return *ending_since_ + linger;
    // At least 1 ms ahead, so that no session can make this loop spin.
    const auto now = now_of_session();
    auto next = steady_clock::time_point(now + std::max(bounded(session_.next_poll() - now), 1ms));
    if (is_writing_) next = std::min(next, last_written_ + bounded(options_.timeout));
    return next;
}

bool connection::is_overdue(steady_clock::time_point now) {
    if (ending_since_) return now >= *ending_since_ + linger;
    if (!is_writing_ || now < last_written_ + bounded(options_.timeout)) return false;
    failure_ = error{errc::timed_out, name_ + ": the peer takes no bytes"};
    return true;
}

void connection::take(std::string_view bytes) {
    if (answer_due_) ++round_trips_;
    answer_due_ = false;
    session_.receive(bytes, now_of_session());
    const auto& refused = session_.failure();
    if (refused && refused->code == errc::malformed && !stream_->is_tls() && looks_like_tls(bytes))
        failure_ = error{errc::network, name_ + ": the peer speaks TLS, and this side does not"};
    changed();
}

void connection::poll() {
    if (closed_ || is_ending()) return;
    session_.poll(now_of_session());
    changed();
}

void connection::changed() {
    has_been_live_ |= session_.phase() == session_phase::live;
    output_.cancel();
    if (is_ending()) {
        if (!ending_since_) {
            ending_since_ = steady_clock::now();
            deadline_.cancel();
        }
    } else {
        if (next_deadline() < deadline_.expiry()) deadline_.cancel();
        if (session_.wants_sync()) events_.sync_wanted();
    }
    events_.changed();
}

void connection::finish() {
    if (finishing_) return;
    finishing_ = true;
    changed();
}

void connection::lost(const error_code& problem) {
    if (!closed_ && !is_ending() && !failure_ && !(stream_->is_end(problem) && session_.in_sync())) {
        auto what = stream_->is_end(problem) ? "the peer closed the connection" : stream_->explain(problem);
        if (session_.progress().bytes_received == 0)
            what += stream_->is_tls() ? " before its greeting" : " before its greeting (does it expect TLS?)";
        failure_ = error{errc::network, name_ + ": " + what};
    }
    close();
}

void connection::close(error why) {
    if (!closed_ && !is_ending() && !failure_) failure_ = std::move(why);
    close();
}

void connection::close() {
    if (closed_) return;
    closed_ = true;
    stream_->close();
    output_.cancel();
    deadline_.cancel();
}

std::optional<error> connection::failure() const {
    if (failure_) return failure_;
    if (!session_.failure()) return std::nullopt;
    return error{session_.failure()->code, name_ + ": " + session_.failure()->message};
}

}  // namespace anabranch::transport
