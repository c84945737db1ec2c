// What is behind the public replica.
#pragma once

#include <anabranch/replica.hpp>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/system_executor.hpp>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "transport/connector.hpp"
#include "transport/listener.hpp"
#include "transport/peering.hpp"
#include "transport/sync_once.hpp"

namespace anabranch {

/// The lifecycle, and the way from any thread to the executor where everything else happens.
class replica::impl {
  public:
    impl(store local, replica_options options, std::optional<boost::asio::any_io_executor> executor);
    ~impl() { stop(); }

    result<void> start();
    void stop();
    /// Calls `done` when everything has ended; after stop().
    void when_over(std::function<void()> done);

    std::uint16_t port() const { return port_; }
    result<void> connect(std::string name);
    void disconnect(std::string_view name);
    void sync_once(transport::sync_once_request request);
    std::vector<peer_status> peers() const;

    bool is_own_thread() const { return std::this_thread::get_id() == own_thread_.load(); }
    boost::asio::any_io_executor executor_of_user() const {
        return executor_.value_or(boost::asio::system_executor());
    }

  private:
    enum class stage { idle, running, stopped };

    result<void> open();
    result<void> add(const std::string& name);
    void launch_all();
    void give_up();

    const store store_;
    const replica_options options_;
    const std::optional<boost::asio::any_io_executor> executor_;
    boost::asio::io_context context_{1};  // of the own thread; unused with an executor of the user's

    mutable std::mutex mutex_;  // guards what follows
    stage stage_ = stage::idle;
    std::vector<std::string> wanted_;  // peers to connect to at start()
    std::shared_ptr<transport::peering> peering_;
    std::shared_ptr<transport::listener> listener_;
    std::map<std::string, std::shared_ptr<transport::connector>, std::less<>> connectors_;

    std::mutex stop_mutex_;  // guards what follows, and comes before mutex_
    std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> work_;
    std::thread thread_;
    bool is_stopping_ = false;

    std::atomic<std::uint16_t> port_ = 0;
    std::atomic<std::thread::id> own_thread_{};
};

}  // namespace anabranch
