#include "shoppers.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "demo/http_client.hpp"
#include "demo/traffic.hpp"
#include "json.hpp"
#include "mesh.hpp"
#include "uuid.hpp"

namespace retail {

namespace {

using std::chrono::steady_clock;

std::string body_of(const order& placed) {
    auto body = to_json(placed);
    body.erase("id");  // the service makes it up
    return boost::json::serialize(body);
}

http_headers headers_of(const purchase& wanted, bool has_identity) {
    http_headers headers;
    if (!wanted.authorization.empty()) headers.emplace_back("Authorization", wanted.authorization);
    if (!wanted.content.head.customer.empty())
        headers.emplace_back("X-Customer", wanted.content.head.customer);
    if (has_identity) {
        const auto issued = std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::system_clock::now().time_since_epoch());
        headers.emplace_back("Idempotency-Key", uuid_v7(issued));
        headers.emplace_back("Idempotency-Issued", std::to_string(issued.count()));
    }
    return headers;
}

/// What an answer tells; nothing where it tells nothing. 429 is no answer to a request that may have run
/// before.
told meaning_of(unsigned status, bool may_have_run) {
    if (status == 200 || status == 201) return told::placed;
    if (status == 401 || status == 403) return told::denied;
    if (status == 429) return may_have_run ? told::nothing : told::throttled;
    return status >= 500 ? told::nothing : told::refused;
}

}  // namespace

std::vector<purchase> make_purchases(const order_set& input, std::size_t count) {
    std::vector<purchase> purchases;
    for (const auto& placed : input.orders) {
        if (purchases.size() == count) break;
        purchase next;
        next.content = placed;
        next.reference = placed.id;
        next.content.head.date = with_reference(placed.head.date, placed.id);
        next.authorization = till;
        next.is_sent_twice = purchases.size() % 10 == 5;
        purchases.push_back(std::move(next));
    }
    return purchases;
}

shoppers::shoppers(shopper_options options, std::vector<purchase*> purchases, std::stop_token stop)
    : options_(std::move(options)), purchases_(std::move(purchases)), stop_(std::move(stop)) {
    for (std::size_t i = 0; i < options_.connections; ++i) threads_.emplace_back([this] { work(); });
}

shoppers::~shoppers() {
    ended_ = true;
    for (auto& thread : threads_) {
        if (thread.joinable()) thread.join();
    }
}

void shoppers::finish() {
    for (auto& thread : threads_) {
        if (thread.joinable()) thread.join();
    }
    const std::lock_guard lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
}

void shoppers::work() {
    try {
        while (!ended_) {
            const std::size_t index = next_++;
            if (index >= purchases_.size()) return;
            const auto due =
                begin_ + std::chrono::duration_cast<steady_clock::duration>(
                             std::chrono::duration<double>(static_cast<double>(index) / options_.per_second));
            while (steady_clock::now() < due && !ended_ && !stop_.stop_requested()) {
                std::this_thread::sleep_for(std::min<steady_clock::duration>(due - steady_clock::now(),
                                                                             std::chrono::milliseconds(50)));
            }
            place(*purchases_[index]);
            ++done_;
        }
    } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!failure_) failure_ = std::current_exception();
        ended_ = true;
    }
}

void shoppers::place(purchase& wanted) {
    const auto headers = headers_of(wanted, options_.has_identity);
    const auto body = body_of(wanted.content);
    http_client client(options_.gateway, options_.patience);
    auto pause = std::chrono::milliseconds(25);
    while (wanted.attempts < options_.attempts && !ended_) {
        if (stop_.stop_requested()) throw interrupted();
        const bool may_have_run = wanted.unanswered + wanted.failed > 0;
        ++wanted.attempts;
        try {
            const auto answer = client.request("POST", "/orders", body, headers);
            wanted.status = answer.status;
            wanted.outcome = meaning_of(wanted.status, may_have_run);
            if (wanted.outcome == told::nothing || wanted.outcome == told::refused)
                wanted.problems.push_back(std::to_string(answer.status) + " " + answer.body);
            if (wanted.outcome != told::nothing) break;
            ++wanted.failed;
        } catch (const no_answer&) {
            ++wanted.unanswered;
        }
        std::this_thread::sleep_for(pause);
        pause = std::min(pause * 2, std::chrono::milliseconds(400));
    }
    if (wanted.outcome != told::placed || !wanted.is_sent_twice) return;
    wanted.was_sent_twice = true;
    try {
        client.request("POST", "/orders", body, headers);
    } catch (const no_answer&) {  // the customer has the order already, and does not mind
    }
}

crawler::crawler(endpoint gateway, unsigned per_second) {
    constexpr unsigned connections = 2;
    const auto interval = std::chrono::microseconds(1'000'000 * connections / per_second);
    for (unsigned i = 0; i < connections; ++i) {
        threads_.emplace_back([gateway, interval](const std::stop_token& stop) {
            http_client client(gateway, std::chrono::seconds(2));
            const auto begin = steady_clock::now();
            for (auto due = begin; due < begin + std::chrono::seconds(10) && !stop.stop_requested();
                 due += interval) {
                std::this_thread::sleep_until(due);
                try {
                    client.request("GET", "/products?limit=1", {}, {{"Authorization", auditor}});
                } catch (const no_answer&) {  // it goes on without this page
                }
            }
        });
    }
}

}  // namespace retail
