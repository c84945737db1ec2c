// One history: a few replicas, a network, disks, clocks, and everything that goes wrong with them, from one
// seed.
#pragma once

#include <anabranch/feed.hpp>
#include <anabranch/store.hpp>
#include <deque>
#include <filesystem>
#include <initializer_list>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "crdt/changes.hpp"
#include "oplog/chunk.hpp"
#include "simulation/client_request.hpp"
#include "simulation/content_model.hpp"
#include "simulation/coverage.hpp"
#include "simulation/disk.hpp"
#include "simulation/history.hpp"
#include "simulation/network.hpp"
#include "simulation/random.hpp"
#include "simulation/specification.hpp"
#include "simulation/violation.hpp"
#include "support/simulated_host.hpp"

namespace anabranch::simulation {

struct world_options {
    std::size_t events = 200;
    bool is_traced = false;  ///< to standard output, for people
    bool is_crowded = false;  ///< whatever chance says: see world::is_crowded_
    bool audits_rows = false;  ///< likewise
    bool holds_parts = false;
    /// RocksDB in folders below; empty: in memory.
    std::filesystem::path directory;
    /// Power losses become kills of the process: for traces that run on RocksDB, too.
    bool keeps_power = false;
    /// All replicas, as one process, die at that write or sync, counted over all of them.
    std::optional<std::uint64_t> dies_at;
    /// Called at that moment. Where it returns, the replicas are opened again from `survivors`.
    std::function<void()> on_death;
    std::filesystem::path survivors;
    /// Gets the writes and syncs during which requests were executed, by their numbers over all replicas.
    std::vector<std::uint64_t>* request_calls = nullptr;
    /// After every event: its number, and the hash of the trace so far.
    std::function<void(std::uint64_t, std::uint64_t)> after_event;
};

struct world_outcome {
    std::uint64_t trace = 0;  ///< equal iff the same happened
    std::uint64_t events = 0;
    std::uint64_t checks = 0;
    std::uint64_t disk_calls = 0;  ///< writes and syncs before it was healed
    coverage counts;
};

inline constexpr std::array<const char*, most_buckets> bucket_names = {"orders", "stock"};

/// run() throws a violation when something does not hold.
class world {
  public:
    world(std::uint64_t seed, world_options options);
    world(const world&) = delete;
    world& operator=(const world&) = delete;

    world_outcome run();

  private:
    enum class ending { kill, power_loss, clean };

    /// A state that somebody has begun to send.
    struct sent_state {
        cut of{};
        std::array<hash128, most_replicas> heads{};
        bool goes_on = false;  ///< where another one broke off
    };
    /// What the oracle knows of one bucket at one replica.
    struct share {
        bool is_wanted = false;
        bool is_founded = false;  ///< here, by this replica
        bool comes_late = false;  ///< no member from the beginning
        bool has_left = false;
        bool is_retired = false;  ///< its end has begun: what it does from then on need not count
        std::optional<bucket> handle;
        cut has{};       ///< by the last look
        cut may_have{};  ///< a call that died in the middle may have got that far
        cut durable{};   ///< survives whatever happens
        struct mark {
            std::size_t writes;  ///< of the disk, when `has` was reached
            cut has;
        };
        std::deque<mark> marks;  ///< of what may not be durable yet
        cut once_had{};          ///< some time ago; since then it has not died
        cut floor{};             ///< up to where its log has been cut
        cut before_relief{};     ///< what it had with what did not count; nothing where all did
        std::size_t seen_watermarks = 0;
        std::size_t seen_states = 0;
        std::size_t states_looked_at = 0;
        heirs who{};  ///< has whose rights, by the roster here
        std::vector<sent_state> sent_states;  ///< to it: those of all rows
        bool is_spoiled = false;  ///< its disk has changed rows of its own accord
        bool is_remembered = false;
        std::map<std::string, std::string> remembered_rows;  ///< what its disk once held
        std::size_t seen_audits = 0;
        // Of requests, by their numbers
        fixed_requests fixed;       ///< and forgotten here
        std::set<std::size_t> late;  ///< refused here as too old
        /// The execution that counts here, and those that did.
        std::map<std::size_t, std::pair<birth_dot, std::set<birth_dot>>> counted;
    };
    struct held_snapshot {
        std::size_t bucket;
        cut of;
        heirs who;
        fixed_requests fixed;
        snapshot view;
    };
    /// Reads a change feed, now and then.
    struct consumer {
        std::size_t bucket = 0;
        int below = 0;  ///< a node: what it watches
        cut place{};    ///< it has been told of all of this, and perhaps of more that has nothing to do with what it watches
        std::optional<feed> open;
        std::string token;
        cut token_place{};
    };
    struct client {
        std::string token;
        cut seen{};
    };
    /// Of what a replica had on its disk.
    struct disk_copy {
        std::shared_ptr<test::simulated_disk> holds;
        std::array<cut, most_buckets> has{};
        std::array<cut, most_buckets> floor{};
        timestamp accepted;
        bool is_backup = false;
        std::size_t openings = 0;  ///< of its store before
    };
    struct replica {
        explicit replica(random_source chance) : entropy(chance) {}

