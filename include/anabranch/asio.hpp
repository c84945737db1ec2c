// A replica on an executor of yours, for services that run on Boost.Asio.
#pragma once

#include <anabranch/replica.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace anabranch {

/// The same replica, on `executor` instead of a thread of its own: an io_context with any number of threads,
/// a thread_pool, a strand. It makes a strand of its own on it, and one thread that only syncs the store to
/// disk.
///
/// stop(), and so the destructor, only asks connections to end, because it may be called by a thread of the
/// executor; they end when the executor runs next, or is destroyed, and keep the store open until then. To
/// wait use async_stop(). The executor must outlive the replica. sync_once() blocks: call it from a thread
/// that does not run the executor, or use async_sync_once().
replica make_replica(boost::asio::any_io_executor executor, store local, replica_options options);

namespace detail {

struct asio_access {
    static replica make(boost::asio::any_io_executor executor, store local, replica_options options);
    static boost::asio::any_io_executor executor(replica& self);
    static void sync_once(replica& self, std::string endpoint,
                          std::function<void(const sync_progress&)> watch, std::chrono::milliseconds timeout,
                          std::function<void(result<sync_report>)> done);
    static void stop(replica& self, std::function<void()> done);

    /// Calls `handler` on its executor. std::function wants to be copied, handlers need not be copyable.
    template <class Handler>
    static auto shared(replica& self, Handler handler) {
        auto work =
            boost::asio::make_work_guard(boost::asio::get_associated_executor(handler, executor(self)));
        auto held = std::make_shared<std::pair<Handler, decltype(work)>>(std::move(handler), std::move(work));
        return [held](auto... values) {
            auto called = std::move(held->first);
            auto target = held->second.get_executor();
            held->second.reset();
            boost::asio::post(target, [called = std::move(called), ... values = std::move(values)]() mutable {
                std::move(called)(std::move(values)...);
            });
        };
    }
};

}  // namespace detail

/// replica::sync_once() with a completion token of signature `void(result<sync_report>)`. `watch` is called
/// on the replica's strand. `self` must outlive the operation; stop() cancels it.
template <class CompletionToken>
auto async_sync_once(replica& self, std::string endpoint, std::function<void(const sync_progress&)> watch,
                     std::chrono::milliseconds timeout, CompletionToken&& token) {
    return boost::asio::async_initiate<CompletionToken, void(result<sync_report>)>(
        [&self](auto handler, std::string to, std::function<void(const sync_progress&)> watching,
                std::chrono::milliseconds limit) {
            detail::asio_access::sync_once(self, std::move(to), std::move(watching), limit,
                                           detail::asio_access::shared(self, std::move(handler)));
        },
        token, std::move(endpoint), std::move(watch), timeout);
}

/// replica::stop(), then waits until the last connection has ended. Completion signature `void()`.
template <class CompletionToken>
auto async_stop(replica& self, CompletionToken&& token) {
    return boost::asio::async_initiate<CompletionToken, void()>(
        [&self](auto handler) {
            detail::asio_access::stop(self, detail::asio_access::shared(self, std::move(handler)));
        },
        token);
}

}  // namespace anabranch
