#include "sync/metered_link.hpp"

#include <algorithm>

#include "support/catch.hpp"

namespace anabranch::test {

void metered_link::commit(std::size_t side, const std::string& bucket, std::size_t count, std::size_t bytes) {
    for (; count > 0; --count) {
        ++time_;
        std::string payload;
        while (payload.size() < bytes) payload += static_cast<char>(noise_());
        replica(side).commit(bucket, replica(side).id(), {time_}, payload);
    }
    replica(side).make_durable();
}

void metered_link::connect(const session_options& first, const session_options& second) {
    log_.clear();
    sessions_[0] = std::make_unique<sync::session>(replica(0), first, now_);
    sessions_[1] = std::make_unique<sync::session>(replica(1), second, now_);
    for (auto& reader : said_) reader = sync::message_reader();
}

std::size_t metered_link::deliver(std::size_t from) {
    const auto bytes = session(from).take_output();
    if (bytes.empty()) return 0;
    said_[from].feed(bytes);
    while (auto next = said_[from].next().value()) {
        std::string again;
        sync::append_message(again, *next);
        log_.push_back({now_, from, again.size(), std::move(*next)});
    }
    session(1 - from).receive(bytes, now_);
    return bytes.size();
}

void metered_link::poll(std::size_t side) {
    replica(side).make_durable();
    session(side).poll(now_);
}

void metered_link::settle() {
    for (std::size_t bytes = 1; bytes > 0;) {
        bytes = 0;
        for (std::size_t side = 0; side < 2; ++side) {
            bytes += deliver(side);
            poll(1 - side);
        }
    }
}

void metered_link::run(std::chrono::milliseconds longest, bool until_in_sync) {
    const auto end = now_ + longest;
    settle();
    while (now_ < end && !(until_in_sync && in_sync())) {
        const auto next = std::min(session(0).next_poll(), session(1).next_poll());
        // Who asks to be polled now, after it has been, spins.
        REQUIRE(next > now_);
        now_ = std::min(next, end);
        poll(0);
        poll(1);
        settle();
        REQUIRE_FALSE(session(0).failure());
        REQUIRE_FALSE(session(1).failure());
    }
}

bool metered_link::in_sync() const { return sessions_[0]->in_sync() && sessions_[1]->in_sync(); }

bool is_bulk(const sync::message& m) { return std::holds_alternative<sync::records>(m) || std::holds_alternative<sync::state_piece>(m); }

double greatest_burst(std::span<const metered_link::sent> log, std::size_t from, double bytes_per_second) {
    double above = 0;
    double most = 0;
    steady_time at{};
    for (const auto& s : log) {
        if (s.from != from) continue;
        above = std::max(0.0, above - static_cast<double>((s.at - at).count()) * bytes_per_second / 1'000) + static_cast<double>(s.bytes);
        most = std::max(most, above);
        at = s.at;
    }
    return most;
}

std::chrono::milliseconds longest_silence(std::span<const metered_link::sent> log, std::size_t from, steady_time end) {
    std::chrono::milliseconds longest{0};
    std::optional<steady_time> last;
    for (const auto& s : log) {
        if (s.from != from) continue;
        if (last) longest = std::max(longest, s.at - *last);
        last = s.at;
    }
    return last ? std::max(longest, end - *last) : end;
}

}  // namespace anabranch::test
