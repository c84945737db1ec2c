// One bucket of a store: its log, its version vector and its rows.
#pragma once

#include <anabranch/store.hpp>
#include <atomic>
#include <boost/container/flat_map.hpp>
#include <map>
#include <shared_mutex>

#include "crdt/changes.hpp"
#include "crdt/foreign_input.hpp"
#include "oplog/chunk.hpp"
#include "store/access.hpp"
#include "store/arriving_access.hpp"
#include "store/audit.hpp"
#include "store/journal.hpp"
#include "store/log_extent.hpp"
#include "store/logged_fold.hpp"
#include "store/orphan.hpp"
#include "store/part.hpp"
#include "store/rebalancing.hpp"
#include "store/request_table.hpp"
#include "store/rival_table.hpp"
#include "store/row_table.hpp"
#include "store/snapshot_access.hpp"
#include "store/token.hpp"
#include "store/transaction_access.hpp"
#include "store/walk.hpp"
#include "store/watermark.hpp"

namespace anabranch::detail {

class store_state;

/// Thread-safe. One writer at a time, and readers beside each other; no lock is held over a sync to disk.
class bucket_state {
  public:
    bucket_state(store_state& store, store_keys::bucket_number number, std::string name, participation as);

    /// Finds the log's tails and applies what the rows lack. Called once, before anything else.
    result<void> recover();

    const std::string& name() const { return name_; }
    store_keys::bucket_number number() const { return number_; }
    participation participates() const { return participation_; }
    result<void> commit(const std::function<result<void>(transaction&)>& fn, durability wait_for);
    // Requests of clients: bucket_requests.cpp.
    result<receipt> commit(const request& r, const std::function<result<std::string>(transaction&)>& fn, durability wait_for);
    result<std::optional<receipt>> find(const request& r) const;
    result<std::vector<unconfirmed_request>> unconfirmed(std::size_t most) const;
    result<std::vector<superseded_request>> superseded(std::size_t most) const;
    // Of who was retired: bucket_orphans.cpp.
    result<std::vector<orphaned_transaction>> orphans(std::size_t most) const;
    result<void> dismiss(const transaction_id& id);
    result<receipt> resubmit(const transaction_id& id, durability wait_for);
    /// What does not count any more is in the rows: it can neither be written nor told until a member's state has replaced them.
    bool has_orphans() const { return has_orphans_; }
    /// Identities that are remembered.
    std::size_t requests() const;
    result<void> read(const std::function<void(const map_view&)>& fn) const;
    result<std::unique_ptr<snapshot_access>> take_snapshot() const;
    /// Of a state of all rows that is on its way; nullptr where there is none.
    result<std::unique_ptr<arriving_access>> take_arriving() const;
    frontier progress() const;
    /// The sequence of this replica's last transaction here.
    std::uint64_t committed() const;
    frontier durable_progress() const;
    /// Rises whenever durable_progress() changes.
    std::uint64_t durable_revision() const { return durable_revision_.load(); }
    result<hash128> digest(std::string_view below) const;
    /// Rises whenever something is written to the log.
    std::uint64_t revision() const { return revision_.load(); }
    /// When that transaction was committed; nothing where the log does not say so any more.
    std::optional<timestamp> time_of(const dot& transaction) const;
    store_state& store() const { return store_; }

    /// Applies what is new of the chunk, all or nothing, up to the first transaction beyond `horizon`. The
    /// chunk must be sound, and hold everything from here to its end in causal order.
    /// errc::malformed: there is a gap, or a record that cannot be read. errc::diverged: it does not
    /// continue the chains that are here. errc::retired: `source` brings what a retired replica wrote since.
    result<oplog::applied> apply(const oplog::chunk& chunk, timestamp horizon, const replica_id& source);
    /// Durable records above `after` and below `ceiling`, in an order in which they may be applied; folded where there are
    /// more of them than the portion says, or where they are here as a fold only.
    /// errc::behind_cut: the log does not reach back to `after`.
    result<oplog::chunk> read_log(const positions& after, timestamp ceiling, const oplog::portion& size) const;
    /// errc::diverged where a peer's chain has another head than ours at the same place.
    result<void> compare(const frontier& peer) const;