        std::size_t index = 0;
        bool is_absent = false;  ///< not yet made of a copy, or gone for good
        std::size_t openings = 0;
        std::shared_ptr<test::simulated_host> host;  ///< nullptr: it does not look whether its data are a copy
        std::optional<disk_copy> copy;  ///< the latest
        std::unique_ptr<disk> storage;
        random_source entropy;
        std::size_t draws = 0;
        std::int64_t skew = 0;
        std::int64_t latest = 0;  ///< that its clock has ever shown
        store_options options;
        timestamp accepted;
        std::optional<store> open;
        std::optional<replica_id> id;
        std::array<share, most_buckets> shares;
        std::vector<held_snapshot> snapshots;
        std::vector<consumer> consumers;
        /// A commit of which nobody knows whether it happened: the process died in it.
        std::optional<std::pair<std::size_t, transaction_record>> unconfirmed;
        std::optional<std::uint64_t> dies_in;  ///< writes and syncs
        bool dies_after = false;
        bool strays = false;  ///< meets the others hardly ever, for most of the history
        bool is_old = false;  ///< a build that does not know what has to do with later_leaves_
    };

    /// Beside the replicas, with sessions of its own.
    struct part_reader {
        explicit part_reader(random_source chance) : entropy(chance) {}

        std::unique_ptr<disk> storage;
        random_source entropy;
        store_options options;
        std::size_t bucket = 0;
        std::vector<std::vector<field>> wanted;
        std::vector<std::vector<field>> held;  ///< by the last look
        cut has{};
        std::optional<store> open;
        std::optional<anabranch::bucket> handle;
        std::optional<std::size_t> source;  ///< a replica
        std::array<std::optional<session>, 2> machines;  ///< the source's, and its own
        std::array<std::string, 2> wires;                ///< what they have sent
    };

    // world.cpp: setting up and running
    void set_up();
    replica& add_replica(std::optional<std::size_t> like = {});
    void step();
    void settle();
    void found_buckets();
    bool are_open(const link& l) const { return replicas_[l.ends[0]]->open && replicas_[l.ends[1]]->open; }
    bool is_down(const replica& r) const { return !r.open && !r.is_absent; }
    std::int64_t wall(const replica& r) const { return start_of_time + now_ + r.skew; }
    timestamp horizon(const replica& r) const;
    fate fate_of(replica& r);
    void trace(const char* what, std::initializer_list<std::pair<const char*, std::uint64_t>> details = {});

    // events.cpp: what can happen; false: it cannot happen now
    bool commit_somewhere();
    bool deliver_something();
    bool bring_late();
    bool bring(replica& from, replica& to, std::size_t b);
    bool sync_somewhere();
    bool poll_somewhere();
    bool finish_write();
    bool is_astray(const link& l) const;
    bool connect_somewhere();
    bool cut_or_heal_link();
    bool break_connection();
    bool end_some_process();
    bool restart_somewhere();
    bool change_clock();
    bool fill_or_empty_disk();
    bool arm_death();
    bool take_snapshot();
    bool check_snapshot();
    bool check_something_whole();
    bool compare_digests();
    bool create_bucket();
    bool retire_someone();
    bool leave_somewhere();
    bool change_authority();
    bool accept_future();
    bool let_time_pass();
    bool run_some_rounds();

    // consumers.cpp: who reads along
    bool open_feed();
    bool open_feed(replica& r, std::size_t b);
    bool pull_feed();
    bool pull_feed(replica& r, consumer& c);
    void catch_up_feeds(unsigned percent);
    bool visit();
    std::vector<field> fields_to(int at) const;
    cut durable_cut(const replica& r, std::size_t b) const;
    bool must_tell(const consumer& c, const transaction_record& t, std::size_t leaf) const;
    bool is_undisturbed(std::size_t b, const transaction_record& t, std::size_t leaf, const cut& of) const;
    void skip_to(consumer& c, const cut& end);
    void check_step(const replica& r, consumer& c, const feed_step& step);

