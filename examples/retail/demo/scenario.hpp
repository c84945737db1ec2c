// The demo's story: two shops, a link that is cut, a process that is killed, and one state in the end.
#pragma once

#include <chrono>
#include <filesystem>
#include <stop_token>

#include "demo/orders.hpp"
#include "demo/outcome.hpp"
#include "demo/watcher.hpp"

namespace retail {

struct scenario_options {
    std::filesystem::path service;               ///< the retail-service executable
    std::filesystem::path directory;             ///< where both sides keep their stores
    std::size_t connections = 4;                 ///< to each side
    std::chrono::duration<double> cut{4};        ///< the orders after the kill are spread over this time
    std::chrono::duration<double> deadline{60};  ///< to converge after the heal
};

struct scenario_result {
    outcome found;
    watch_history history;
};

/// Prints what it does. Fills `result` as far as it gets; throws interrupted where `stop` asks for it, and
/// std::runtime_error where something cannot go on. Call it from the main thread: the services end with
/// the thread that started them.
void run_scenario(const scenario_options& options, const order_set& input, const std::stop_token& stop,
                  scenario_result& result);

}  // namespace retail