    /// For clean closing: afterwards nothing is left to replay.
    result<void> flush() const;

    // Members: bucket_members.cpp.
    /// The first member is whoever creates the bucket. Nothing where it is created already.
    result<void> found();
    /// Lets a replica in. What it writes then has seen all that is here.
    result<void> sponsor(const replica_id& joiner);
    result<void> leave();
    result<void> retire(const replica_id& who);
    result<void> take_authority();
    crdt::roster roster() const;
    std::vector<member_status> members() const;
    bool is_member() const;
    /// Records of kinds that this build does not know: it has them, and has not seen what they do.
    bool holds_unread_records() const;
    /// Wants to be a member, and is none yet.
    bool is_joining() const;
    void participate(participation as) { participation_ = as; }
    /// A member has told that it has all of this on disk.
    void learn(const replica_id& member, const positions& has);
    /// The last that is known of each member, this one included.
    std::map<replica_id, positions> adverts() const;
    std::uint64_t advert_revision() const { return advert_revision_.load(); }
    /// A peer is going to send folds; how much more often that has begun than one has arrived.
    void begin_fold() { unfinished_folds_.fetch_add(1); }
    std::uint64_t unfinished_folds() const { return unfinished_folds_.load(); }
    bool has_duties() const { return has_duties_.load() || is_fence_due(); }
    /// Cuts the log, lets go of what is stable, does this member's part in retiring another. What fails is tried
    /// again when there is more to do.
    void perform_duties();

    // For sync, what executions have in common is left out: bucket_twins.cpp.
    bool has_executions() const;
    result<std::vector<oplog::listed_execution>> list_executions(const positions& peer) const;
    result<void> abbreviate(oplog::chunk& chunk, const std::vector<oplog::listed_execution>& listed, const positions& peer) const;
    result<bool> expand(oplog::chunk& chunk) const;

    // The state, where the log does not reach: walk_source.cpp, bucket_walk.cpp, bucket_entering.cpp.
    positions floor() const;
    /// What lacks who has asked for that: walk_sink::request().
    result<std::unique_ptr<walk_source>> begin_walk(std::string_view request) const;
    /// `peer` is what the source is known to have. nullptr while another one is being taken.
    /// Brings the rows, too, that are to be taken `from` it: rows_to_take().
    result<std::unique_ptr<walk_sink>> receive_walk(const positions& peer, const replica_id& from = {});
    bool is_receiving_walk() const { return is_staging_; }
    /// Where one has entered in part because the disk was full: there may be room now.
    void go_on_entering();

    // Readers of a part: bucket_part.cpp.
    /// From now on that is to be held; nothing: all rows. errc::invalid_argument: they are here already.
    result<void> want(std::optional<part> below);
    /// What is held and what is wanted differ.
    bool is_filling() const;
    /// There is no log here, nothing can be written, and rows come by walks.
    bool is_partial() const { return is_partial_; }
    std::vector<std::vector<field>> held() const;
    /// All of that is on disk here, or does not count.
    bool has_durable(positions all) const;

    // Audits: bucket_audit.cpp, audit.cpp.
    /// Of what is due with that peer now; nullptr: nothing, or not now. `interval` as in session_options::audit.
    result<std::unique_ptr<auditor>> begin_audit(const replica_id& peer, std::chrono::milliseconds interval);
    std::unique_ptr<audit_respondent> answer_audit(const replica_id& peer);
    /// Everybody is to be asked, soon, for what is below that path.
    void audit(std::string below);
    std::vector<audit_finding> audit_findings() const;
    std::vector<audit_report> audits() const;
    result<void> repair(const replica_id& from);
    void dismiss_findings();
    /// Rows that this replica is to have from that one.
    std::vector<std::string> rows_to_take(const replica_id& from) const;