    // supersession_checks.cpp: what readers are told of executions that do not count
    using execution_list = std::vector<const transaction_record*>;
    bool is_judged(std::size_t b) const;
    bool is_about(const consumer& c, const transaction_record& t) const;
    const transaction_record* transaction_of(std::size_t b, const transaction_id& id) const;
    void check_told(const replica& r, consumer& c, const feed_step& step, const execution_list& in_step, const cut& end,
                    const std::set<std::size_t>& told);
    void note_revealed(const replica& r, consumer& c, const feed_step& step, const execution_list& in_step);
    void check_executions(const replica& r, const consumer& c, const feed_step& step, const execution_list& in_step, const cut& end);
    void check_unconfirmed(const replica& r, const consumer& c, const executed_request& told, std::size_t number, const cut& upto) const;
    void check_version(const consumer& c, const request_version& told, const transaction_record& t) const;
    void check_supersession(const consumer& c, const superseded_request& told, const supersession& expected) const;
    void check_told_values(const replica& r, const consumer& c, const cut& end, const std::set<std::size_t>& told, const feed_step& step);
    std::uint64_t changed_by(const consumer& c, const transaction_record& t) const;
    std::vector<execution_list> rivals(std::size_t b, const share& s) const;
    void check_rivals(const replica& r, std::size_t b, const cut& floor) const;
    void check_superseded(const replica& r, std::size_t b);

    // workload.cpp: transactions
    operation draw_operation(random_source& draw);
    void apply(const transaction& tx, const operation& op);
    void apply(replica& r, std::size_t b, const transaction& tx, operation op, transaction_record& record,
               const std::vector<std::size_t>& members);
    void change_rights(replica& r, std::size_t b, const transaction& tx, operation op, transaction_record& record);
    std::vector<std::size_t> joined_members(const share& s) const;
    bool is_hindered(const replica& r, std::size_t b, errc code, bool was_member);
    void trace_operations(const transaction_record& t) const;
    void note_committed(replica& r, std::size_t b, transaction_record record, bool is_on_disk);
    void commit(replica& r, std::size_t b);

    // requests.cpp: requests of clients, and what they get for an answer
    void set_up_requests();
    void listen_to_requests();
    std::size_t ask(std::size_t bucket);
    bool make_request();
    bool overtake();
    bool deliver_request();
    result<std::string> run_program(replica& r, const client_request& q, transaction& tx, transaction_record& record,
                                    const std::vector<std::size_t>& members);
    void execute(replica& r, std::size_t number, const request_copy& copy);
    void bring_in_vain(replica& r, std::size_t number, const request_copy& copy);
    bool is_late(const replica& r, const client_request& q) const;
    bool has_inherited_fence(const replica& r, const client_request& q) const;
    void judge_refusal(replica& r, std::size_t number, errc code, bool is_known, bool is_altered);

    // request_checks.cpp: what becomes of them
    std::vector<std::size_t> remembered(const replica& r, std::size_t b) const;
    std::uint64_t touched_by_request(std::size_t b, const transaction_record& t) const;
    void note_fixed(replica& r, std::size_t b);
    void check_fixed(const replica& r, std::size_t number) const;
    void check_receipt(const receipt& found, std::size_t number, const cut& of) const;
    void check_request(replica& r, std::size_t number);
    void check_unconfirmed(const replica& r, std::size_t b);
    void check_outcomes(std::size_t b);
    bool is_whole(std::size_t b) const;
    void check_forgetting(bool is_generous, std::size_t most_rounds);

    // copies.cpp: backups, cloned disks, and what is made of them
    void happen_to_disks();
    void copy_disk(replica& r);
    void go_on_from_copy(replica& r);
    void move_links(const replica& from, const replica& to, bool stays);
    void check_identity(const replica& r) const;

    // returns.cpp: who was retired, and comes back
    bool is_relieved(const replica& r, std::size_t b, const cut& before, const cut& now) const;
    void note_orphans(replica& r, std::size_t b, const cut& now);
    bool has_lost_orphans(const replica& r, std::size_t b, std::uint64_t own) const;
    void check_orphan(const orphaned_transaction& told, const transaction_record& t) const;
    void go_on_as_another(replica& r);
    void let_come_back();
    void meet_again(bool is_generous, std::size_t most_rounds);
    void check_returns();

