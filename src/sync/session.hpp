// The sync protocol as a state machine: no sockets, clocks, threads or randomness. docs/sync-protocol.md tells the story.
#pragma once

#include <anabranch/result.hpp>
#include <anabranch/sync.hpp>
#include <deque>
#include <map>
#include <optional>

#include "sync/budget.hpp"
#include "sync/local_replica.hpp"
#include "sync/message.hpp"
#include "sync/positions.hpp"

namespace anabranch::sync {

class session {
  public:
    /// Sends the greeting at once. `local` must outlive the session.
    /// `spoken`: what this side offers, to try what becomes of other ranges.
    session(local_replica& local, session_options options, steady_time now, protocol_versions spoken = spoken_versions);

    void receive(std::string_view bytes, steady_time now);
    void poll(steady_time now);
    /// Empties the output, and fills it again as far as the window and the budgets allow.
    std::string take_output();
    bool wants_sync() const;
    steady_time next_poll() const;

    session_phase phase() const;
    bool in_sync() const;
    bool caught_up() const;
    const std::optional<error>& failure() const { return failure_; }
    const std::optional<replica_id>& peer() const { return peer_; }
    /// Of the protocol; nothing before the peer has greeted.
    const std::optional<std::uint8_t>& version() const { return reader_.agreed(); }
    const sync_progress& progress() const { return progress_; }
    std::vector<bucket_progress> waiting_buckets() const;
    std::vector<held_transaction> held() const;

  private:
    /// What the two sides know of each other in one bucket.
    struct stream {
        std::map<replica_id, positions> advertised_members;  ///< what the peer is known to know of members
        std::uint64_t advert_revision = 0;                   ///< of what was last passed on
        std::optional<error> cannot_send;                    ///< the log does not reach back to what the peer has
        std::optional<error> cannot_receive;                 ///< what the peer has does not count any more
        bool has_sponsored = false;

        // This side's.
        bool is_local = false;
        role told_role = role::reader;
        bool is_told = false;  ///< the peer knows that the bucket is here, and from where it is to send
        positions told;        ///< what it was told then
        std::uint64_t epoch = 0;
        timestamp ceiling{UINT64_MAX};
        bool takes_folds = true;
        bool takes_abbreviated = true;
        bool lists_executions = false;
        bool has_listed = false;
        std::optional<held_transaction> held;
        std::uint64_t revision = 0;
        positions durable;
        positions advertised;  ///< what the peer has been told of `durable`
        positions goal;        ///< what either side had when they met
        std::optional<std::uint64_t> behind;  ///< the peer's log does not reach back to the `have` of that epoch
        std::optional<steady_time> behind_since;
        steady_time piece_at{};  ///< when the last one came
        std::unique_ptr<state_sink> taking;   ///< its state instead
        steady_time taking_since{};
        steady_time next_state = steady_time::min();  ///< not asked for before, where this side holds a part
        std::size_t taken_bytes = 0;  ///< as they came
        std::optional<positions> taken;       ///< that is here, and not known to be on disk yet
        std::unique_ptr<auditor> auditing;    ///< an audit that this side has begun
        std::uint64_t audit_number = 0;       ///< of the last one
        steady_time auditing_at{};            ///< when it last went on

        // The peer's.
        bool is_remote = false;
        role peer_role = role::reader;
        std::uint64_t peer_fold_bytes = UINT64_MAX;
        std::uint64_t peer_epoch = 0;
        timestamp peer_ceiling{UINT64_MAX};
        bool peer_takes_abbreviated = true;
        bool awaits_executions = false;
        bool has_heard_executions = false;
        std::vector<oplog::listed_execution> executions;  ///< the peer's, sorted by digest
        positions peer_durable;
        bool is_peer_restored = false;
        positions sent;  ///< what the peer has, or has been sent
        struct flight {
            positions ends;
            std::size_t bytes = 0;
        };
        bool is_behind = false;  ///< and has been told
        std::unique_ptr<state_source> walk;
        std::deque<std::size_t> pieces_in_flight;  ///< bytes of each
        bool is_piece_waiting = false;             ///< the link has not taken all of them yet
        std::optional<steady_time> unanswered_since;  ///< it has, and none has been answered since that was noticed
        std::unique_ptr<audit_respondent> answering;  ///< an audit that the peer has begun
        std::uint64_t answered_number = 0;
        steady_time answering_at{};
        std::deque<flight> in_flight;
        std::size_t in_flight_bytes = 0;
        std::uint64_t served = 0;  ///< bytes that it has had of the link, and those that it let pass: its place among its equals
    };
    struct turn;
    using streams = std::map<std::string, stream, std::less<>>;

