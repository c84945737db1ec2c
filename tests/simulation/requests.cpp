// Clients whose requests the mesh mirrors, retries and fails over: executed through the public handles, and recorded for the
// oracle.
#include <algorithm>

#include "simulation/world.hpp"
#include "store/bucket_state.hpp"

namespace anabranch::simulation {
namespace {

constexpr std::int64_t windows[] = {2'000, 5'000, 20'000, 60'000};
constexpr std::int64_t short_windows[] = {300, 600, 1'500};
constexpr std::int64_t client_skews[] = {0, 0, 0, 300, -300, 2'000, -5'000, 59'000, 70'000};

birth_dot place_of(const transaction_record& t) { return {t.origin, t.sequence}; }

}  // namespace

void world::set_up_requests() {
    if (is_crowded_) {
        request_window_ = std::chrono::milliseconds{chance_.pick(short_windows)};
        return;
    }
    if (!chance_.chance(50)) return;
    request_window_ = std::chrono::milliseconds{chance_.pick(windows)};
    for (auto& skew : requesters_) skew = chance_.pick(client_skews);
}

/// Of what happens to their requests somebody hears who listens from the beginning.
void world::listen_to_requests() {
    if (request_window_.count() == 0) return;
    for (auto& r : replicas_) {
        if (chance_.chance(40)) (void)open_feed(*r, chance_.below(buckets_));
    }
    settle();
}

/// Its number. Nobody brings it anywhere yet.
std::size_t world::ask(std::size_t bucket) {
    client_request q;
    q.bucket = bucket;
    const auto number = requests_.size();
    const auto by = chance_.below(requesters_.size());
    q.identity.tenant = "shop";
    q.identity.principal = "client " + std::to_string(by);
    q.identity.key = "key " + std::to_string(number);
    q.identity.issued = std::chrono::milliseconds{start_of_time + now_ + requesters_[by]};
    q.identity.content[0] = static_cast<std::uint8_t>(number + 1);
    q.program = chance_.next();
    requests_.push_back(std::move(q));
    counts_.count(covered::requests_made);
    return number;
}

bool world::make_request() {
    if (request_window_.count() == 0) return false;
    const auto number = ask(chance_.below(buckets_));
    auto& q = requests_[number];
    const auto window = request_window_.count();
    const auto home = chance_.below(replicas_.size());
    const auto mirrored_to = chance_.below(replicas_.size());
    const auto delay = [&] {
        if (is_crowded_) return chance_.between(0, chance_.chance(50) ? 50 : window);
        if (chance_.chance(70)) return chance_.between(0, 50);
        return chance_.chance(60) ? chance_.between(0, 3'000) : chance_.between(0, 2 * window);
    };
    const auto send = [&](std::size_t to, request_role role, std::int64_t due, std::uint32_t attempt) {
        if (!chance_.chance(6)) q.copies.push_back({to, role, due, attempt});  // else it is lost
    };
    send(home, request_role::primary, now_ + delay(), 1);
    // To the very same host, too, where the mesh has failed over to it.
    if (chance_.chance(85)) send(mirrored_to, request_role::mirror, now_ + delay(), 1);
    auto retried = now_;
    for (std::uint32_t attempt = 2; attempt < 4 && chance_.chance(35); ++attempt) {
        retried += chance_.between(100, is_crowded_ ? window : 3'000) + delay();
        const auto failed_over = chance_.chance(50) ? mirrored_to : chance_.below(replicas_.size());
        send(chance_.chance(50) ? home : failed_over, request_role::primary, retried, attempt);
    }
    trace("make request", {{"request", number}, {"home", home}, {"mirror", mirrored_to}});
    return true;
}

/// A replica that has executed a mirror's copy hears from the others, and forgets earlier requests, before anybody hears of that;
/// meanwhile the primary copy is executed elsewhere, and finds another state.
bool world::overtake() {
    const auto first = chance_.below(replicas_.size());
    const auto second = (first + 1 + chance_.below(replicas_.size() - 1)) % replicas_.size();
    const auto is_up = [&](std::size_t i) {
        const auto& r = *replicas_[i];
        return r.open && !r.storage->is_dead() && r.shares[0].handle;
    };
    if (!is_crowded_ || !is_up(first) || !is_up(second)) return false;
    trace("overtake", {{"mirror", first}, {"primary", second}});
    now_ += request_window_.count() / 8;
    for (auto rounds = chance_.below(5); rounds > 0; --rounds) run_round();
    const auto number = ask(0);
    if (is_up(first)) execute(*replicas_[first], number, {first, request_role::mirror, now_, 1});
    for (auto rounds = 1 + chance_.below(3); rounds > 0; --rounds) run_round(first);
    if (is_up(second)) execute(*replicas_[second], number, {second, request_role::primary, now_, 1});
    return true;
}

bool world::deliver_request() {
    std::vector<std::pair<std::size_t, std::size_t>> due;
    for (std::size_t number = 0; number < requests_.size(); ++number) {
        const auto& q = requests_[number];
        for (std::size_t i = 0; i < q.copies.size(); ++i) {
            const auto& r = *replicas_[q.copies[i].replica];
            if (q.copies[i].due <= now_ && r.open && r.shares[q.bucket].handle) due.emplace_back(number, i);
        }
    }
    if (due.empty()) return false;
    const auto [number, i] = chance_.pick(due);
    auto& copies = requests_[number].copies;
    const auto copy = copies[i];
    copies.erase(copies.begin() + static_cast<std::ptrdiff_t>(i));
    execute(*replicas_[copy.replica], number, copy);
    return true;
}

/// What the client asked for. Executions that find the same do the same; others may take another branch.
result<std::string> world::run_program(replica& r, const client_request& q, transaction& tx, transaction_record& record,
                                       const std::vector<std::size_t>& members) {
    const auto& s = r.shares[q.bucket];
    record.operations.clear();
    record.at = tx.at();
    // Half of the programs are such that two executions that take the same branch do the same.
    const bool is_pure = q.program % 2 == 0;
    const auto number = &q - requests_.data();
    if (tx.id() != transaction_id{*r.id, record.sequence}) violate("an execution has the wrong dot");
    const auto look = [&](std::size_t leaf, const char* where) {
        auto found = evaluate(histories_[q.bucket], leaf, s.has, s.who, &record, s.fixed);
        if (!r.storage->is_dead() && !r.storage->is_full()) check_leaf(tx, q.bucket, leaf, found, r.index, where);
        return is_hidden(r, leaf) ? field_value{} : found;
    };
    random_source draw(q.program);
    const auto looks_at = draw.below(fields_.leaves.size());
    const auto found = look(looks_at, "for a request");
    auto branch = (found.exists ? 1U : 0U) + 2 * (static_cast<std::uint64_t>(found.sum) % 3) + found.entries.size();
    for (const auto& e : found.entries) branch += static_cast<unsigned char>(e.value.back()) % 4;
    const auto made_up = [&](std::size_t n) { return std::to_string(number) + "." + std::to_string(branch) + "." + std::to_string(n); };
    record.execution->answer = is_pure ? "answer of " + made_up(0) : "answer " + std::to_string(++values_);
    draw = random_source(q.program + branch);
    if (draw.chance(5)) return fail(errc::refused, "as the history wants it");
    const bool refuses = draw.chance(is_crowded_ ? 30 : 15);
    const auto size = draw.below(largest_transaction_ + 1);
    for (std::size_t i = 0; i < size; ++i) {
        // More often to where it has looked, so that requests get into each other's way.
        auto op = draw_operation(draw);
        for (int tries = 0; tries < 3 && op.target != static_cast<int>(looks_at); ++tries) op = draw_operation(draw);
        if (is_pure && op.what == action::assign) op.value = made_up(i);
        apply(r, q.bucket, tx, std::move(op), record, members);
        if (draw.chance(25)) look(looks_at, "in an execution");
    }
    if (!refuses) return record.execution->answer;
    record.operations.clear();
    record.execution->outcome = request_outcome::refused;
    return tx.refuse(record.execution->answer);
}

/// Issued before the replica's window, whatever its clock has shown meanwhile: it may have raised its fence that far.
bool world::is_late(const replica& r, const client_request& q) const {
    return q.identity.issued.count() < r.latest - r.options.request_window.count();
}

/// A newcomer has its fence from who let it in, whose clock may be ahead of its own.
bool world::has_inherited_fence(const replica& r, const client_request& q) const {
    const auto roster = r.shares[q.bucket].handle->state()->roster();
    const auto* m = roster.find(*r.id);
    return m != nullptr && r.shares[q.bucket].comes_late && q.identity.issued.count() < static_cast<std::int64_t>(m->admitted.value_or(0));
}

/// To one whose build does not know requests.
void world::bring_in_vain(replica& r, std::size_t number, const request_copy& copy) {
    const auto& q = requests_[number];
    auto& s = r.shares[q.bucket];
    const bool was_member = s.handle->is_member();
    auto identity = q.identity;
    identity.role = copy.role;
    const auto done = s.handle->commit(identity, [&](transaction&) -> result<std::string> { violate("a request was run by who does not know requests"); });
    trace("request", {{"replica", r.index}, {"bucket", q.bucket}, {"request", number}, {"ok", done.has_value()}});
    if (r.storage->is_dead()) return;
    if (done) violate("a request was answered by who does not know requests");
    if (done.error().code != errc::unsupported_protocol && !is_hindered(r, q.bucket, done.error().code, was_member))
        violate("a request was refused: " + done.error().message);
    counts_.count(covered::requests_not_known);
    observe(r);
    wake(r);
}

void world::execute(replica& r, std::size_t number, const request_copy& copy) {
    if (lacks_requests(r)) return bring_in_vain(r, number, copy);
    auto& q = requests_[number];
    const auto b = q.bucket;
    auto& s = r.shares[b];
    const auto& h = histories_[b];
    note_fixed(r, b);
    r.latest = std::max(r.latest, wall(r));
    const auto wait_for = chance_.chance(25) ? durability::disk : durability::os;
    const bool is_forgotten = s.fixed.contains(number);
    const auto* winner = is_forgotten ? nullptr : winner_of(h, number, s.has);
    const auto* content = winner == nullptr ? nullptr : content_of(h, number, s.has);
    const bool is_known = winner != nullptr;
    const bool is_altered = is_known && chance_.one_in(15);
    const bool may_confirm = is_known && !is_altered && copy.role == request_role::primary &&
                             winner->execution->role == request_role::mirror;
    const bool is_here_twice = is_known && winner->origin == r.index && winner->execution->role != copy.role;
    const bool was_member = s.handle->is_member();
    const bool is_ahead = q.identity.issued.count() > wall(r) + r.options.request_max_lead.count();
    const auto members = joined_members(s);

    transaction_record record;
    record.origin = r.index;
    record.sequence = s.has[r.index] + 1;
    record.context = s.has;
    record.execution = request_execution{number, copy.role};
    auto identity = q.identity;
    identity.role = copy.role;
    identity.attempt = copy.attempt;
    if (is_altered) identity.content[1] = 1;
    bool has_run = false;
    bool has_failed = false;
    const auto first_call = disk_calls_;
    const auto done = s.handle->commit(
        identity,
        [&](transaction& tx) {
            has_run = true;
            auto answer = run_program(r, q, tx, record, members);
            has_failed = !answer;
            return answer;
        },
        wait_for);
    for (auto call = first_call; options_.request_calls != nullptr && call < disk_calls_; ++call) options_.request_calls->push_back(call);
    if (may_confirm && !has_run) {
        const auto& confirmed = *content->execution;
        record.execution = request_execution{number, copy.role, confirmed.outcome, place_of(*content), confirmed.answer};
    }

    const bool is_dead = r.storage->is_dead();
    trace("request", {{"replica", r.index},
                      {"bucket", b},
                      {"request", number},
                      {"role", static_cast<std::uint64_t>(copy.role)},
                      {"sequence", record.sequence},
                      {"run", has_run},
                      {"ok", done.has_value()},
                      {"dead", is_dead}});
    trace_operations(record);
    if (options_.is_traced && !done) std::printf("%21s%s\n", "", done.error().message.c_str());
    if (has_run && is_known) violate("request " + std::to_string(number) + " is known, and was run again");
    if (is_dead) {
        counts_.count(is_process_dead_ ? covered::kills_in_requests : covered::requests_cut_short);
        if (!has_run && !may_confirm) return;
        s.may_have[r.index] = record.sequence;
        r.unconfirmed = std::pair(b, std::move(record));
        return;
    }

    const auto now = s.handle->progress();
    const auto mine = std::ranges::find(now, *r.id, &progress_entry::origin);
    // While it waited for the disk the replica may have written on its own account, too.
    const bool is_recorded = has_run || (may_confirm && logged(r, b, record.sequence).is_execution);
    const bool is_committed = is_recorded && mine != now.end() && mine->sequence >= record.sequence;
    const bool is_at_end = s.is_retired || s.has_left;  // nobody has to wait for it any more
    if (!done) {
        const auto code = done.error().code;
        const bool is_storage = code == errc::storage_full || code == errc::storage_failure;
        if (has_failed && code == errc::refused) {
            counts_.count(covered::requests_failed);
        } else if (!is_hindered(r, b, code, was_member)) {
            judge_refusal(r, number, code, is_known, is_altered);
        }
        if (is_committed && !(is_storage && wait_for == durability::disk)) violate("a request failed and left something");
    } else {
        if (has_failed) violate("an execution succeeded that had to fail");
        if (is_altered) violate("a key was used for two requests");
        if (!is_known && !has_run) violate("an unknown request was answered");
        if (is_forgotten || (s.late.contains(number) && !is_known))
            violate("request " + std::to_string(number) + " was too old, and is run");
        if (is_ahead && !is_known) violate("a request from the future was run");
        if (has_run && !is_committed) violate("an execution left no trace");
        // Below its fence there is no further execution.
        if (may_confirm && !is_committed && was_member && !is_late(r, q) && !has_inherited_fence(r, q)) violate("a mirror's execution was not confirmed");
        if (done->is_repeat != is_known) violate("an answer says wrongly whether it is a repeat");
    }
    if (is_committed) {
        const auto one_more = "there is one more execution of request " + std::to_string(number);
        if (q.is_fixed && !is_at_end) violate(one_more + ", which was fixed");
        if (s.late.contains(number)) violate(one_more + ", which is too old here");
        if (!has_run) record.at = logged(r, b, record.sequence).at;
        counts_.count(!has_run                                                ? covered::requests_confirmed
                      : record.execution->outcome == request_outcome::refused ? covered::requests_refused
                                                                              : covered::requests_executed);
        note_committed(r, b, std::move(record), done && wait_for == durability::disk);
    } else {
        observe(r, b, s.has);
    }
    if (done) {
        if (is_known) counts_.count(covered::requests_repeated);
        if (is_here_twice) counts_.count(covered::requests_doubled_at_one_host);
        check_receipt(*done, number, s.has);
    }
    observe(r);
    wake(r);
}

/// For what the request itself is.
void world::judge_refusal(replica& r, std::size_t number, errc code, bool is_known, bool is_altered) {
    const auto& q = requests_[number];
    auto& s = r.shares[q.bucket];
    const bool is_ahead = q.identity.issued.count() > wall(r) + r.options.request_max_lead.count();
    if (code == errc::request_conflict && is_altered) {
        counts_.count(covered::requests_in_conflict);
    } else if (code == errc::request_too_old && (is_late(r, q) || has_inherited_fence(r, q))) {
        s.late.insert(number);
        counts_.count(covered::requests_too_old);
    } else if (code == errc::request_from_future && is_ahead && !is_known) {
        counts_.count(covered::requests_from_future);
    } else if (code == errc::too_many_requests && !is_known && remembered(r, q.bucket).size() >= r.options.request_capacity) {
        counts_.count(covered::requests_too_many);
    } else {
        violate("request " + std::to_string(number) + " was refused: " + std::to_string(static_cast<int>(code)));
    }
}

}  // namespace anabranch::simulation
