// Audits of a bucket: docs/audit.md
#include <algorithm>

#include "codec/archive.hpp"
#include "store/audit.hpp"
#include "store/bucket_state.hpp"
#include "store/store_state.hpp"

namespace anabranch::detail {
namespace {

using storage::space;

std::uint64_t now_of(const store_state& store) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(store.options().env.now().count(), 0));
}

}  // namespace

result<void> bucket_state::find_audits() {
    const auto stored = store_.engine().get(space::meta, audit_key_);
    if (!stored) return fail(stored.error());
    if (!*stored) return {};
    auto book = codec::decode<audit_book>(**stored);
    if (!book) return fail(errc::corrupt, "what audits of bucket \"" + name_ + "\" have found cannot be decoded");
    const std::lock_guard lock(audits_mutex_);
    audits_ = std::move(*book);
    return {};
}

/// Where it cannot be written the next audit finds it again.
void bucket_state::keep_audits() const {
    storage::batch batch;
    batch.put(space::meta, audit_key_, codec::encode(audits_));
    (void)store_.engine().write(batch);
}

result<std::optional<audit_view>> bucket_state::view_for_audit() const {
    if (auto allowed = check_outside(); !allowed) return fail(allowed.error());
    const std::shared_lock lock(mutex_);
    if (auto usable = check_usable(); !usable) return fail(usable.error());
    // Its rows lack what it has not read.
    if (has_unread_ || is_partial_) return std::optional<audit_view>{};
    if (auto flushed = flush_locked(); !flushed) return fail(flushed.error());
    positions reflects;
    for (const auto& [writer, last] : capture()) reflects[store_.origins().id(writer)] = last.sequence;
    // As for a walk.
    auto [entries, at] = journal_.snapshot();
    std::shared_ptr<const bucket_state> keep(store_.shared_from_this(), this);
    return std::optional<audit_view>(std::in_place, std::move(keep), row_snapshot{std::move(at), rows_.place()}, std::move(reflects), std::move(entries));
}

bool bucket_state::is_durable(const positions& all) const {
    const std::lock_guard lock(durable_mutex_);
    return std::ranges::all_of(all, [&](const auto& entry) {
        const auto writer = store_.origins().find(entry.first);
        const auto it = writer ? durable_.find(*writer) : durable_.end();
        return it != durable_.end() && it->second.sequence >= entry.second;
    });
}

result<std::unique_ptr<auditor>> bucket_state::begin_audit(const replica_id& peer, std::chrono::milliseconds interval) {
    const auto now = now_of(store_);
    std::optional<audit_scope> scope;
    {
        const std::lock_guard lock(audits_mutex_);
        const bool is_new = !audits_.has_met(peer);
        scope = audits_.due(peer, now, interval);
        if (is_new && interval.count() > 0) keep_audits();
        if (!scope) return std::unique_ptr<auditor>{};
        audits_.begun(peer, now);
    }
    auto view = view_for_audit();
    if (!view) return fail(view.error());
    if (!*view) return std::unique_ptr<auditor>{};
    return std::make_unique<auditor>(std::shared_ptr<bucket_state>(store_.shared_from_this(), this), peer, std::move(*scope), std::move(**view));
}

std::unique_ptr<audit_respondent> bucket_state::answer_audit(const replica_id& peer) {
    return std::make_unique<audit_respondent>(std::shared_ptr<bucket_state>(store_.shared_from_this(), this), peer);
}

/// Those that differ, and those of which others are to hear that they do elsewhere.
std::vector<audit_question::known_row> bucket_state::known_rows(const audit_scope& scope, const audit_view& view,
                                                                const std::map<std::string, std::pair<hash128, hash128>>& differing) const {
    const std::lock_guard lock(audits_mutex_);
    std::vector<audit_question::known_row> all;
    for (const auto& [path, fingerprint] : differing) {
        all.push_back({path, audits_.known(path)});
        auto& mine = all.back().had[store_.self().id];
        mine = {fingerprint.first, std::max(now_of(store_), mine.at + 1)};
    }
    for (const auto& path : audits_.open()) {
        if (scope.holds(path) && !view.is_left_out(path) && !differing.contains(path)) all.push_back({path, audits_.known(path)});
    }
    return all;
}

sightings bucket_state::known_of(const std::string& path) const {
    const std::lock_guard lock(audits_mutex_);
    return audits_.known(path);
}

result<void> bucket_state::note_audit(const ended_audit& ended) {
    audit_book::outcome outcome{ended.with, store_.self().id, now_of(store_), ended.scope, ended.view.left_out(), ended.is_complete, ended.differing, {}};
    {
        const std::lock_guard lock(audits_mutex_);
        for (const auto& row : ended.told) audits_.hear(row.path, row.had, outcome.now);
        for (const auto& path : audits_.paths()) {
            // Of others nobody knows whether they are equal.
            if (!ended.is_complete || !ended.scope.holds(path) || ended.view.is_left_out(path) || ended.differing.contains(path)) continue;
            const auto here = ended.view.fingerprint(path);
            if (!here) return fail(here.error());
            outcome.equal.emplace(path, *here);
        }
        audits_.note(outcome);
        keep_audits();
    }
    // Rows may have to be taken from somebody else.
    if (!ended.told.empty()) store_.notify();
    return {};
}

void bucket_state::note_failed_audit(const replica_id& peer, const error& why) {
    const std::lock_guard lock(audits_mutex_);
    audits_.failed(peer, now_of(store_), why);
}

std::vector<std::string> bucket_state::rows_to_take(const replica_id& from) const {
    {
        const std::lock_guard lock(audits_mutex_);
        if (!audits_.has_open()) return {};
    }
    const auto members = roster();
    const std::lock_guard lock(audits_mutex_);
    return audits_.to_take(from, store_.self().id, members);
}

void bucket_state::note_taken(const std::vector<std::string>& paths) {
    if (paths.empty()) return;
    const auto view = view_for_audit();
    const std::lock_guard lock(audits_mutex_);
    for (const auto& path : paths) {
        const auto here = view && *view ? (*view)->fingerprint(path) : hash128{};
        audits_.repaired(path, store_.self().id, here.value_or(hash128{}), now_of(store_));
    }
    keep_audits();
}

void bucket_state::audit(std::string below) {
    {
        const std::lock_guard lock(audits_mutex_);
        audits_.call(std::move(below));
    }
    store_.notify();
}

std::vector<audit_finding> bucket_state::audit_findings() const {
    const std::lock_guard lock(audits_mutex_);
    return audits_.findings();
}

std::vector<audit_report> bucket_state::audits() const {
    const std::lock_guard lock(audits_mutex_);
    return audits_.reports();
}

result<void> bucket_state::repair(const replica_id& from) {
    {
        const std::lock_guard lock(audits_mutex_);
        if (!audits_.choose(from, store_.self().id)) {
            return fail(errc::invalid_argument, "no row of bucket \"" + name_ + "\" is known to differ at replica " + to_string(from));
        }
        keep_audits();
    }
    store_.notify();
    return {};
}

void bucket_state::dismiss_findings() {
    const std::lock_guard lock(audits_mutex_);
    audits_.dismiss();
    keep_audits();
}

}  // namespace anabranch::detail
