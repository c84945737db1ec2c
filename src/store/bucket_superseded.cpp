// Which executions of requests do not count though they did something else than the one that does. docs/requests.md
#include <algorithm>

#include "crdt/deeds.hpp"
#include "store/bucket_state.hpp"
#include "store/inside_guard.hpp"
#include "store/step_writer.hpp"
#include "store/store_state.hpp"

namespace anabranch::detail {
namespace {

winning_reason reason_of(const crdt::contestant& winner, const crdt::contestant& loser) {
    if (winner.role != loser.role) return winning_reason::role;
    if (winner.outcome != loser.outcome) return winning_reason::outcome;
    if (winner.at != loser.at) return winning_reason::time;
    return winner.id.writer != loser.id.writer ? winning_reason::replica : winning_reason::sequence;
}

version_change change_of(crdt::deed d, bool is_register) {
    version_change c{change_at(d.path, static_cast<change_kind>(d.what)), {}, d.amount, d.bound};
    if (is_register) c.value = std::move(d.value);
    return c;
}

bool is_register(const crdt::deed& d) {
    const auto type = static_cast<field_type>(d.path.empty() ? '\0' : d.path.back());
    return d.what == crdt::deed::kind::written && (type == field_type::last_writer || type == field_type::multi_value);
}

}  // namespace

crdt::contestant bucket_state::contestant_in(const loaded_execution& x, const loaded_executions& all) {
    auto c = x.contestant();
    const bool is_one = c.confirms && std::ranges::any_of(all, [&](const auto& other) { return other->id == *c.confirms; });
    if (!is_one) c.confirms.reset();
    return c;
}

const bucket_state::loaded_execution& bucket_state::content_in(const crdt::contestant& c, const loaded_executions& all) {
    return **std::ranges::find_if(all, [&](const auto& x) { return x->id == c.content(); });
}

crdt::contestant bucket_state::winner_of(const loaded_executions& all) const {
    std::vector<crdt::contestant> contestants;
    for (const auto& x : all) contestants.push_back(contestant_in(*x, all));
    return crdt::winner(contestants, store_.origins());
}

bool bucket_state::are_rivals(const loaded_executions& all) {
    const auto& first = *all.front();
    return std::ranges::any_of(all, [&](const auto& x) {
        return x->what.request.confirms || (x.get() != &first && !crdt::is_same_content(x->what, first.what));
    });
}

request_version bucket_state::version_of(const crdt::contestant& c, const loaded_executions& all, std::string_view below) const {
    const auto& content = content_in(c, all);
    return {{store_.origins().id(c.id.writer), c.id.sequence}, c.at, c.role, c.outcome, content.what.request.result, changes_of(crdt::deeds_of(content.what), below)};
}

std::vector<version_change> bucket_state::changes_of(std::vector<crdt::deed> deeds, std::string_view below) {
    std::vector<version_change> changes;
    for (auto& d : deeds) {
        const bool is_wider = d.what == crdt::deed::kind::emptied && below.starts_with(d.path);
        if (!d.path.starts_with(below) && !is_wider) continue;
        const bool has_value = is_register(d);
        changes.push_back(change_of(std::move(d), has_value));
    }
    return changes;
}

std::optional<superseded_request> bucket_state::supersession(const crdt::contestant& loser, const crdt::contestant& winner,
                                                             const loaded_executions& all, std::string_view below) const {
    const auto& lost = content_in(loser, all);
    if (crdt::is_same_content(lost.what, content_in(winner, all).what)) return std::nullopt;
    const auto& r = lost.what.request;
    return superseded_request{r.identity, std::chrono::milliseconds{static_cast<std::int64_t>(r.issued)}, version_of(loser, all, below),
                              version_of(winner, all, below), reason_of(winner, loser)};
}

result<std::vector<superseded_request>> bucket_state::superseded(std::size_t most) const {
    if (auto allowed = check_outside(); !allowed) return fail(allowed.error());
    if (auto whole = check_whole(); !whole) return fail(whole.error());
    const std::shared_lock uncut(cut_mutex_);
    std::vector<superseded_request> found;
    const auto keep_oldest = [&] {
        std::ranges::sort(found, {}, [](const superseded_request& s) { return std::tuple(s.issued, s.identity, s.loser.at, s.loser.transaction); });
        if (found.size() > most) found.resize(most);
    };
    auto visited = rivals_.visit([&](const dot& at, const rival_table::group& group) -> result<void> {
        if (group.size() < 2 || at != group.front()) return {};
        const auto all = load_executions(group);
        if (!all) return fail(all.error());
        const auto winner = winner_of(*all);
        for (const auto& x : *all) {
            if (x->id == winner.id) continue;
            if (auto s = supersession(contestant_in(*x, *all), winner, *all, {})) found.push_back(std::move(*s));
        }
        if (found.size() / 2 > most) keep_oldest();
        return {};
    });
    if (!visited) return fail(visited.error());
    keep_oldest();
    return found;
}

}  // namespace anabranch::detail