    // The change feed: bucket_feed.cpp. Places are sequences by origin, with the heads of their chains.
    using tails = boost::container::flat_map<origin, tail>;
    tails durable() const;
    /// Moves `place` on past what it returns.
    result<feed_batch> read_feed(tails& place, std::string_view below, std::size_t most_changes) const;
    result<std::string> feed_token(const tails& place) const;
    result<tails> feed_place(std::string_view token) const;

    // Session tokens: bucket_sessions.cpp.
    result<std::string> seal(const session_token& token) const;
    result<session_token> unseal(std::string_view text) const;
    result<std::uint64_t> missing(const session_token& token) const;
    result<std::uint64_t> wait_for(const session_token& token, std::chrono::milliseconds most) const;

    // For the store's sync to disk: capture() before it, publish() after.
    tails capture() const;
    void publish(tails durable);

  private:
    friend class walk_source;
    friend class walk_sink;
    friend class audit_view;
    friend class auditor;
    friend class audit_respondent;
    /// An execution, as its record says.
    struct loaded_execution {
        loaded_execution(const dot& me, timestamp committed, crdt::executed done) : id(me), at(committed), what(std::move(done)) {}

        dot id;
        timestamp at;
        crdt::executed what;

        crdt::contestant contestant() const { return {id, at, what.request.role, what.request.outcome, what.request.confirms}; }
    };
    using loaded_executions = std::vector<std::shared_ptr<const loaded_execution>>;
    /// What a logged record holds; in the bytes that it was read from.
    struct logged_record {
        oplog::record content;
        std::vector<origin> mentioned;

        bool is_execution() const { return content.kind == oplog::record_kind::execution && !content.is_unread; }
        /// nullptr where it cannot be decoded.
        std::shared_ptr<const loaded_execution> execution_at(const dot& id, const crdt::known_kinds& kinds) const {
            auto what = crdt::decode_execution(content.payload, content.common, {id, content.at}, mentioned, kinds);
            return what ? std::make_shared<const loaded_execution>(id, content.at, std::move(*what)) : nullptr;
        }
    };
    /// What of a chunk is new, ready to be written and joined.
    struct examined {
        /// One that has been looked at; it is the chunk's.
        struct record {
            dot id;
            logged_record what;
        };
        storage::batch log;
        std::vector<record> records;
        crdt::changes folded;
        std::uint64_t transactions = 0;
        std::optional<logged_fold> fold;
        std::vector<std::pair<origin, tail>> tails;
        std::optional<oplog::applied::held_record> held;
        bool is_own_past = false;  ///< it holds records of this very replica that are not here
    };
    /// One origin's way through a chunk.
    struct lane {
        origin writer;
        std::uint64_t next_sequence;
        tail last;  ///< what is here, and then what of the chunk comes on top
    };
    result<std::vector<lane>> lanes_of(const oplog::chunk& chunk);
    result<void> check_head(const oplog::chunk::range& range, const tail& here) const;
    // What is wrong with what a record does, or nullptr.
    result<const char*> find_wrong_row(std::string_view path, crdt::row_kind kind);
    result<const char*> find_wrong_change(const dot& me, std::string_view path, const crdt::delta& change, const version_vector& seen);
    result<const char*> find_wrong_unknown(const std::vector<crdt::unknown_change>& all);
    result<const char*> find_wrong_execution(const dot& me, const crdt::executed& what, const version_vector& seen);
    result<examined> examine(const oplog::chunk& chunk, timestamp horizon, const replica_id& source);
    result<examined> examine_fold(const oplog::chunk& chunk, timestamp horizon, const replica_id& source);
    class feed_reader;
    // The log, read: bucket_log.cpp. Under cut_mutex_.
    struct stretch;
    result<stretch> survey(const positions& after) const;
    result<oplog::chunk> read_folded(stretch found, timestamp ceiling, std::size_t max_bytes) const;
    result<std::optional<std::string>> logged_value(const dot& id) const;
    result<std::optional<std::string>> logged_common(const dot& id) const;
    result<std::optional<transaction_id>> find_twin(const transaction_id& id, std::string_view common, const positions& peer) const;
    result<std::optional<hash128>> head_at(origin writer, std::uint64_t sequence) const;
    result<logged_record> open_logged(const oplog::record_stream& at) const;
    result<crdt::changes> decode_logged(const oplog::chunk& fold) const;
    /// All that a logged fold does: what stands aside of it and is no execution is joined into it.
    struct fold_content {
        crdt::changes changes;
        loaded_executions executions;
        std::uint64_t unread = 0;  ///< kinds of records that stand aside of it and are not known
    };
    result<fold_content> open_fold(const oplog::chunk& fold) const;
    /// It is of an unknown kind, or does something to rows of one.
    bool holds_unknown(const dot& id, const logged_record& record) const;
    tl::unexpected<error> undecodable(const oplog::record_stream& at) const;
    result<oplog::chunk> load_fold(const logged_fold& f) const;
    result<void> find_folds();
    /// The logged fold that the transaction is in.
    const logged_fold* fold_with(const dot& d) const;
    /// It is in one, and not the end of its range: so the log has no head or time for it.
    bool is_inside_fold(const dot& d) const;
    std::optional<timestamp> logged_time(const dot& d) const;
    /// Also says what the record does to the roster.
    result<examined::record> examine_record(const transaction_id& id, origin writer, timestamp previous, std::string_view body,
                                            const version_vector& seen, const crdt::roster& known, crdt::roster& members);
    result<void> check_size(const crdt::roster& members) const;
    result<void> check_writer(const crdt::roster& members, const transaction_id& id, const replica_id& source) const;
    result<void> check_member() const;
    bool knows_requests() const { return (known_records_ & oplog::bit_of(oplog::record_kind::execution)) != 0; }
    result<bool> run(const std::function<result<void>(transaction&)>& fn);
    transaction_access::surroundings surroundings();
    result<void> log_transaction(const transaction_access& access, const tail& last, const dot& me, timestamp at);
    struct appended {
        tail end;
        std::size_t bytes = 0;
    };
    /// Logs a transaction of this replica; from then on it is committed. Its changes are still to be joined; then joined_own().
    result<appended> append(const tail& last, const dot& me, oplog::record record, const std::vector<origin>& mentioned);
    void joined_own(const appended& record);
    void logged(std::size_t bytes);
    void join_members(const crdt::roster& change);
    result<bool> write_own(const std::function<result<crdt::changes>(const dot& me)>& draw_up);
    result<void> change_roster(const std::function<result<crdt::roster>()>& draw_up);

