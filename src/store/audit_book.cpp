#include "store/audit_book.hpp"

#include <algorithm>

#include "store/keys.hpp"
#include "store/step_writer.hpp"

namespace anabranch::detail {
namespace {

using std::chrono::milliseconds;

/// What could not be done, and what has been found, is looked at again so soon.
constexpr std::uint64_t retry_ms = 60'000;

audit_scope::range below(const std::string& prefix) { return {prefix, store_keys::prefix_end(prefix)}; }

}  // namespace

std::optional<audit_scope> audit_book::due(const replica_id& with, std::uint64_t now, milliseconds interval) {
    const auto [it, is_new] = peers_.try_emplace(with);
    auto& p = it->second;
    if (is_new) p.whole_at = now;
    // Where the clock went back.
    p.whole_at = std::min(p.whole_at, now);
    p.tried_at = std::min(p.tried_at, now);
    if (p.answered < calls_) return audit_scope{{below(called_below_)}, called_below_.empty(), calls_};
    const auto every = static_cast<std::uint64_t>(std::max<std::int64_t>(interval.count(), 0));
    if (every == 0 || now - p.tried_at < std::min(every, retry_ms)) return std::nullopt;
    if (now - p.whole_at >= every) return audit_scope{{{}}, true, 0};
    audit_scope found;
    for (const auto& path : open()) found.ranges.push_back({path, path + '\0'});
    return found.ranges.empty() ? std::nullopt : std::optional(std::move(found));
}

void audit_book::call(std::string below) {
    ++calls_;
    called_below_ = std::move(below);
}

void audit_book::note(const outcome& of) {
    auto& p = peers_[of.with];
    p.last_at = of.now;
    p.failure.reset();
    if (of.scope.is_whole && of.is_complete) p.whole_at = of.now;
    p.answered = std::max(p.answered, of.scope.call);
    p.left_out = of.left_out;
    p.differing = of.differing.size();
    p.is_complete = of.is_complete;
    for (const auto& [path, fingerprint] : of.differing) {
        auto* e = find_or_add(path, of.now);
        if (e == nullptr) continue;
        if (e->stage != audit_stage::open) {
            e->stage = audit_stage::open;
            e->found = of.now;
            e->chosen.reset();
        }
        see(*e, of.self, fingerprint.first, of.now);
        see(*e, of.with, fingerprint.second, of.now);
    }
    for (const auto& [path, fingerprint] : of.equal) {
        const auto it = entries_.find(path);
        if (it == entries_.end()) continue;
        see(it->second, of.self, fingerprint, of.now);
        see(it->second, of.with, fingerprint, of.now);
        settle(it->second);
    }
}

/// nullptr where there are too many.
audit_book::entry* audit_book::find_or_add(const std::string& path, std::uint64_t now) {
    const auto it = entries_.find(path);
    if (it != entries_.end()) return &it->second;
    if (entries_.size() >= most_findings) return nullptr;
    auto& added = entries_[path];
    added.found = now;
    return &added;
}

/// Later than whatever others have told.
void audit_book::see(entry& e, const replica_id& who, const hash128& fingerprint, std::uint64_t now) {
    auto& last = e.had[who];
    last = {fingerprint, std::max(now, last.at + 1)};
}

void audit_book::settle(entry& e) {
    const auto is_same = [&](const auto& had) { return had.second.fingerprint == e.had.begin()->second.fingerprint; };
    if (e.stage == audit_stage::open && std::ranges::all_of(e.had, is_same)) e.stage = audit_stage::settled;
}

void audit_book::hear(const std::string& path, const sightings& told, std::uint64_t now) {
    auto* e = find_or_add(path, now);
    if (e == nullptr) return;
    for (const auto& [id, seen] : told) {
        auto& last = e->had[id];
        if (last.at < seen.at) last = seen;
    }
    settle(*e);
}

sightings audit_book::known(const std::string& path) const {
    const auto it = entries_.find(path);
    return it == entries_.end() ? sightings{} : it->second.had;
}

void audit_book::failed(const replica_id& with, std::uint64_t now, const error& why) {
    auto& p = peers_[with];
    p.last_at = now;
    p.failure = why;
}

std::vector<std::string> audit_book::paths() const {
    std::vector<std::string> all;
    for (const auto& e : entries_) all.push_back(e.first);
    return all;
}

std::vector<std::string> audit_book::open() const {
    std::vector<std::string> paths;
    for (const auto& [path, e] : entries_) {
        if (e.stage == audit_stage::open) paths.push_back(path);
    }
    return paths;
}

bool audit_book::has_open() const {
    return std::ranges::any_of(entries_, [](const auto& e) { return e.second.stage == audit_stage::open; });
}

std::vector<std::string> audit_book::to_take(const replica_id& from, const replica_id& self, const crdt::roster& members) const {
    const auto all = std::ranges::count_if(members.members, [&](const auto& m) { return members.counts(m.first); });
    std::vector<std::string> paths;
    for (const auto& [path, e] : entries_) {
        const auto there = e.had.find(from);
        const auto here = e.had.find(self);
        if (e.stage != audit_stage::open || there == e.had.end() || here == e.had.end()) continue;
        const auto& wanted = there->second.fingerprint;
        if (wanted == here->second.fingerprint) continue;
        const auto agree = std::ranges::count_if(e.had, [&](const auto& had) { return members.counts(had.first) && had.second.fingerprint == wanted; });
        if (e.chosen ? *e.chosen == from : 2 * agree > all) paths.push_back(path);
    }
    return paths;
}

bool audit_book::choose(const replica_id& from, const replica_id& self) {
    bool any = false;
    for (auto& [path, e] : entries_) {
        const auto there = e.had.find(from);
        const auto here = e.had.find(self);
        if (e.stage != audit_stage::open || there == e.had.end() || here == e.had.end()) continue;
        if (there->second.fingerprint == here->second.fingerprint) continue;
        e.chosen = from;
        any = true;
    }
    return any;
}

void audit_book::repaired(const std::string& path, const replica_id& self, const hash128& now_here, std::uint64_t now) {
    const auto it = entries_.find(path);
    if (it == entries_.end()) return;
    it->second.stage = audit_stage::repaired;
    see(it->second, self, now_here, now);
}

std::vector<audit_finding> audit_book::findings() const {
    std::vector<audit_finding> all;
    for (const auto& [path, e] : entries_) {
        auto at = change_at(path, change_kind::written);
        audit_finding f{std::move(at.path), std::move(at.element), {}, milliseconds{e.found}, e.stage, e.chosen};
        for (const auto& [id, seen] : e.had) f.had[id] = seen.fingerprint;
        all.push_back(std::move(f));
    }
    return all;
}

std::vector<audit_report> audit_book::reports() const {
    std::vector<audit_report> all;
    for (const auto& [id, p] : peers_) {
        if (p.last_at > 0) all.push_back({id, milliseconds{p.last_at}, p.left_out, p.differing, p.is_complete, p.failure});
    }
    return all;
}

}  // namespace anabranch::detail
