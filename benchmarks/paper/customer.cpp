#include "paper/customer.hpp"

#include <optional>

#include "measure/cost.hpp"

namespace bench::paper {

customer::customer(const retail::side& service, std::function<retail::client_request(std::uint64_t)> next,
                   std::chrono::duration<double> pause)
    : service_(service), next_(std::move(next)), pause_(pause), thread_([this](const std::stop_token& ended) {
          try {
              work(ended);
          } catch (...) {
              failure_ = std::current_exception();
          }
      }) {}

void customer::stop() {
    thread_.request_stop();
    thread_.join();
    if (failure_) std::rethrow_exception(failure_);
}

void customer::work(const std::stop_token& ended) {
    std::optional<retail::http_client> client;
    for (std::uint64_t i = 0; !ended.stop_requested();) {
        if (!client && service_.http_port() != 0) client.emplace(service_.http_port());
        if (!client) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            continue;
        }
        const auto request = next_(i++);
        const stopwatch watch;
        try {
            const auto answer = client->request(request.method, request.target, request.body);
            if (answer.status >= 300) {
                throw std::runtime_error(request.target + " was answered with " + std::to_string(answer.status) + ": " +
                                         answer.body);
            }
            latencies_.push_back(watch.elapsed().wall * 1000);
        } catch (const retail::no_answer&) {
            ++unanswered_;
            client.reset();
        }
        const double left = pause_.count() - watch.elapsed().wall;
        if (left > 0) std::this_thread::sleep_for(std::chrono::duration<double>(left));
    }
}

}  // namespace bench::paper
