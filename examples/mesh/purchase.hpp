// An order that a client places, and what the client was told.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "demo/orders.hpp"
#include "shop.hpp"

namespace retail {

enum class told {
    placed,     ///< 200 or 201
    refused,    ///< by the shop: 409 and the like
    denied,     ///< at the gateway: 401, 403
    throttled,  ///< at the gateway: 429
    nothing,    ///< no answer, or none that says what became of it, though the client tried again and again
};

struct purchase {
    order content;  ///< with the reference in it
    std::string reference;
    std::size_t fault = 0;       ///< during which it is sent
    std::string authorization;   ///< empty: none
    bool is_sent_twice = false;  ///< though it was answered: the customer clicks again

    // What came of it.
    told outcome = told::nothing;
    unsigned status = 0;  ///< of the last answer; 0: none
    unsigned attempts = 0;
    unsigned unanswered = 0;            ///< attempts that timed out or lost their connection
    unsigned failed = 0;                ///< attempts answered with 5xx
    std::vector<std::string> problems;  ///< status and body of the answers that refused it, or failed
    bool was_sent_twice = false;
};

// Clients know an order by a reference of their own, for its id is the service's to make up. The API has no
// field for one; the date is free text.
inline std::string with_reference(const std::string& date, const std::string& reference) {
    return date + " invoice " + reference;
}
/// Empty where there is none.
inline std::string reference_of(const order& placed) {
    static const std::string mark = " invoice ";
    const auto at = placed.head.date.rfind(mark);
    return at == std::string::npos ? std::string{} : placed.head.date.substr(at + mark.size());
}

/// One for each order; `count` at most.
std::vector<purchase> make_purchases(const order_set& input, std::size_t count);

}  // namespace retail
