#include "demo/traffic.hpp"

#include <algorithm>

namespace retail {

namespace {
constexpr auto retry_pause = std::chrono::milliseconds(5);
constexpr auto patience = std::chrono::seconds(60);
constexpr auto answer_timeout = std::chrono::seconds(5);
}  // namespace

traffic::traffic(std::array<side*, 2> sides, std::array<std::vector<client_request>, 2> requests,
                 std::size_t connections, std::chrono::duration<double> spread, std::stop_token stop)
    : sides_(sides), requests_(std::move(requests)), spread_(spread), stop_(std::move(stop)) {
    for (std::size_t i = 0; i < connections; ++i) {
        for (std::size_t which = 0; which < sides_.size(); ++which)
            threads_.emplace_back([this, which] { work(which); });
    }
}

traffic::~traffic() {
    failed_ = true;
    for (auto& thread : threads_) {
        if (thread.joinable()) thread.join();
    }
}

void traffic::finish() {
    for (auto& thread : threads_) {
        if (thread.joinable()) thread.join();
    }
    const std::lock_guard lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
}

void traffic::work(std::size_t which) {
    const auto& requests = requests_[which];
    std::unique_ptr<http_client> client;
    try {
        while (!failed_) {
            const std::size_t index = next_[which]++;
            if (index >= requests.size()) return;
            const auto due =
                begin_ + std::chrono::duration_cast<steady_clock::duration>(
                             spread_ * (static_cast<double>(index) / static_cast<double>(requests.size())));
            while (steady_clock::now() < due && !failed_ && !stop_.stop_requested()) {
                std::this_thread::sleep_for(std::min<steady_clock::duration>(due - steady_clock::now(),
                                                                             std::chrono::milliseconds(50)));
            }
            send_until_answered(client, *sides_[which], requests[index]);
            ++answered_[which];
        }
    } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!failure_) failure_ = std::current_exception();
        failed_ = true;
    }
}

void traffic::send_until_answered(std::unique_ptr<http_client>& client, const side& to,
                                  const client_request& request) {
    const auto deadline = steady_clock::now() + patience;
    bool sent_before = false;
    for (std::string problem = "it is down"; !failed_; std::this_thread::sleep_for(retry_pause)) {
        if (stop_.stop_requested()) throw interrupted();
        if (steady_clock::now() > deadline) {
            throw std::runtime_error("no answer from " + to.name() + " for a minute: " + problem);
        }
        const std::uint16_t port = to.http_port();
        if (port == 0) {
            client.reset();
            continue;
        }
        try {
            if (!client) client = std::make_unique<http_client>(port, answer_timeout);
            const auto answer = client->request(request.method, request.target, request.body);
            if (answer.status == 200 || answer.status == 201) {
                if (sent_before && answer.status == 200) ++found_done_;
                return;
            }
            problem = to.name() + " answered " + request.method + " " + request.target + " with " +
                      std::to_string(answer.status) + ": " + answer.body;
            if (answer.status != 503) throw std::runtime_error(problem);
        } catch (const no_answer& failure) {
            problem = failure.what();
            client.reset();  // the port may have changed
            ++unanswered_;
            sent_before = true;
        }
    }
}

}  // namespace retail
