// What all connections of one replica share: the executor, the syncing to disk, who is connected to whom.
#pragma once

#include <anabranch/replica.hpp>
#include <atomic>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/ssl/context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "replica/subscription.hpp"
#include "sync/budget.hpp"
#include "transport/connection.hpp"
#include "transport/coroutine.hpp"
#include "transport/disk_syncer.hpp"
#include "transport/status_board.hpp"

namespace anabranch::transport {

/// Everything happens on one executor, which runs one handler at a time, but for what is said to be
/// thread-safe.
class peering : public std::enable_shared_from_this<peering> {
  public:
    peering(asio::any_io_executor executor, store local, replica_options options,
            std::shared_ptr<asio::ssl::context> tls);

    const asio::any_io_executor& executor() const { return executor_; }
    const replica_options& options() const { return options_; }
    const std::shared_ptr<asio::ssl::context>& tls() const { return tls_; }
    /// Thread-safe.
    status_board& board() { return board_; }

    /// From here on local commits are noticed. May throw std::system_error, where there are no more threads.
    void start();
    /// Ends all coroutines, soon, and waits for a sync to disk under way. Thread-safe and idempotent, but
    /// called by one thread at a time.
    void stop();
    bool is_stopped() const { return stopped_; }
    /// Calls `done` when stop() has been called and the last coroutine has ended.
    void when_over(std::function<void()> done);

    /// Runs it on the executor until it ends; stop() and the signal that is returned cancel what it waits
    /// for.
    std::shared_ptr<asio::cancellation_signal> spawn(awaitable<void> work);

    enum class direction { dialled, accepted };
    /// A session of the background, shown on the board under `key`, until it ends. Says whether it has been
    /// live.
    awaitable<bool> talk(std::unique_ptr<byte_stream> stream, std::string name, direction from,
                         status_board::key key);

    /// Waits until everything committed so far is on disk, or the disk has failed. A session begins with what
    /// is on disk, so without this a commit made just before the connection would not belong to what it
    /// catches up with.
    awaitable<void> sync_to_disk();
    /// A connection for run(). `changed` as in connection_events.
    std::shared_ptr<connection> make_connection(std::unique_ptr<byte_stream> stream, std::string name,
                                                std::function<void()> changed);
    awaitable<void> run(std::shared_ptr<connection> talking);
    /// Of a session that is over, for the next one with a peer of that name.
    void keep_budgets(const std::string& name, const sync_progress& last);

    /// Waits while a background session with that replica, dialled by either side, is under way.
    awaitable<void> while_connected_to(replica_id peer);

  private:
    struct link {
        std::shared_ptr<connection> talking;
        direction from{};
        status_board::key key = 0;
        std::optional<replica_id> peer;
        std::uint64_t holds_shown = 0;
    };

    void close_all();
    void request_sync();
    void finish_round(disk_syncer::round number, const result<void>& outcome);
    awaitable<void> pause_syncing();
    void show(link& changed);
    session_options options_for(const std::string& name);
    void settle_duplicates(const replica_id& peer);
    bool is_connected_to(const replica_id& peer) const;

    asio::any_io_executor executor_;
    store store_;
    replica_options options_;
    std::shared_ptr<asio::ssl::context> tls_;
    status_board board_;
    disk_syncer disk_;
    std::atomic<bool> has_connections_ = false;
    std::optional<replication::subscription> subscription_;

    struct budgets {
        sync::budget send;
        sync::budget receive;
    };
    std::map<std::string, budgets> budgets_;  // of peers that were connected to, by their names

    bool stopped_ = false;
    std::set<std::shared_ptr<asio::cancellation_signal>> running_;
    std::vector<std::function<void()>> over_;
    std::vector<std::shared_ptr<connection>> connections_;
    std::vector<link*> links_;  // of talk(), oldest first
    asio::steady_timer link_ended_;
    disk_syncer::round last_round_ = 0;
    bool is_disk_failing_ = false;
    asio::steady_timer round_ended_;
};

}  // namespace anabranch::transport
