// The store: one replica of any number of buckets, on RocksDB or in memory.
#pragma once

#include <anabranch/audit.hpp>
#include <anabranch/environment.hpp>
#include <anabranch/feed.hpp>
#include <anabranch/ids.hpp>
#include <anabranch/request.hpp>
#include <anabranch/result.hpp>
#include <anabranch/session_token.hpp>
#include <anabranch/transaction.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace anabranch {

namespace storage {
class engine;
class host_files;
}  // namespace storage
namespace detail {
class bucket_state;
class store_state;
class snapshot_access;
class arriving_access;
}  // namespace detail

/// What a commit waits for. Either way nothing is sent to a peer before it is on disk.
enum class durability {
    os,    ///< handed to the operating system: survives the death of the process
    disk,  ///< on disk: survives the loss of power. Commits of several threads share one sync.
};

/// How a replica takes part in a bucket.
enum class participation : std::uint8_t {
    member = 1,  ///< reads and writes; asks the first member that it meets to be let in
    reader = 2,  ///< reads only: nobody keeps anything for it
};

enum class member_stage : std::uint8_t {
    joined = 1,
    retiring = 2,  ///< the others have begun to do without it
    left = 3,
    retired = 4,
};

/// A member of a bucket, as this replica knows it. A member that lags keeps every other from cutting its log and from
/// forgetting removals: retire one that is not coming back.
struct member_status {
    replica_id id;
    member_stage stage = member_stage::joined;
    bool is_self = false;
    bool is_authority = false;
    /// So far behind that the others cut their logs without waiting for it (store_options::log_limit_bytes).
    bool is_laggard = false;
    /// Transactions that are here and of which the member has not been heard to have them on disk.
    std::uint64_t lag = 0;
    /// Since when the first of them has been waiting; zero where there is none.
    std::chrono::milliseconds age{0};
};

/// A transaction that was here and does not count: its replica was retired before any member heard of it, and has come back. What is
/// to become of it is the service's to decide.
struct orphaned_transaction {
    transaction_id transaction;
    timestamp at;
    /// Where it was the execution of a request: bucket::resubmit() can do it once more, and only once.
    std::optional<executed_request> request;
    /// What it did, as of a request_version. A counter that others have reset, and that its writer went on with, may show more than
    /// was added.
    std::vector<version_change> changes;

    bool operator==(const orphaned_transaction&) const = default;
};

/// Kinds that a store does not know, as the build of an earlier release does not: to try what the upgrade of a fleet does. As
/// bits, by their numbers in docs/rows.md and docs/oplog.md.
struct unknown_kinds {
    std::uint64_t rows = 0;
    std::uint64_t records = 0;  ///< but for plain ones, which every build knows
};