    // Requests: bucket_requests.cpp.
    result<std::shared_ptr<const loaded_execution>> load_execution(const dot& id) const;
    result<loaded_executions> load_executions(const known_request& known) const;
    result<std::vector<std::string>> paths_of(const loaded_executions& all) const;
    result<crdt::row_group> group_on(std::string_view path, const loaded_executions& all) const;
    result<void> visit_groups(const std::vector<std::string>& paths, const loaded_executions& all,
                              const std::function<result<void>(const std::string&, const crdt::row_group&)>& visit) const;
    result<void> join_execution(std::shared_ptr<const loaded_execution> x);
    result<void> remove_again(const loaded_execution& x);
    result<void> recount_rows();
    result<void> recount_now();
    result<std::pair<receipt, std::shared_ptr<const loaded_execution>>> outcome_of(const known_request& known) const;
    static bool is_confirmed(const known_request& known);
    result<receipt> repeat(const request& r, const hash128& identity, const known_request& known);
    using program = std::function<result<std::string>(transaction_access& in, const transaction_id& id, timestamp at)>;
    result<receipt> answer(const request& r, const hash128& identity, const program& run);
    result<receipt> execute(const request& r, const hash128& identity, const program& run);
    result<void> log_execution(const dot& me, timestamp at, const tail& last, crdt::executed what);
    // What executions are to each other, as their records say: bucket_superseded.cpp. Of nothing but the log: under cut_mutex_,
    // and no other lock.
    result<loaded_executions> load_executions(const std::vector<dot>& ids) const;
    /// As in the group of all these: it confirms one of them, or none.
    static crdt::contestant contestant_in(const loaded_execution& x, const loaded_executions& all);
    static const loaded_execution& content_in(const crdt::contestant& c, const loaded_executions& all);
    /// Of one or more.
    crdt::contestant winner_of(const loaded_executions& all) const;
    /// Nothing where both did and answered the same. What they did below a path.
    std::optional<superseded_request> supersession(const crdt::contestant& loser, const crdt::contestant& winner, const loaded_executions& all,
                                                   std::string_view below) const;
    request_version version_of(const crdt::contestant& c, const loaded_executions& all, std::string_view below) const;
    static std::vector<version_change> changes_of(std::vector<crdt::deed> deeds, std::string_view below = {});
    /// It takes more to tell what they are to each other than any one of them.
    static bool are_rivals(const loaded_executions& all);
    result<void> check_time(const request& r) const;
    bool is_fence_due() const;
    std::uint64_t due_fence();
    void watch_fences();
    std::uint64_t fixed_before() const;
    std::uint64_t forgotten_before() const;
    result<void> forget_requests();
    result<bool> forget(const hash128& identity, std::uint64_t before);
    version_vector before_open(version_vector target) const;

