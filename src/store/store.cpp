#include <anabranch/store.hpp>

#include <anabranch/limits.hpp>

#include "storage/memory/memory_engine.hpp"
#include "storage/rocksdb/host_directory.hpp"
#include "storage/rocksdb/rocksdb_engine.hpp"
#include "store/feed_state.hpp"
#include "store/store_state.hpp"

namespace anabranch {
namespace {

std::string path_to(const std::vector<field>& below) {
    std::string path;
    for (const auto& f : below) path = store_keys::path_below(path, f.name, static_cast<char>(f.type));
    return path;
}

result<feed> open_feed(const std::shared_ptr<detail::bucket_state>& bucket, const std::vector<field>& below, std::function<void()> wake,
                       std::optional<std::string_view> token) {
    auto state = std::make_unique<detail::feed_state>(bucket, path_to(below), std::move(wake));
    if (auto begun = token ? state->begin(*token) : state->begin(); !begun) return fail(begun.error());
    return feed(std::move(state));
}

}  // namespace

result<store> store::open(const std::filesystem::path& directory, store_options options) {
    auto engine = storage::open_rocksdb(directory);
    if (!engine) return fail(engine.error());
    std::unique_ptr<storage::host_files> host;
    if (!options.host_directory.empty()) host = storage::open_host_directory(options.host_directory);
    auto opened = on(std::move(*engine), std::move(host), std::move(options));
    if (!opened) return fail(opened.error().code, directory.string() + ": " + opened.error().message);
    return opened;
}

result<store> store::in_memory(store_options options) { return on(storage::open_memory(), std::move(options)); }

result<store> store::on(std::unique_ptr<storage::engine> engine, store_options options) {
    return on(std::move(engine), nullptr, std::move(options));
}

result<store> store::on(std::unique_ptr<storage::engine> engine, std::unique_ptr<storage::host_files> host, store_options options) {
    auto state = detail::store_state::open(std::move(engine), std::move(host), std::move(options));
    if (!state) return fail(state.error());
    return store(std::move(*state));
}

result<void> store::restore(const std::filesystem::path& backup, const std::filesystem::path& directory) {
    storage::batch mark;
    mark.put(storage::space::meta, std::string(store_keys::restored_key), {});
    return storage::restore_rocksdb(backup, directory, mark);
}

result<bucket> store::bucket(std::string_view name, participation as) {
    auto state = state_->bucket(name, as, {});
    if (!state) return fail(state.error());
    return anabranch::bucket(std::move(*state));
}

result<bucket> store::bucket_part(std::string_view name, const std::vector<std::vector<field>>& below) {
    std::vector<std::string> paths;
    for (const auto& path : below) paths.push_back(path_to(path));
    detail::part wanted(std::move(paths));
    if (!wanted.is_small()) {
        return fail(errc::limit_exceeded, "a part of bucket \"" + std::string(name) + "\" of " + std::to_string(wanted.paths().size()) + " paths; the limit is " +
                                              std::to_string(limits::part_paths) + " of " + std::to_string(limits::part_bytes) + " bytes in all");
    }
    if (!wanted.is_sound()) {
        return fail(errc::invalid_argument, "part of bucket \"" + std::string(name) + "\": no path, the empty one, or one that there cannot be");
    }
    auto state = state_->bucket(name, participation::reader, std::move(wanted));
    if (!state) return fail(state.error());
    return anabranch::bucket(std::move(*state));
}

result<bucket> store::create_bucket(std::string_view name) {
    auto created = bucket(name);
    if (!created) return created;
    if (auto founded = created->state()->found(); !founded) return fail(founded.error());
    return created;
}

std::vector<std::string> store::buckets() const { return state_->bucket_names(); }
replica_id store::id() const { return state_->self().id; }
result<void> store::sync() { return state_->sync(); }
result<void> store::backup(const std::filesystem::path& to) { return state_->backup(to); }
result<void> store::accept_until(timestamp at) { return state_->accept_until(at); }

const std::string& bucket::name() const { return state_->name(); }
frontier bucket::progress() const { return state_->progress(); }
frontier bucket::durable_progress() const { return state_->durable_progress(); }
std::vector<member_status> bucket::members() const { return state_->members(); }
bool bucket::is_member() const { return state_->is_member(); }
std::optional<replica_id> bucket::authority() const {
    const auto roster = state_->roster();
    return roster.founder ? std::optional(roster.authority.holder) : std::nullopt;
}
result<void> bucket::leave() { return state_->leave(); }
result<void> bucket::retire(const replica_id& who) { return state_->retire(who); }
result<void> bucket::take_authority() { return state_->take_authority(); }
result<hash128> bucket::digest(const std::vector<field>& below) const { return state_->digest(path_to(below)); }
std::vector<std::vector<field>> bucket::held() const { return state_->held(); }
void bucket::audit(const std::vector<field>& below) const { state_->audit(path_to(below)); }
std::vector<audit_report> bucket::audits() const { return state_->audits(); }
std::vector<audit_finding> bucket::audit_findings() const { return state_->audit_findings(); }
result<void> bucket::repair(const replica_id& from) { return state_->repair(from); }
void bucket::dismiss_findings() { state_->dismiss_findings(); }

result<feed> bucket::watch(const std::vector<field>& below, std::function<void()> wake) const {
    return open_feed(state_, below, std::move(wake), std::nullopt);
}
result<feed> bucket::resume(std::string_view token, const std::vector<field>& below, std::function<void()> wake) const {
    return open_feed(state_, below, std::move(wake), token);
}

result<std::string> bucket::seal(const session_token& token) const { return state_->seal(token); }
result<session_token> bucket::unseal(std::string_view text) const { return state_->unseal(text); }
result<std::uint64_t> bucket::missing(const session_token& token) const { return state_->missing(token); }
result<std::uint64_t> bucket::wait_for(const session_token& token, std::chrono::milliseconds most) const {
    return state_->wait_for(token, most);
}

result<snapshot> bucket::snapshot() const {
    auto access = state_->take_snapshot();
    if (!access) return fail(access.error());
    return anabranch::snapshot(std::move(*access));
}

result<std::optional<incomplete_snapshot>> bucket::arriving() const {
    auto access = state_->take_arriving();
    if (!access) return fail(access.error());
    if (!*access) return std::optional<incomplete_snapshot>{};
    return std::optional<incomplete_snapshot>(std::move(*access));
}

result<void> bucket::commit_erased(const std::function<result<void>(transaction&)>& fn, durability wait_for) {
    return state_->commit(fn, wait_for);
}
result<receipt> bucket::commit(const request& identity, const std::function<result<std::string>(transaction&)>& fn, durability wait_for) {
    return state_->commit(identity, fn, wait_for);
}
result<std::optional<receipt>> bucket::find(const request& identity) const { return state_->find(identity); }
result<std::vector<unconfirmed_request>> bucket::unconfirmed(std::size_t most) const { return state_->unconfirmed(most); }
result<std::vector<orphaned_transaction>> bucket::orphans(std::size_t most) const { return state_->orphans(most); }
result<receipt> bucket::resubmit(const transaction_id& orphan, durability wait_for) { return state_->resubmit(orphan, wait_for); }
result<void> bucket::dismiss(const transaction_id& orphan) { return state_->dismiss(orphan); }
result<std::vector<superseded_request>> bucket::superseded(std::size_t most) const { return state_->superseded(most); }
result<void> bucket::read_erased(const std::function<void(const map_view&)>& fn) const { return state_->read(fn); }

snapshot::snapshot(std::unique_ptr<detail::snapshot_access> access) : map_view(*access, {}), access_(std::move(access)) {}
snapshot::snapshot(snapshot&&) noexcept = default;
snapshot& snapshot::operator=(snapshot&&) noexcept = default;
snapshot::~snapshot() = default;

incomplete_snapshot::incomplete_snapshot(std::unique_ptr<detail::arriving_access> access)
    : map_view(*access, {}), access_(std::move(access)) {}
incomplete_snapshot::incomplete_snapshot(incomplete_snapshot&&) noexcept = default;
incomplete_snapshot& incomplete_snapshot::operator=(incomplete_snapshot&&) noexcept = default;
incomplete_snapshot::~incomplete_snapshot() = default;

bool incomplete_snapshot::has(const std::vector<field>& path) const {
    const auto type = path.empty() ? field_type::map : path.back().type;
    const bool is_many = type == field_type::map || type == field_type::add_wins_set || type == field_type::remove_wins_set;
    return is_many ? access_->has_below(path_to(path)) : access_->has(path_to(path));
}
std::uint64_t incomplete_snapshot::rows() const { return access_->count(); }
std::optional<std::uint64_t> incomplete_snapshot::rows_to_come() const { return access_->to_come(); }

}  // namespace anabranch
