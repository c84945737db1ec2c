#include <anabranch/asio.hpp>
#include <anabranch/replica.hpp>
#include <future>

#include "transport/replica_impl.hpp"

namespace anabranch {

using namespace transport;

replica::replica(store local, replica_options options)
    : impl_(std::make_unique<impl>(std::move(local), std::move(options), std::nullopt)) {}
replica::replica(std::unique_ptr<impl> made) : impl_(std::move(made)) {}
replica::~replica() = default;

result<void> replica::start() { return impl_->start(); }
void replica::stop() { impl_->stop(); }
std::uint16_t replica::port() const { return impl_->port(); }
result<void> replica::connect(std::string endpoint) { return impl_->connect(std::move(endpoint)); }
void replica::disconnect(std::string_view endpoint) { impl_->disconnect(endpoint); }
std::vector<peer_status> replica::peers() const { return impl_->peers(); }

namespace {

/// What the caller of a blocking sync_once() waits for: answered in any case, also when the executor is
/// destroyed.
class answer {
  public:
    ~answer() {
        if (!is_given_) give(fail(errc::cancelled, "the executor of the replica is gone"));
    }
    void give(result<sync_report> report) {
        is_given_ = true;
        promise_.set_value(std::move(report));
    }
    std::future<result<sync_report>> future() { return promise_.get_future(); }

  private:
    std::promise<result<sync_report>> promise_;
    bool is_given_ = false;
};

}  // namespace

result<sync_report> replica::sync_once(const std::string& endpoint,
                                       const std::function<void(const sync_progress&)>& watch,
                                       std::chrono::milliseconds timeout) {
    if (impl_->is_own_thread())
        return fail(errc::invalid_argument, "sync_once() would wait for the thread that it is called on");
    auto to = parse_peer(endpoint);
    if (!to) return fail(std::move(to.error()));
    auto waiting = std::make_shared<answer>();
    auto answered = waiting->future();
    impl_->sync_once({std::move(*to), endpoint, watch, timeout,
                      [waiting](result<sync_report> report) { waiting->give(std::move(report)); }});
    waiting.reset();
    return answered.get();
}

replica make_replica(asio::any_io_executor executor, store local, replica_options options) {
    return detail::asio_access::make(std::move(executor), std::move(local), std::move(options));
}

namespace detail {

replica asio_access::make(asio::any_io_executor executor, store local, replica_options options) {
    return replica(
        std::make_unique<replica::impl>(std::move(local), std::move(options), std::move(executor)));
}

asio::any_io_executor asio_access::executor(replica& self) { return self.impl_->executor_of_user(); }

void asio_access::sync_once(replica& self, std::string endpoint,
                            std::function<void(const sync_progress&)> watch,
                            std::chrono::milliseconds timeout,
                            std::function<void(result<sync_report>)> done) {
    auto to = parse_peer(endpoint);
    if (!to) return done(fail(std::move(to.error())));
    self.impl_->sync_once({std::move(*to), std::move(endpoint), std::move(watch), timeout, std::move(done)});
}

void asio_access::stop(replica& self, std::function<void()> done) {
    self.impl_->stop();
    self.impl_->when_over(std::move(done));
}

}  // namespace detail

}  // namespace anabranch
