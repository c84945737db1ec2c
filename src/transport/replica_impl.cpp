#include "transport/replica_impl.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <stdexcept>

namespace anabranch {

using namespace transport;

replica::impl::impl(store local, replica_options options, std::optional<asio::any_io_executor> executor)
    : store_(std::move(local)),
      options_(std::move(options)),
      executor_(std::move(executor)),
      wanted_(options_.peers) {}

result<void> replica::impl::start() {
    const std::lock_guard stop_lock(stop_mutex_);
    const std::lock_guard lock(mutex_);
    if (stage_ == stage::running) return {};
    if (stage_ == stage::stopped) return fail(errc::closed, "the replica has been stopped");
    result<void> opened;
    try {
        opened = open();
    } catch (const std::runtime_error& exhausted) {  // std::system_error and Boost's
        opened = fail(errc::network, std::string("the replica cannot start: ") + exhausted.what());
    }
    if (opened) {
        stage_ = stage::running;
    } else {
        give_up();
    }
    return opened;
}

result<void> replica::impl::open() {
    std::shared_ptr<asio::ssl::context> tls;
    if (options_.tls) {
        auto made = make_tls_context(*options_.tls);
        if (!made) return fail(std::move(made.error()));
        tls = std::move(*made);
    }
    const auto executor = executor_ ? asio::any_io_executor(asio::make_strand(*executor_))
                                    : asio::any_io_executor(context_.get_executor());
    peering_ = std::make_shared<peering>(executor, store_, options_, std::move(tls));
    for (const auto& name : wanted_) {
        if (auto added = add(name); !added) return added;
    }
    if (!options_.listen.empty()) {
        const auto at = parse_endpoint(options_.listen);
        if (!at) return fail(at.error());
        auto listening = listener::open(peering_, *at);
        if (!listening) return fail(std::move(listening.error()));
        listener_ = std::move(*listening);
    }
    peering_->start();
    if (!executor_) {
        work_.emplace(context_.get_executor());
        thread_ = std::thread([this] {
            own_thread_ = std::this_thread::get_id();
            context_.run();
        });
    }
    launch_all();
    return {};
}

void replica::impl::launch_all() {
    port_ = listener_ ? listener_->port() : 0;
    asio::post(peering_->executor(), [all = connectors_, listening = listener_, peers = peering_] {
        if (listening) peers->spawn(listening->run());
        for (const auto& [name, added] : all) added->start();
    });
}

void replica::impl::give_up() {
    if (peering_) peering_->stop();
    work_.reset();
    connectors_.clear();
    listener_.reset();
    peering_.reset();
}

void replica::impl::stop() {
    std::unique_lock stop_lock(stop_mutex_, std::defer_lock);
    if (!is_own_thread()) {
        stop_lock.lock();
    } else if (!stop_lock.try_lock()) {
        return;  // another thread is at it, and waits for this one
    }
    std::shared_ptr<peering> ending;
    {
        const std::lock_guard lock(mutex_);
        if (stage_ == stage::running) ending = peering_;
        stage_ = stage::stopped;
    }
    if (ending && !std::exchange(is_stopping_, true)) {
        ending->stop();
        work_.reset();
    }
    if (thread_.joinable() && !is_own_thread()) thread_.join();
    port_ = 0;
}

void replica::impl::when_over(std::function<void()> done) {
    const std::lock_guard lock(mutex_);
    if (!peering_ || !executor_) return done();
    asio::post(peering_->executor(),
               [peers = peering_, done = std::move(done)]() mutable { peers->when_over(std::move(done)); });
}

result<void> replica::impl::add(const std::string& name) {
    auto to = parse_peer(name);
    if (!to) return fail(std::move(to.error()));
    if (!connectors_.contains(name))
        connectors_.emplace(name, std::make_shared<connector>(peering_, std::move(*to), name));
    return {};
}

result<void> replica::impl::connect(std::string name) {
    const std::lock_guard lock(mutex_);
    if (stage_ == stage::stopped) return fail(errc::closed, "the replica has been stopped");
    if (auto checked = parse_peer(name); !checked) return fail(std::move(checked.error()));
    if (stage_ == stage::idle) {
        wanted_.push_back(std::move(name));
        return {};
    }
    if (connectors_.contains(name)) return {};
    if (auto added = add(name); !added) return added;
    asio::post(peering_->executor(), [added = connectors_.at(name)] { added->start(); });
    return {};
}

void replica::impl::disconnect(std::string_view name) {
    const std::lock_guard lock(mutex_);
    std::erase(wanted_, name);
    const auto found = connectors_.find(name);
    if (found == connectors_.end()) return;
    const auto removed = std::move(found->second);
    connectors_.erase(found);
    removed->leave_board();
    if (stage_ == stage::running) asio::post(peering_->executor(), [removed] { removed->stop(); });
}

void replica::impl::sync_once(sync_once_request request) {
    {
        const std::lock_guard lock(mutex_);
        if (stage_ == stage::running) {
            // Before what stop() posts, so the request is always answered.
            asio::post(peering_->executor(), [peers = peering_, request = std::move(request)]() mutable {
                peers->spawn(transport::sync_once(peers, std::move(request)));
            });
            return;
        }
    }
    request.done(fail(errc::closed, "the replica is not running"));
}

std::vector<peer_status> replica::impl::peers() const {
    const std::lock_guard lock(mutex_);
    return peering_ ? peering_->board().show() : std::vector<peer_status>{};
}

}  // namespace anabranch
