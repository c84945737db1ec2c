// Replicas on virtual time: links with latency and bandwidth carry what sans-IO sessions say. Only the network takes
// time, so what comes out is exact and the same in every run.
#pragma once

#include <anabranch/session.hpp>
#include <anabranch/store.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <tuple>
#include <vector>

namespace bench::convergence {

using virtual_time = std::chrono::microseconds;

struct link_shape {
    virtual_time latency{};     // one way
    double bits_per_second = 0;  // each way; 0: no limit
};

class network {
  public:
    /// The first replica has founded the bucket; the others are members.
    explicit network(std::size_t replicas);
    network(const network&) = delete;
    network& operator=(const network&) = delete;

    anabranch::bucket& bucket(std::size_t i) { return replicas_[i]->bucket; }
    std::size_t size() const { return replicas_.size(); }
    virtual_time now() const { return *now_; }
    void pass(virtual_time time) { *now_ += time; }

    using pair = std::pair<std::size_t, std::size_t>;
    /// Connects these now, and carries on until every replica has on disk what any had. Throws std::runtime_error where
    /// they do not get there within an hour. Then the links are cut.
    void converge(const std::vector<pair>& links, const link_shape& shape, const anabranch::session_options& options);

    /// Of the last call: the bytes that have arrived, on all links.
    std::uint64_t bytes() const { return bytes_; }

  private:
    struct replica {
        anabranch::store store;
        anabranch::bucket bucket;
        std::vector<std::size_t> ends;  // their sessions
        bool is_complete = false;
    };
    /// One side of a connection.
    struct end {
        std::size_t owner;
        std::size_t peer;  // the other end
        anabranch::session session;
        std::string waiting;  // taken from the session, not sent yet
        bool is_sending = false;
    };
    struct event {
        virtual_time at;
        std::uint64_t order;  // of those at one time, the first made comes first
        std::size_t to;
        std::string bytes;  // empty: the line is free again
        bool operator>(const event& other) const {
            return std::tie(at, order) > std::tie(other.at, other.order);
        }
    };

    std::chrono::milliseconds session_time() const {
        return std::chrono::duration_cast<std::chrono::milliseconds>(*now_);
    }
    void connect(const pair& both, const anabranch::session_options& options);
    void step(const link_shape& shape);
    void settle(std::size_t owner, const link_shape& shape);
    void send(std::size_t from, const link_shape& shape);
    void schedule(virtual_time at, std::size_t to, std::string bytes);
    void expect_all();
    void look_at(replica& one);

    std::shared_ptr<virtual_time> now_ = std::make_shared<virtual_time>();
    std::vector<std::unique_ptr<replica>> replicas_;
    std::deque<end> ends_;
    std::priority_queue<event, std::vector<event>, std::greater<>> events_;
    std::uint64_t next_order_ = 0;
    std::uint64_t bytes_ = 0;
    std::size_t incomplete_ = 0;
    std::vector<anabranch::progress_entry> goal_;
};

}  // namespace bench::convergence