struct store_options {
    environment env = environment::system();
    /// A transaction of another replica whose timestamp is further ahead of this clock is held until
    /// the clock gets there or accept_until() is called. Raise it where clocks are known to be poor.
    std::chrono::milliseconds max_clock_drift{60'000};
    /// Bytes of changed rows that may wait in memory, per bucket, before they are written behind the log.
    /// Bounds what is replayed after a crash. Larger: fewer writes of hot rows.
    std::size_t write_behind_bytes = 8 * 1024 * 1024;
    /// Which rows have changed since when is remembered in steps of that many rows: a replica that has been away for longer than
    /// the log reaches gets up to so many more than have changed. Smaller: more is remembered.
    std::size_t journal_step = 256;
    /// Changed rows that are remembered at most, per bucket, some 12 bytes each: what changed first is forgotten first, and whoever has not
    /// been here since gets all rows.
    std::uint64_t journal_limit = 16'000'000;
    /// Bytes of log that stay, per bucket, though every member has what is in them: for readers, and for replicas that
    /// join later: who does not find what it lacks in the log gets all rows. 0: none.
    std::uint64_t log_retain_bytes = 16 * 1024 * 1024;
    /// Bytes of log, per bucket, that wait for members that lag; and how long they wait, 0 being for ever. Beyond either
    /// the bucket's authority names the laggards, and the log is cut without them. They get the state as a whole when
    /// they come back.
    std::uint64_t log_limit_bytes = 1024 * 1024 * 1024;
    std::chrono::milliseconds log_limit_age{0};
    /// Of bounded counters a replica asks the others for as many rights as its customers wanted in about this time, and
    /// gives away none that it needs for as long itself. 0: this one neither asks nor gives by itself.
    std::chrono::milliseconds rights_window{10'000};
    /// How long after it was issued a request is certainly remembered, and an execution of it that was late still counts as
    /// the same. Longer: more identities are kept (docs/requests.md).
    std::chrono::milliseconds request_window{30 * 60'000};
    /// A request whose issue time is further ahead of this clock is refused.
    std::chrono::milliseconds request_max_lead{60'000};
    /// Identities, per bucket, that may wait to be forgotten. Beyond it new requests are refused, rather than old ones
    /// forgotten too early.
    std::size_t request_capacity = 16'000'000;
    /// Where a small file is kept that is renewed along with the data each time the store is opened: outside of its
    /// directory, and so that it is neither copied nor restored with it. Data that it does not fit to are a copy (a cloned disk,
    /// an older state put back, another host), and go on as a new incarnation. Created where there is none. Empty: that is
    /// left to the first peer that knows more of this replica than it does itself (docs/backup.md).
    std::filesystem::path host_directory{};
    /// None, but in tests.
    unknown_kinds unknown{};
};

/// A consistent state of one bucket that stays as it is. Movable; reads from any one thread at a time.
/// Keeps its bucket's store alive. Holding one for long keeps superseded row versions on disk.
class snapshot : public map_view {
  public:
    explicit snapshot(std::unique_ptr<detail::snapshot_access> access);
    snapshot(snapshot&&) noexcept;
    snapshot& operator=(snapshot&&) noexcept;
    ~snapshot();

  private:
    std::unique_ptr<detail::snapshot_access> access_;
};

/// What has come so far of a bucket's state that is on its way as a whole (docs/reconciliation.md): **not causal**, no state that the
/// bucket was ever in. What has come stays as it is here; the rest is missing, and so is all that was written here and has not got to the
/// peer that sends it. Where the transfer broke off and goes on, what is read may be of before and after, and none of it is certain
/// to enter: another peer's state may take its place. What has not come yet is errc::not_held to read, to scan (once a scan gets there)
/// and to list, never shown as absent. bounded_counter_view::available() is no promise: what may be spent is what the bucket shows.
/// Movable; reads from any one thread at a time. Keeps its bucket's store alive. Holding one for long keeps superseded row versions on disk.
class incomplete_snapshot : public map_view {
  public:
    explicit incomplete_snapshot(std::unique_ptr<detail::arriving_access> access);
    incomplete_snapshot(incomplete_snapshot&&) noexcept;
    incomplete_snapshot& operator=(incomplete_snapshot&&) noexcept;
    ~incomplete_snapshot();

    /// All has come at that path and below: so what does not show there does not exist. Of the whole bucket, and of what comes last in
    /// it, that is not known before the state has entered.
    bool has(const std::vector<field>& path) const;
    /// That have come.
    std::uint64_t rows() const;
    /// About how many were still to come, as the peer has it; nothing where the transfer had broken off.
    std::optional<std::uint64_t> rows_to_come() const;

  private:
    std::unique_ptr<detail::arriving_access> access_;
};

/// The unit of replication, causality and atomicity: a map, replicated under its name. A cheap handle;
/// all of it may be used from several threads at once.
class bucket {
  public:
    explicit bucket(std::shared_ptr<detail::bucket_state> state) : state_(std::move(state)) {}

    const std::string& name() const;

    // Membership. docs/membership.md explains it. These write a transaction of their own to the log.
    /// Who takes part, whoever has left included; sorted by id.
    std::vector<member_status> members() const;
    /// This replica may write here.
    bool is_member() const;
    /// The one member that may retire others; the bucket's creator at first.
    std::optional<replica_id> authority() const;
    /// Gives up writing here, for good. errc::not_a_member.
    result<void> leave();
    /// Begins to retire a member that is not coming back: once every other member has said what it has of it, it no longer
    /// counts. What it wrote and nobody has then is not accepted any more; should it come back it keeps that aside, see orphans().
    /// errc::not_the_authority, not_a_member.
    result<void> retire(const replica_id& who);
    /// Makes this member the authority: for when the last one is dead. The operator sees to it that two members do
    /// not take it at the same time. A new incarnation of a member takes that one's place with it, without being let in: for
    /// when all members were lost and this one was restored (docs/backup.md). errc::not_a_member.
    result<void> take_authority();

    // What does not count (docs/membership.md, "Coming back").
    /// Transactions of replicas that were retired, which were here and have been set aside as a member's state replaced them: by
    /// replica, in their order; at most so many. Those that only concerned members or rights are not kept.
    result<std::vector<orphaned_transaction>> orphans(std::size_t most = 1000) const;
    /// Executes an orphaned request again, with what it did then, and answers as commit() does; then the orphan goes. Where the request
    /// counts already, from wherever, that is the answer, and nothing is done twice. The orphan stays where it fails:
    /// errc::request_too_old: others may have forgotten it. errc::insufficient_rights: it spent what may not be spent here.
    /// errc::invalid_argument: no orphan, or no request. errc::not_a_member, and others as with commit().
    result<receipt> resubmit(const transaction_id& orphan, durability wait_for = durability::os);
    /// It has been looked after. errc::invalid_argument: no orphan.
    result<void> dismiss(const transaction_id& orphan);

    /// Runs `fn(transaction&)` and commits what it did as one atomic transaction. `fn` returns nothing, a
    /// value, or a result; an error from it, or from any of its writes, commits nothing. Transactions of
    /// a bucket are serialisable: one runs at a time, so keep closures short and do no IO in them.
    /// A transaction without changes leaves no trace.
    template <class Function>
    auto commit(Function&& fn, durability wait_for = durability::os) {
        using returned = std::invoke_result_t<Function, transaction&>;
        using outcome = typename as_result<returned>::type;
        outcome value = fail(errc::closed, "the transaction did not run");
        result<void> committed = commit_erased(
            [&](transaction& tx) -> result<void> {
                value = invoke<outcome>(fn, tx);
                if (!value) return fail(value.error());
                return {};
            },
            wait_for);
        if (!committed) value = fail(std::move(committed.error()));
        return value;
    }

    // Requests of clients (request.hpp, docs/requests.md).
    /// The same for a client's request, which counts once, wherever else the mesh runs it. `fn(transaction&)` returns what is
    /// to be answered, as result<std::string>: it is stored, and whoever brings the request again gets it without `fn` being
    /// run (receipt::is_repeat). transaction::refuse() makes it a refusal. An error from `fn` commits and remembers nothing.
    /// errc::request_too_old, request_from_future, request_conflict, too_many_requests; invalid_argument without a key;
    /// limit_exceeded where the answer is longer than limits::request_result.
    result<receipt> commit(const request& identity, const std::function<result<std::string>(transaction&)>& fn,
                           durability wait_for = durability::os);
    /// What became of a request; nothing where it is not known here, or has been forgotten.
    result<std::optional<receipt>> find(const request& identity) const;
    /// Executions that count and that no primary copy has confirmed; oldest first, at most so many.
    result<std::vector<unconfirmed_request>> unconfirmed(std::size_t most = 1000) const;
    /// Executions that do not count and did or answered something else than the one that does, of which the log still tells:
    /// those of forgotten requests, too. Of the requests that were issued first, at most so many.
    result<std::vector<superseded_request>> superseded(std::size_t most = 1000) const;

    /// Runs `fn(const map_view&)` on the latest state, which does not change meanwhile. Cheaper than a
    /// snapshot for a few reads; keeps writers of this bucket waiting.
    template <class Function>
    auto read(Function&& fn) const {
        using returned = std::invoke_result_t<Function, const map_view&>;
        using outcome = typename as_result<returned>::type;
        outcome value = fail(errc::closed, "the read did not run");
        result<void> done = read_erased([&](const map_view& view) { value = invoke<outcome>(fn, view); });
        if (!done) value = fail(std::move(done.error()));
        return value;
    }

    result<anabranch::snapshot> snapshot() const;
    /// What has come of a peer's state, for a replica that is on its way to have the bucket: a newcomer, or one that has been away for
    /// too long. Everything else goes on showing what is here, until the state enters. Nothing where no state is on its way, or only the
    /// rows that have changed. Also while the transfer goes on, after it has broken off, and when the store has been opened again.
    result<std::optional<incomplete_snapshot>> arriving() const;

    /// What this replica has of the bucket, per origin.
    frontier progress() const;
    /// The part of progress() that is on disk: all that peers are ever told about.
    frontier durable_progress() const;

    // The change feed (feed.hpp).
    /// What happens below that path from now on. `wake` is called once there may be something to pull, and again only after
    /// a pull: from any thread that commits, applies or syncs, a thread in pull() among them, so it must be quick, must not
    /// throw, and must not call the store.
    result<feed> watch(const std::vector<field>& below = {}, std::function<void()> wake = {}) const;
    /// What has happened since a feed was there, whatever that one watched: pull first, `wake` is for what comes then.
    /// errc::invalid_token: not made by this replica and incarnation for this bucket, or it has seen what is here no more.
    /// errc::behind_cut as with feed::pull().
    result<feed> resume(std::string_view token, const std::vector<field>& below = {}, std::function<void()> wake = {}) const;

    // Session tokens (session_token.hpp). errc::not_a_member while this replica has not met the bucket.
    /// As text, for a header or a cookie; only replicas of this bucket can make one.
    result<std::string> seal(const session_token& token) const;
    /// errc::invalid_token: damaged, forged, or of another bucket.
    result<session_token> unseal(std::string_view text) const;
    /// How many transactions are not here yet that the session depends on; 0: it has caught up. errc::retired: some never
    /// will be, as the replica that made them was retired without them.
    result<std::uint64_t> missing(const session_token& token) const;
    /// Waits until nothing is missing, but not for longer than that; the same answer.
    result<std::uint64_t> wait_for(const session_token& token, std::chrono::milliseconds most) const;

    /// A fingerprint of what is at and below that path, equal on two replicas iff they hold the same there (up to 2^-64
    /// chance); independent of the order of arrival. Scans: O(rows). errc::not_held.
    result<hash128> digest(const std::vector<field>& below = {}) const;
    /// The paths below which this replica holds the bucket: the empty one alone where that is all of it (store::bucket_part()).
    std::vector<std::vector<field>> held() const;

    // Audits (audit.hpp): sessions compare the rows of this replica with their peers' once every session_options::audit. What differs
    // is listed; what more than half of all members have, and this replica has not, it takes from one of them.
    /// Asks every peer, those that are connected at once, for all rows below that path.
    void audit(const std::vector<field>& below = {}) const;
    /// The last audit with each peer.
    std::vector<audit_report> audits() const;
    /// What was found, repaired or not, by path; at most 1,000 rows. Survives the process; not certainly the loss of power.
    std::vector<audit_finding> audit_findings() const;
    /// Takes the row that `from` has, at the next session with it, wherever the two are known to differ: for where there is no
    /// majority, or it is wrong. What was done here to such a row since they had the same is done to it again.
    /// errc::invalid_argument: they are not known to differ anywhere.
    result<void> repair(const replica_id& from);
    /// Empties the list. What still differs is found again.
    void dismiss_findings();

    const std::shared_ptr<detail::bucket_state>& state() const { return state_; }

  private:
    template <class T>
    struct as_result {
        using type = result<T>;
    };
    template <class T>
    struct as_result<result<T>> {
        using type = result<T>;
    };
    template <class Outcome, class Function, class Argument>
    static Outcome invoke(Function& fn, Argument& argument) {
        if constexpr (std::is_void_v<std::invoke_result_t<Function&, Argument&>>) {
            fn(argument);
            return {};
        } else {
            return fn(argument);
        }
    }
    result<void> commit_erased(const std::function<result<void>(transaction&)>& fn, durability wait_for);
    result<void> read_erased(const std::function<void(const map_view&)>& fn) const;

    std::shared_ptr<detail::bucket_state> state_;
};

/// One replica. A cheap handle, copied freely; the last one closes the store. Thread-safe.
class store {
  public:
    /// Opens the directory, creating it where there is none. errc::locked, foreign_directory,
    /// newer_format, corrupt, storage_failure say what stands in the way.
    static result<store> open(const std::filesystem::path& directory, store_options options = {});
    /// Keeps everything in memory, for tests and caches. Otherwise the same.
    static result<store> in_memory(store_options options = {});
    /// On a storage engine of one's own; `host` is what open() makes of store_options::host_directory.
    static result<store> on(std::unique_ptr<storage::engine> engine, store_options options = {});
    static result<store> on(std::unique_ptr<storage::engine> engine, std::unique_ptr<storage::host_files> host, store_options options);
    /// Makes a store's directory out of a backup, which stays as it is. The store goes on as a new incarnation from the first
    /// time that it is opened: a new replica, to be let in by a member like any other (docs/backup.md).
    /// errc::foreign_directory: `backup` is none, or was not finished. errc::newer_format: of a newer version.
    /// errc::invalid_argument: `directory` holds something already. errc::storage_full, corrupt, storage_failure: it could not be
    /// copied; `directory` is empty then. A crash leaves a directory that is not taken for a store.
    static result<void> restore(const std::filesystem::path& backup, const std::filesystem::path& directory);

    /// Creates the bucket; this replica is its first member, and its authority. Where it is here already, and not
    /// without a founder, it is opened. Replicas that each create one of the same name have two different buckets
    /// (errc::foreign_bucket when they meet): create it at one and open it at the others.
    result<anabranch::bucket> create_bucket(std::string_view name);
    /// The bucket of that name. One that is not here yet begins empty; it fills, and becomes writable, when this replica
    /// meets a member of it. Until then commits are errc::not_a_member.
    result<anabranch::bucket> bucket(std::string_view name, participation as = participation::member);
    /// A bucket of which this replica reads what is at and below these paths, and holds nothing else (docs/partial-replication.md): what it shows there
    /// is what the bucket showed at one moment, a later one each time; nothing can be read of it before the first has come whole, but by arriving(). Reads of anything else
    /// are errc::not_held, as are commits, requests and their outcomes; a feed only tells that something may have changed, by errc::behind_cut. It
    /// asks members and readers of the whole bucket, no other holders of parts. Other paths than before: what is held stays until all of
    /// them has come anew; bucket() asks for all of it. errc::invalid_argument: all of it is here already; no path, the empty one, or one that
    /// there cannot be. errc::limit_exceeded: more than limits::part_paths or part_bytes.
    result<anabranch::bucket> bucket_part(std::string_view name, const std::vector<std::vector<field>>& below);
    /// Names of the buckets here, sorted.
    std::vector<std::string> buckets() const;

    /// This replica, as others see it. The incarnation may rise while it runs.
    replica_id id() const;

    /// Waits until everything committed before the call is on disk.
    result<void> sync();

    /// Writes the store as it is at one moment during the call to a new directory, with everything committed before. Reads and
    /// commits go on. On the file system of the store tables are shared with it (hard links) and take no space until they are
    /// compacted; on another one they are copied. Backups wait for each other.
    /// errc::invalid_argument: `to` exists, or the store is not in a directory. errc::storage_full, storage_failure: nothing
    /// stays of it. A crash leaves what restore() refuses as unfinished.
    result<void> backup(const std::filesystem::path& to);

    /// Takes transactions with timestamps up to `at` (and max_clock_drift beyond) however far ahead of
    /// this clock they are: the operator's answer to held transactions. Persisted.
    result<void> accept_until(timestamp at);

    const std::shared_ptr<detail::store_state>& state() const { return state_; }

  private:
    explicit store(std::shared_ptr<detail::store_state> state) : state_(std::move(state)) {}
    std::shared_ptr<detail::store_state> state_;
};

}  // namespace anabranch