    // The state: walk_source.cpp, bucket_walk.cpp, bucket_entering.cpp.
    /// What is on its way into the rows.
    struct entering {
        std::map<origin, tail> reflects;
        version_vector stable;
        std::uint64_t forgotten = 0;
        crdt::roster members;
        /// Before it: requests that were issued before this had been fixed here, but those.
        std::uint64_t had_forgotten = 0;
        std::vector<hash128> had_open;
        bool relieves = false;    ///< what is here and does not count goes, with all that the state does not have
        bool is_whole = false;    ///< all rows are new, and stand at the other place
        bool is_in_rows = false;  ///< only what follows from it is still to be done
        std::optional<part> only;  ///< these are all rows that it has

        template <class Archive>
        void serialize(Archive& archive) {
            archive(reflects, stable, forgotten, members, had_forgotten, had_open, relieves, is_whole, is_in_rows, only);
        }
    };
    /// What has come of a state; on disk beside it.
    struct staged_progress {
        std::uint64_t source = 0;
        std::uint64_t at = 0;  ///< of the source's journal
        std::string upto;      ///< all rows up to this path have come
        bool is_whole = false;
        version_vector reflects;
        std::uint64_t rows = 0;  ///< that have come, but those again that had changed
        std::optional<part> only;  ///< that is all which comes

        template <class Archive>
        void serialize(Archive& archive) {
            archive(source, at, upto, is_whole, reflects, rows, only);
        }
    };
    result<void> add_touched(const known_request& known, std::vector<std::string>& items, std::size_t& bytes) const;
    result<void> add_open_items(walk_request& request) const;
    bool is_durable(const walk_begin& state) const;
    result<void> erase_staged();
    result<void> find_staged();
    std::string staged_row(std::string_view path) const;
    void erase_rest(walk_sink& sink, storage::batch& batch) const;
    result<void> begin_staging(const walk_begin& begin, walk_sink& sink, timestamp horizon, const replica_id& source);
    result<void> stage(const walk_piece& piece, walk_sink& sink);
    result<void> stage_item(const walk_piece::item& item, walk_sink& sink, const crdt::foreign_input::numbers& number_of, storage::batch& batch);
    template <class Visit>
    result<void> visit_staged(store_keys::staged_kind kind, const Visit& visit) const;
    void stop_staging(bool is_void);
    tl::unexpected<error> wrong_state(const char* what) const;
    tl::unexpected<error> unknown_state() const;
    result<void> check_begin(const walk_begin& state, timestamp horizon, const replica_id& source) const;
    result<void> check_staged(const std::map<origin, tail>& reflects) const;
    result<void> check_settled(const std::map<origin, tail>& reflects, const positions& asked, const std::set<hash128>& touching) const;
    result<void> enter(const walk_sink& sink, timestamp horizon, const replica_id& source);
    result<std::optional<entering>> find_entering() const;
    result<void> finish_entering(entering next);
    result<void> move_staged(entering& next);
    result<void> move_rows(storage::batch& batch, const leftover_mark& mark);
    static void end_at(tails& all, const std::map<origin, tail>& ends);
    void end_logs(const std::map<origin, tail>& ends);
    result<void> begin_from_rows();
    result<void> forget_again(const entering& state);

