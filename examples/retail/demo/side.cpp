#include "demo/side.hpp"

#include <boost/json.hpp>
#include <cstdio>

namespace retail {

namespace json = boost::json;

void side::start(const std::vector<std::string>& more) {
    auto command = command_;
    command.insert(command.end(), more.begin(), more.end());
    process_ = std::make_unique<process>(command);
    const auto line = process_->read_line(std::chrono::seconds(30));
    unsigned http = 0;
    unsigned sync = 0;
    if (!line || std::sscanf(line->c_str(), "listening http=%u sync=%u", &http, &sync) != 2) {
        process_.reset();
        throw std::runtime_error("the " + name_ + " service did not start: " + command_.front());
    }
    sync_port_ = static_cast<std::uint16_t>(sync);
    http_port_ = static_cast<std::uint16_t>(http);
}

void side::kill() {
    if (process_) process_->kill();
    http_port_ = 0;
    process_.reset();
}

bool side::stop() {
    if (!process_) return true;
    http_port_ = 0;
    const bool in_order = process_->terminate(std::chrono::seconds(10));
    process_.reset();
    return in_order;
}

progress read_progress(http_client& client) {
    const auto answer = client.get("/status");
    if (answer.status != 200) throw no_answer("status " + std::to_string(answer.status));
    progress known;
    const json::value status = json::parse(answer.body);
    for (const json::value& entry : status.at("progress").as_array()) {
        known.emplace(entry.at("origin").as_string(), entry.at("sequence").to_number<std::uint64_t>());
    }
    return known;
}

std::uint64_t missing(const progress& ours, const progress& theirs) {
    std::uint64_t count = 0;
    for (const auto& [origin, sequence] : theirs) {
        const auto own = ours.find(origin);
        const std::uint64_t have = own == ours.end() ? 0 : own->second;
        if (sequence > have) count += sequence - have;
    }
    return count;
}

}  // namespace retail