    // parts.cpp: readers of a part of a bucket
    void set_up_parts();
    void draw_part(part_reader& p);
    void happen_to_parts();
    void happen_to_some_part();
    void start(part_reader& p);
    void end(part_reader& p, bool loses_power);
    void connect(part_reader& p, const replica& r);
    bool exchange(part_reader& p);
    bool is_possible(const error& why) const;
    void drop_part_readers(const replica& r);
    void observe(part_reader& p);
    void check_parts();

    // audits.cpp: rows that replicas compare
    std::chrono::milliseconds draw_audit_interval();
    void audit_now_and_then();
    void check_no_findings();
    std::vector<std::size_t> auditors(std::size_t b) const;
    std::set<std::string> spoil(replica& r, std::size_t b, bool gently);
    void check_repairs(bool is_generous, std::size_t most_rounds);

    // processes.cpp: replicas that end and begin
    void start(replica& r);
    result<store> open_store(replica& r, std::unique_ptr<storage::engine> engine);
    void end(replica& r, ending how);
    void recovered(replica& r);
    void lose_power(replica& r);
    void note_replay(const storage::engine& engine, const replica& r);
    void set_up_builds();
    void upgrade(replica& r);
    std::uint64_t hidden_leaves(const replica& r) const { return r.is_old && !has_later_records_ ? later_leaves_ : 0; }
    bool is_hidden(const replica& r, std::size_t leaf) const { return (hidden_leaves(r) >> leaf & 1) != 0; }
    /// What it shows of the others, which requests have to do with, is neither without them nor with them.
    bool lacks_requests(const replica& r) const { return r.is_old && has_later_records_; }
    bool is_shown_whole(const replica& r, std::size_t leaf) const { return !lacks_requests(r) || (later_leaves_ >> leaf & 1) == 0; }
    void check_adverts(const replica& r, std::size_t b);
    bool may_change(const replica& r, const operation& op, bool in_request) const;

    // wires.cpp: sessions and bytes
    void connect(std::size_t over, bool is_generous);
    void transmit(connection& c, std::size_t side);
    void draw_metering(session_options& options);
    void begin_metering(connection& c, std::size_t side);
    void check_meters(endpoint& e, const sync::message& m);
    void inspect(connection& c, std::size_t side, std::string_view bytes);
    void observe_arrival(replica& r, const replica& source);
    void deliver(connection& c, std::size_t from, std::size_t bytes);
    void poll(connection& c, std::size_t side);
    void break_up(connection& c, bool some_arrives);
    bool has_what_does_not_count(std::size_t who, std::size_t b, const crdt::roster& roster) const;
    bool is_outsider(const connection& c) const;
    bool is_from_disk(errc code) const;
    oplog::portion draw_portion();
    bool judge_failure(connection& c, std::size_t side);
    void sync(replica& r);
    void wake(const replica& r);

    // oracle.cpp: looks
    cut read_progress(const replica& r, std::size_t b);
    struct logged_record {
        timestamp at;
        hash128 head{};  ///< zero where it is cut already
        bool is_execution = false;
    };
    std::size_t index_of(const replica_id& id) const;
    bool is_anybody_retired() const;
    bool has_anybody_left() const;
    logged_record logged(const replica& r, std::size_t b, std::uint64_t sequence) const;
    std::optional<crdt::changes> logged_changes(const replica& r, std::size_t b, std::uint64_t sequence) const;
    std::vector<operation> moved_rights(const replica& r, std::size_t b, std::uint64_t sequence);
    void note_duties(replica& r, std::size_t b, std::uint64_t upto);
    heirs read_heirs(const replica& r, std::size_t b) const;
    void observe(replica& r, std::size_t b, cut allowed);
    void observe(replica& r);
    void check_durable(replica& r, std::size_t b);
    void check_values(replica& r, std::size_t b, std::uint64_t leaves);
    field_value read_leaf(const map_view& root, std::size_t leaf, const field_value& expected) const;
    void check_leaf(const map_view& root, std::size_t b, std::size_t leaf, const field_value& expected,
                    std::size_t reader, const char* where);
    void check_scans(const map_view& root, std::size_t b, const cut& of, const replica& reader,
                     const transaction_record* pending = nullptr);
    void check_bounds(std::size_t b);
    void check_contenders(const map_view& root, std::size_t b, std::size_t leaf, const cut& of);
    void check_whole(replica& r);
    void check_snapshot(const held_snapshot& s, std::size_t reader);
    void check_digest(replica& r, std::size_t b);
    std::uint64_t all_leaves() const { return ~std::uint64_t{0} >> (64 - fields_.leaves.size()); }