    // What does not count any more: bucket_orphans.cpp.
    std::vector<replica_id> orphans_in(const crdt::roster& members) const;
    void look_for_orphans();
    tl::unexpected<error> orphaned() const;
    std::map<origin, tail> ends_of(const entering& next) const;
    result<void> set_aside(storage::batch& batch, const std::map<origin, tail>& ends) const;
    class orphanage;
    result<orphan> find_orphan(const transaction_id& id) const;
    result<void> forget_orphan(const transaction_id& id);
    result<void> forget_known_orphans() const;
    bool come_back();

    // Audits: bucket_audit.cpp, audit.cpp.
    struct ended_audit {
        replica_id with;
        const audit_scope& scope;
        const audit_view& view;
        bool is_complete = true;
        const std::map<std::string, std::pair<hash128, hash128>>& differing;  ///< by path: what is here, what is there
        const std::vector<audit_question::known_row>& told;
    };
    result<void> find_audits();
    void keep_audits() const;
    result<std::optional<audit_view>> view_for_audit() const;
    bool is_durable(const positions& all) const;
    std::vector<audit_question::known_row> known_rows(const audit_scope& scope, const audit_view& view,
                                                      const std::map<std::string, std::pair<hash128, hash128>>& differing) const;
    sightings known_of(const std::string& path) const;
    result<void> note_audit(const ended_audit& ended);
    void note_failed_audit(const replica_id& peer, const error& why);
    void note_taken(const std::vector<std::string>& paths);

    // Bounded counters: bucket_rights.cpp.
    result<origin> find_member(const replica_id& id);
    void note_demands(const transaction_access::demands_by_path& demands, bool is_committed);
    void heard_of(std::string_view path, const crdt::row& change, origin self);
    result<std::vector<crdt::row_change>> move_rights(const dot& me);

    result<token_seal> seal_of() const;
    tail tail_of(origin writer) const;
    void advance(const std::vector<std::pair<origin, tail>>& to);
    void advance(origin writer, const tail& to);
    frontier to_frontier(const tails& t) const;
    result<void> flush_locked() const;
    result<void> check_outside() const;
    result<void> check_usable() const;
    result<void> check_ready();
    result<void> restore(const watermark& mark);
    result<void> find_spent();
    result<void> find_tails();
    result<void> replay(const version_vector& from, const version_vector& counted);
    result<void> replay_records(const version_vector& upto, const version_vector& counted);
    result<void> replayed(const version_vector& covers, std::size_t bytes, const version_vector& counted);
    // Of what is logged into the rows.
    result<void> join_removals(const std::vector<crdt::prefix_removal>& removals, const version_vector& news);
    result<void> join_record(const dot& id, const logged_record& record);
    void note_unread(std::uint64_t rows, std::uint64_t records);
    /// Records of that kind were looked at when they were logged.
    bool has_judged(oplog::record_kind kind) const { return (unread_.unjudged_records & oplog::bit_of(kind)) == 0; }
    result<bool> is_refused(const loaded_execution& x, const version_vector& news);
    result<void> join_fold(const crdt::changes& changes, const version_vector& covers, const loaded_executions& asides, std::uint64_t unread);
    bool is_flush_due() const;
    void after_write();
    result<void> make_room();
    /// The replica's number; errc::limit_exceeded where it is one too many.
    result<origin> meet(const replica_id& id);
    /// Their numbers; nothing where one is unknown.
    std::optional<std::vector<origin>> find_mentioned(const std::vector<replica_id>& ids) const;
    version_vector to_vector(const tails& t) const;

    result<void> find_holding();
    void hold(holding what);
    result<void> check_whole() const;

