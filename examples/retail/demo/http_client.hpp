// One keep-alive connection to a service.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "endpoint.hpp"

namespace retail {

/// No answer: whether the request was carried out is unknown.
struct no_answer : std::runtime_error {
    using runtime_error::runtime_error;
};

struct http_answer {
    unsigned status = 0;
    std::string body;
    std::string session_token{};  ///< empty: none
    std::string retry_after{};
};

using http_headers = std::vector<std::pair<std::string, std::string>>;

/// One request at a time. Connects when it needs to; after a failure the next request connects anew.
class http_client {
  public:
    /// To 127.0.0.1.
    explicit http_client(std::uint16_t port, std::chrono::milliseconds timeout = std::chrono::seconds(15))
        : http_client(endpoint{"127.0.0.1", port}, timeout) {}
    /// To an address, not a name. Throws std::runtime_error where it is none.
    explicit http_client(const endpoint& server,
                         std::chrono::milliseconds timeout = std::chrono::seconds(15));
    ~http_client();
    http_client(http_client&&) noexcept;
    http_client& operator=(http_client&&) noexcept;

    /// Throws no_answer.
    http_answer request(std::string_view method, std::string_view target, std::string body = {},
                        const std::string& session_token = {});
    http_answer request(std::string_view method, std::string_view target, std::string body,
                        const http_headers& headers);
    http_answer get(std::string_view target, const std::string& session_token = {}) {
        return request("GET", target, {}, session_token);
    }

  private:
    class impl;
    std::unique_ptr<impl> impl_;
};

/// A name as one segment of a path, or as a query's value.
std::string percent_encoded(std::string_view text);

}  // namespace retail