    // arriving.cpp: states that are on their way
    void note_state(std::size_t b, replica& to, const sync::state_piece& m);
    bool is_history(std::size_t b, const sent_state& s) const;
    void check_arriving(replica& r, std::size_t b);
    void check_arriving_fields(const map_view& root, std::size_t b, const cut& of);

    // cuts.cpp: the log's beginning
    cut to_cut(const std::map<replica_id, std::uint64_t>& known) const;
    cut read_floor(const replica& r, std::size_t b) const;
    void check_cut(const replica& r, std::size_t b, const cut& before, const cut& floor);
    void note_floor(replica& r, std::size_t b);
    void note_cut(replica& r, std::size_t b);
    void check_all_cut(const replica& r, std::size_t b);
    void check_duty(const replica& r, std::size_t b, std::uint64_t sequence);

    // healing.cpp: the end of every history
    void heal();
    void start_all();
    void connect_all(bool is_generous);
    void settle_clocks();
    bool run_round(std::optional<std::size_t> mute = {});
    bool wait_for_budgets();
    void break_walks(std::size_t times, bool is_generous, std::size_t most_rounds);
    std::size_t run_to_rest(std::size_t most_rounds);
    void check_convergence();
    std::vector<std::vector<std::size_t>> holders(std::size_t b) const;
    cut expected_of(const std::vector<std::size_t>& group, std::size_t b) const;

    static constexpr std::int64_t start_of_time = 1'700'000'000'000;

    const world_options options_;
    random_source chance_;
    random_source upgrades_;  // of its own: which builds there are disturbs nothing else
    random_source metering_;
    random_source audits_;    // likewise
    const bool audits_rows_;
    random_source parts_;
    const bool holds_parts_;
    coverage counts_;
    /// Requests of the same few fields overtake each other and are forgotten soon: some cannot change any more while others may.
    const bool is_crowded_;
    /// Disks are copied, and stores go on from what is older or exists twice. Each replica has a place behind its own for a copy.
    const bool copies_disks_;
    schema fields_;
    std::vector<std::unique_ptr<replica>> replicas_;
    std::vector<link> links_;
    std::list<connection> connections_;
    std::vector<std::unique_ptr<part_reader>> part_readers_;
    std::array<history, most_buckets> histories_;
    std::array<std::vector<std::pair<std::string, hash128>>, most_buckets>
        digests_;  // live state and its digest
    std::array<std::array<client, 3>, most_buckets> clients_;
    std::vector<client_request> requests_;  // by number
    std::array<std::int64_t, 3> requesters_{};  // by how much their clocks are ahead
    std::chrono::milliseconds request_window_{0};  // 0: nobody makes any
    std::size_t buckets_ = 1;
    std::size_t set_up_ = 0;  ///< replicas with which it began, and places for their copies
    std::size_t largest_transaction_ = 3;
    bool uses_generous_sessions_ = false;
    bool has_wild_clocks_ = false;
    bool cuts_logs_ = false;
    bool limits_logs_ = false;  ///< who is away for long is not waited for
    bool is_healing_ = false;
    bool folds_most_ = false;
    bool is_calm_ = false;  ///< little goes wrong, and all hear of everything soon
    bool retires_often_ = false;
    bool is_metered_ = false;  ///< sessions have budgets and priorities
    std::chrono::milliseconds adverts_{0};
    std::uint64_t later_leaves_ = 0;  ///< of a kind that some of the replicas do not know at first
    bool has_later_records_ = false;  ///< but it is requests that they do not know, and later_leaves_ are all that those change
    std::array<std::uint64_t, most_buckets> authority_terms_{1, 1};
    /// Who finished whose retirement: in which of its transactions, and that one's chain head.
    std::array<std::map<replica_id, std::tuple<std::size_t, std::uint64_t, hash128>>, most_buckets> retired_by_;
    std::array<std::optional<std::size_t>, most_buckets> founders_;
    std::int64_t now_ = 0;
    std::uint64_t values_ = 0;
    std::uint64_t disk_calls_ = 0;
    bool is_process_dead_ = false;
    bool storage_has_failed_ = false;
    std::uint64_t checks_ = 0;
    std::uint64_t event_ = 0;
    std::uint64_t trace_ = 0;
};

}  // namespace anabranch::simulation