    static std::uint64_t extent_step(const store_options& options);
    version_vector seen_on_disk() const;
    crdt::roster duties_of_a_member();
    const version_vector* too_long_ago() const;
    std::optional<timestamp> time_after(origin writer, std::uint64_t sequence) const;
    result<tail> tail_at(origin writer, std::uint64_t sequence) const;
    version_vector before_folds(const version_vector& target) const;
    result<version_vector> before_rivals(version_vector target, const version_vector& floor) const;
    result<void> cut_log();
    void erase_records(storage::batch& batch, origin writer, std::uint64_t from, std::uint64_t to) const;
    result<void> prune();

    store_state& store_;
    const store_keys::bucket_number number_;
    const std::string name_;
    const std::string watermark_key_;
    const std::string entering_key_;
    const std::string audit_key_;
    const std::string holding_key_;
    std::atomic<bool> is_staging_ = false;
    mutable change_journal journal_;  // mutable: flushing adds to it

    mutable std::shared_mutex mutex_;
    std::optional<staged_progress> staged_;
    std::optional<std::uint64_t> rows_announced_;  // about, by whose state is being taken
    mutable std::mutex holding_mutex_;  // with mutex_, for changes: either is enough to look
    holding holding_;
    std::shared_ptr<const part> held_;  // the same, for who reads; nullptr: all of it
    std::atomic<bool> is_partial_ = false;
    row_table rows_;
    version_vector have_;
    membership members_;
    crdt::succession heirs_;  // by the roster
    rebalancing rebalancing_;
    request_table requests_;
    rival_table rivals_;
    mutable crdt::open_requests open_;  // mutable: flushing reads it
    std::vector<dot> spent_;  // executions below the log's floor that have been forgotten: their records go
    bool is_recovering_ = false;
    /// How far the fence of each member is known to have been raised before all that it had done had reached everybody.
    struct known_fence {
        std::uint64_t certain = 0;
        std::uint64_t next = 0;
        std::uint64_t after = 0;  ///< certain once the member's transactions up to this one are stable
    };
    std::map<replica_id, known_fence> fences_;
    std::atomic<std::int64_t> next_fence_{INT64_MAX};  // when to look after it, in milliseconds
    std::uint64_t forgotten_ = 0;  // requests that were issued before this are fixed and forgotten, but those that are open
    leftover_mark prunable_;       // once all are that far there is something to prune
    // Rows and records of kinds that this build does not know. Nothing is let go of until one that does opens the store: then all
    // that has come since is joined into the rows again.
    unread_part unread_;
    std::atomic<bool> has_unread_ = false;  // the same, for who reads the log
    std::atomic<bool> has_orphans_ = false;
    crdt::known_kinds kinds_;
    const std::uint64_t known_records_;  // kinds, as bits
    log_extent extent_;
    mutable std::atomic<bool> has_settled_ = false;  // requests have been forgotten: what that did to rows is written as one
    mutable std::atomic<std::size_t> lag_bytes_ = 0;  // of records logged since the watermark was written
    // Rows are not what log and vector say, because the engine failed in the middle. The log has it all: opening again heals.
    std::optional<error> broken_;

    // Changed by who holds mutex_ exclusively. A lock of its own, so that nobody who asks for progress, a sync to disk above
    // all, waits for a closure.
    mutable std::mutex tails_mutex_;
    tails tails_;

    // Held shared while the log is read, so that what is read is not cut away. After mutex_.
    mutable std::shared_mutex cut_mutex_;
    tails floor_;
    std::vector<logged_fold> folds_;  // by number

    mutable std::mutex durable_mutex_;
    tails durable_;
    std::atomic<std::uint64_t> durable_revision_ = 0;
    std::atomic<std::uint64_t> revision_ = 0;

    mutable std::mutex audits_mutex_;  // after all others
    audit_book audits_;

    std::atomic<participation> participation_;
    std::atomic<bool> has_duties_ = false;
    std::atomic<std::uint64_t> unfinished_folds_ = 0;
    std::atomic<std::uint64_t> advert_revision_ = 1;
};

}  // namespace anabranch::detail