    // Whoever holds a part of a bucket has nothing to give of it.
    bool is_giving(const stream& s) const { return s.told_role != role::part; }
    bool is_taking(const stream& s) const { return s.peer_role != role::part; }
    /// All that this side can have of the peer, and the other way.
    bool has_all(const stream& s) const { return !is_taking(s) || covers(s.durable, s.peer_durable); }
    bool has_given_all(const stream& s) const { return !is_giving(s) || covers(s.peer_durable, s.durable); }

    void send(const message& m);
    void end(error why);
    void handle(const greeting& m);
    void handle(const have& m);
    void handle(const ready& m);
    void handle(const records& m);
    void handle(const acknowledgement& m);
    void handle(const heartbeat& m);
    void handle(const goodbye& m);
    void handle(const adverts& m);
    void handle(const parting& m);
    void handle(const executions& m);
    void handle(const behind& m);
    void handle(const walk& m);
    void handle(const state_piece& m);
    void handle(const piece_taken& m);
    void handle(const wishes& m);
    void handle(const waiting& m);
    void handle(const audit& m);
    void handle(const audit_answer& m);
    void part(const std::string& bucket, stream& s, bool is_sending, error why);

    frontier refresh(const std::string& bucket, stream& s);
    bool refresh_told();
    std::uint64_t fold_bytes(const std::string& bucket, const stream& s) const;
    void tell(const std::string& bucket, stream& s);
    void begin_anew(const std::string& bucket, stream& s, timestamp ceiling);
    void acknowledge(const std::string& bucket, stream& s);
    void list(const std::string& bucket, stream& s);
    void pump(const std::string& bucket, stream& s, std::int32_t priority);
    void pump_state(const std::string& bucket, stream& s, std::int32_t priority);
    void offer_state(const std::string& bucket, stream& s);
    void pump_all();
    void look_for_answers(const std::string& bucket, stream& s);
    void ask_for_state(const std::string& bucket, stream& s);
    void ask_for_rows(const std::string& bucket, stream& s);
    positions known_of_peer(const stream& s) const;
    void begin_taking(const std::string& bucket, stream& s);
    void begin_audit(const std::string& bucket, stream& s);
    void pump_audit(const std::string& bucket, stream& s);
    void look_for_progress();
    bool has_adverts_to_send() const;
    void advertise(const std::string& bucket, stream& s);
    void sponsor(const std::string& bucket, stream& s);
    static void note_advert(stream& s, const replica_id& member, const positions& has);
    void hear_advert(const std::string& bucket, stream& s, const replica_id& member, const positions& has);
    bool catch_up_with_adverts(const std::string& bucket, stream& s);
    void end_if_parted();
    bool have_both_all() const;
    bool lacks_paths(const std::string& bucket, const stream& s) const;
    void count_remaining();
    sync_progress count_remaining(const stream& s) const;
    hash128 fingerprint_state();

    // session_turns.cpp
    std::int32_t priority_of(const std::string& bucket) const;
    bool has_to_send(const std::string& bucket, const stream& s) const;
    steady_time budget_wait(std::int32_t priority) const;
    std::size_t portion(std::int32_t priority) const;
    void take_turns();
    void note_waiting(bool has_to_wait);
    void say_waiting();
    void note_budget();
    void pass_time(steady_time now);
    steady_time pause_after_adverts(std::size_t bytes) const;
    void wish();

    local_replica& local_;
    session_options options_;
    message_reader reader_;
    std::string output_;
    streams streams_;
    sync_progress progress_;
    std::optional<error> failure_;
    replica_id id_;  // with which it has greeted
    std::optional<replica_id> peer_;
    hash128 greeted_state_{};
    bool is_ready_ = false;       // the peer has told all its buckets
    bool was_caught_up_ = false;
    budget budget_;
    budget asked_budget_;                                  // by the peer
    budget receive_budget_;                                // as the peer may have counted it
    std::map<std::string, std::int32_t> priorities_;
    std::map<std::string, std::int32_t> asked_priorities_;
    std::map<std::int32_t, std::uint64_t> turns_;          // by priority: where the last one began
    std::optional<steady_time> waiting_since_;             // for the budget, or a state for its turn; or when the peer was told so
    steady_time next_adverts_{};
    steady_time last_sent_{};
    steady_time last_received_{};
    steady_time last_part_{};  ///< when bytes came, and did not end any message
    steady_time now_{};
};

}  // namespace anabranch::sync
