// The state of a bucket as a whole: read at one moment, and entered where the log does not reach. docs/reconciliation.md
#include <anabranch/limits.hpp>
#include <algorithm>
#include <cstring>
#include <set>

#include "codec/archive.hpp"
#include "store/bucket_state.hpp"
#include "store/field_kind.hpp"
#include "store/log_stream.hpp"
#include "store/store_state.hpp"

namespace anabranch::detail {
namespace {

using storage::space;
using store_keys::staged_kind;

constexpr std::size_t write_piece = 1024 * 1024;

/// Of a key that stands behind a prefix.
hash128 identity_in(std::string_view key) {
    hash128 identity{};
    std::memcpy(identity.data(), key.data(), identity.size());
    return identity;
}

std::string_view bytes_of(const hash128& identity) { return {reinterpret_cast<const char*>(identity.data()), identity.size()}; }

template <class T>
std::optional<T> decode_foreign(std::string_view bytes, const crdt::foreign_input::numbers& numbers) {
    crdt::foreign_input in(bytes, numbers);
    T value{};
    in(value);
    return in.complete() ? std::optional(std::move(value)) : std::nullopt;
}

}  // namespace

// --- reading ---------------------------------------------------------------------------------------------

walk_source::walk_source(std::shared_ptr<const bucket_state> from, std::unique_ptr<storage::snapshot> at, walk_end end)
    : from_(std::move(from)), at_(std::move(at)), end_(std::move(end)) {
    const auto& engine = from_->store().engine();
    rows_ = engine.scan(space::rows, store_keys::row_key(from_->number(), {}), at_.get());
    requests_ = engine.scan(space::rows, store_keys::request_prefix(from_->number()), at_.get());
}

result<std::optional<std::string>> walk_source::next(std::size_t most_bytes) {
    if (is_done_) return std::optional<std::string>{};
    walk_piece piece;
    auto room = std::max<std::size_t>(most_bytes, 1);
    for (const auto add : {&walk_source::add_rows, &walk_source::add_requests, &walk_source::add_executions}) {
        if (auto added = (this->*add)(piece, room); !added) return fail(added.error());
    }
    // Not before it is on disk: whoever has it may tell others that it is here.
    if (room > 0 && from_->is_durable(end_)) {
        piece.end = end_;
        is_done_ = true;
    }
    if (piece.rows.empty() && piece.requests.empty() && piece.executions.empty() && !piece.end) return std::optional<std::string>{};
    const auto& origins = from_->store().origins();
    for (; replicas_told_ < origins.size(); ++replicas_told_) {
        piece.replicas.push_back(origins.id(origin{static_cast<std::uint32_t>(replicas_told_)}));
    }
    return std::optional(codec::encode(piece));
}

result<void> walk_source::add_rows(walk_piece& piece, std::size_t& room) {
    const auto prefix = store_keys::row_key(from_->number(), {});
    for (; room > 0 && rows_->valid() && rows_->key().starts_with(prefix); rows_->next()) {
        piece.rows.push_back({std::string(rows_->key().substr(prefix.size())), std::string(rows_->value())});
        room -= std::min(room, rows_->key().size() + rows_->value().size());
    }
    return rows_->status();
}

result<void> walk_source::add_requests(walk_piece& piece, std::size_t& room) {
    const auto prefix = store_keys::request_prefix(from_->number());
    for (; room > 0 && requests_->valid() && requests_->key().starts_with(prefix); requests_->next()) {
        const auto known = codec::decode<known_request>(requests_->value());
        if (!known) return fail(errc::corrupt, "what is known of a request cannot be decoded");
        for (const auto& x : known->executions) executions_.push_back(x.id);
        piece.requests.push_back({identity_in(requests_->key().substr(prefix.size())), std::string(requests_->value())});
        room -= std::min(room, requests_->key().size() + requests_->value().size());
    }
    return requests_->status();
}

result<void> walk_source::add_executions(walk_piece& piece, std::size_t& room) {
    auto& store = from_->store();
    for (; room > 0 && executions_sent_ < executions_.size(); ++executions_sent_) {
        const auto& id = executions_[executions_sent_];
        auto value = store.engine().get(space::log, store_keys::log_key(from_->number(), id.writer, id.sequence), at_.get());
        if (!value) return fail(value.error());
        if (!*value) return fail(errc::corrupt, "the execution of a request is not in the log of bucket \"" + from_->name() + '"');
        room -= std::min(room, (*value)->size());
        piece.executions.push_back({store.origins().id(id.writer), id.sequence, std::move(**value)});
    }
    return {};
}

result<std::unique_ptr<walk_source>> bucket_state::begin_walk() const {
    if (auto allowed = check_outside(); !allowed) return fail(allowed.error());
    const std::shared_lock lock(mutex_);
    if (auto usable = check_usable(); !usable) return fail(usable.error());
    if (auto flushed = flush_locked(); !flushed) return fail(flushed.error());
    walk_end end;
    for (const auto& [writer, last] : capture()) end.reflects.push_back({store_.origins().id(writer), last});
    for (const auto& [writer, sequence] : members_.stable()) end.stable[store_.origins().id(writer)] = sequence;
    end.forgotten = forgotten_;
    end.members = members_.roster();
    std::shared_ptr<const bucket_state> keep(store_.shared_from_this(), this);
    return std::make_unique<walk_source>(std::move(keep), store_.engine().take_snapshot(), std::move(end));
}

positions bucket_state::floor() const {
    const std::shared_lock uncut(cut_mutex_);
    positions all;
    for (const auto& [writer, last] : floor_) all[store_.origins().id(writer)] = last.sequence;
    return all;
}

bool bucket_state::is_durable(const walk_end& end) const {
    const std::lock_guard lock(durable_mutex_);
    return std::ranges::all_of(end.reflects, [&](const walk_end::last& l) {
        const auto writer = store_.origins().find(l.origin);
        const auto it = writer ? durable_.find(*writer) : durable_.end();
        return it != durable_.end() && it->second.sequence >= l.at.sequence;
    });
}

// --- taking ----------------------------------------------------------------------------------------------

result<std::unique_ptr<walk_sink>> bucket_state::receive_walk() {
    {
        const std::unique_lock lock(mutex_);
        // One that has entered half way is finished when the store is opened again: nothing of it may go before.
        if (auto usable = check_usable(); !usable) return fail(usable.error());
        if (is_staging_) return std::unique_ptr<walk_sink>{};
        if (auto erased = erase_staged(); !erased) return fail(erased.error());
        is_staging_ = true;
    }
    return std::make_unique<walk_sink>(std::shared_ptr<bucket_state>(store_.shared_from_this(), this));
}

walk_sink::~walk_sink() {
    to_->stop_staging();
}

void bucket_state::stop_staging() {
    const std::unique_lock lock(mutex_);
    if (!broken_) (void)erase_staged();  // the next one begins with it, too
    is_staging_ = false;
    has_duties_ = true;
}

/// Where there is anything.
result<void> bucket_state::erase_staged() const {
    const auto all = store_keys::staged_prefix(number_);
    const auto cursor = store_.engine().scan(space::rows, all);
    if (!cursor->valid() || !cursor->key().starts_with(all)) return cursor->status();
    storage::batch batch;
    batch.erase_range(space::rows, all, store_keys::prefix_end(all));
    return store_.engine().write(batch);
}

result<std::optional<positions>> walk_sink::take(std::string_view bytes, timestamp horizon, const replica_id& source) {
    const auto piece = codec::decode<walk_piece>(bytes);
    if (!piece) return fail(errc::malformed, "a piece of the state of bucket \"" + to_->name() + "\" cannot be decoded");
    if (auto staged = to_->stage(*piece, *this); !staged) return fail(staged.error());
    if (!piece->end) return std::optional<positions>{};
    if (auto entered = to_->enter(*piece->end, horizon, source); !entered) return fail(entered.error());
    positions reflects;
    for (const auto& l : piece->end->reflects) reflects[l.origin] = l.at.sequence;
    return std::optional(std::move(reflects));
}

tl::unexpected<error> bucket_state::wrong_state(const char* what) const {
    return fail(errc::malformed, "the state of bucket \"" + name_ + "\" that a peer has sent " + what);
}

result<void> bucket_state::stage(const walk_piece& piece, walk_sink& sink) {
    sink.replicas_.insert(sink.replicas_.end(), piece.replicas.begin(), piece.replicas.end());
    if (sink.replicas_.size() > limits::origins) return wrong_state("names too many replicas");
    sink.numbers_.resize(sink.replicas_.size());
    const std::unique_lock lock(mutex_);
    if (auto usable = check_usable(); !usable) return usable;
    const crdt::foreign_input::numbers number_of = [&](std::uint64_t there) -> std::optional<origin> {
        if (there >= sink.replicas_.size()) return std::nullopt;
        auto& number = sink.numbers_[there];
        if (!number) {
            const auto met = meet(sink.replicas_[there]);
            if (met) number = *met;
        }
        return number;
    };
    storage::batch batch;
    std::string encoded;
    for (const auto& [path, bytes] : piece.rows) {
        if (!store_keys::is_path(path) || path <= sink.last_path_) return wrong_state("has rows at impossible paths, or not in their order");
        const auto row = crdt::decode_row(bytes, number_of);
        const auto kind = row_kind_at(path);
        if (!row || (kind && *kind != crdt::kind_of(*row))) return wrong_state("has a row that cannot be decoded");
        encoded.clear();
        crdt::encode_row(*row, encoded);
        batch.put(space::rows, store_keys::staged_key(number_, staged_kind::row, path), encoded);
        sink.last_path_ = path;
    }
    for (const auto& [identity, bytes] : piece.requests) {
        const auto known = decode_foreign<known_request>(bytes, number_of);
        if (!known || known->executions.empty() || (sink.last_request_ && identity <= *sink.last_request_)) {
            return wrong_state("has a request that cannot be decoded, or not in its order");
        }
        batch.put(space::rows, store_keys::staged_key(number_, staged_kind::request, bytes_of(identity)), codec::encode(*known));
        sink.last_request_ = identity;
    }
    for (const auto& x : piece.executions) {
        const auto writer = meet(x.origin);
        if (!writer) return fail(writer.error());
        const auto record = x.value.size() < head_size ? std::nullopt : oplog::decode_record(body_of(x.value));
        if (!record || record->kind != oplog::record_kind::execution || x.sequence == 0) return wrong_state("has an execution that is none");
        for (const auto& mention : record->mentioned) {
            if (const auto met = meet(mention); !met) return fail(met.error());
        }
        batch.put(space::rows, store_keys::staged_key(number_, staged_kind::execution, store_keys::log_key(number_, *writer, x.sequence)), x.value);
    }
    const auto known_origins = store_.origins().size();
    store_.persist_origins(batch);
    if (auto written = store_.engine().write(batch); !written) return written;
    store_.origins_persisted(known_origins);
    return {};
}

/// Visits what is staged of one kind: its key, and its value.
template <class Visit>
result<void> bucket_state::visit_staged(staged_kind kind, const Visit& visit) const {
    const auto prefix = store_keys::staged_key(number_, kind, {});
    const auto cursor = store_.engine().scan(space::rows, prefix);
    for (; cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
        if (auto done = visit(cursor->key().substr(prefix.size()), cursor->value()); !done) return done;
    }
    return cursor->status();
}

/// What is here and not in the state that enters is applied again on top of it: so the log has to hold it.
result<void> bucket_state::check_end(const walk_end& end, timestamp horizon, const replica_id& source) const {
    auto members = members_.roster();
    members.join(end.members);
    if (!crdt::is_sound(end.members)) return wrong_state("has an impossible roster");
    if (auto bounded = check_size(members); !bounded) return bounded;
    std::map<replica_id, tail> reflects;
    for (const auto& l : end.reflects) {
        const auto writer = store_.origins().find(l.origin);
        const bool is_new = !writer || tail_of(*writer).sequence < l.at.sequence;
        // As its records would be judged.
        if (auto allowed = is_new ? check_writer(members, {l.origin, l.at.sequence}, source) : result<void>{}; !allowed) return allowed;
        if (l.at.at > horizon) {
            return fail(errc::refused, "the state of bucket \"" + name_ + "\" that a peer has sent is from too far in the future");
        }
        reflects.emplace(l.origin, l.at);
    }
    for (const auto& [id, sequence] : end.stable) {
        const auto it = reflects.find(id);
        if (it == reflects.end() || it->second.sequence < sequence) return wrong_state("calls stable what it does not have");
    }
    for (const auto& [writer, last] : floor_) {
        const auto& id = store_.origins().id(writer);
        const auto it = reflects.find(id);
        if (it != reflects.end() && it->second.sequence >= last.sequence) continue;
        return fail(errc::behind_cut, "the log of bucket \"" + name_ + "\" has been cut up to transaction " + std::to_string(last.sequence) +
                                          " of replica " + to_string(id) + ", which the peer lacks, and it has cut what is lacking here");
    }
    // The source has forgotten what they have not seen: nothing of theirs can be applied on top.
    for (const auto& [id, m] : end.members.members) {
        const auto writer = m.at == crdt::roster::stage::retired ? store_.origins().find(id) : std::nullopt;
        if (!writer || tail_of(*writer).sequence <= m.last) continue;
        return fail(errc::retired, "replica " + to_string(id) + " was retired from bucket \"" + name_ + "\" after its transaction " +
                                       std::to_string(m.last) + "; what it did since does not count, and is here");
    }
    const auto& founder = members_.roster().founder;
    if (!end.members.founder || (founder && *founder != *end.members.founder)) {
        return fail(errc::foreign_bucket, "bucket \"" + name_ + "\" there is another one than here");
    }
    return {};
}

/// Its open requests have the executions that they name, and these are what the state reflects.
result<void> bucket_state::check_staged(const std::map<origin, tail>& reflects) const {
    auto checked = visit_staged(staged_kind::execution, [&](std::string_view key, std::string_view) -> result<void> {
        const auto at = store_keys::parse_log_key(key);
        const auto it = at ? reflects.find(at->writer) : reflects.end();
        return it != reflects.end() && at->sequence <= it->second.sequence ? result<void>{} : wrong_state("has an execution that it does not reflect");
    });
    if (!checked) return checked;
    return visit_staged(staged_kind::request, [&](std::string_view, std::string_view value) -> result<void> {
        const auto known = codec::decode<known_request>(value);
        if (!known) return fail(errc::corrupt, "what is known of a request cannot be decoded");
        for (const auto& x : known->executions) {
            const auto key = store_keys::log_key(number_, x.id.writer, x.id.sequence);
            const auto record = store_.engine().get(space::rows, store_keys::staged_key(number_, staged_kind::execution, key));
            if (!record) return fail(record.error());
            if (!*record) return wrong_state("lacks the execution of a request");
        }
        return {};
    });
}

result<void> bucket_state::enter(const walk_end& end, timestamp horizon, const replica_id& source) {
    {
        const std::unique_lock lock(mutex_);
        if (auto usable = check_usable(); !usable) return usable;
        if (auto sound = check_end(end, horizon, source); !sound) return sound;
        frontier theirs;
        for (const auto& l : end.reflects) theirs.push_back({l.origin, l.at.sequence, l.at.head});
        if (auto same = compare(theirs); !same) return same;
        // What has changed in memory belongs to what is replaced.
        lag_bytes_ += 1;
        if (auto flushed = flush_locked(); !flushed) return flushed;

        entering next;
        next.had_forgotten = forgotten_;
        auto visited = requests_.visit([&](const hash128& identity, const known_request& known) {
            if (known.issued < forgotten_) next.had_open.push_back(identity);
            return true;
        });
        if (!visited) return visited;
        for (const auto& l : end.reflects) {
            const auto writer = meet(l.origin);
            if (!writer) return fail(writer.error());
            next.reflects[*writer] = l.at;
        }
        for (const auto& [id, sequence] : end.stable) {
            const auto writer = meet(id);
            if (!writer) return fail(writer.error());
            next.stable.join(dot{*writer, sequence});
        }
        next.forgotten = end.forgotten;
        next.members = end.members;
        if (auto sound = check_staged(next.reflects); !sound) return sound;
        const auto mine = next.reflects.find(store_.self().number);
        const bool is_own_past = mine != next.reflects.end() && mine->second.sequence > tail_of(store_.self().number).sequence;
        storage::batch batch;
        const auto known_origins = store_.origins().size();
        const auto next_self = is_own_past ? store_.next_incarnation(batch) : store_.self().number;
        store_.persist_origins(batch);
        batch.put(space::meta, entering_key_, codec::encode(next));
        // From here on it has entered: whoever opens the store after a crash goes on with it.
        if (auto written = store_.engine().write(batch); !written) return written;
        store_.origins_persisted(known_origins);
        if (is_own_past) store_.take_incarnation(next_self);
        auto entered = finish_entering(next);
        if (!entered) broken_ = entered.error();
        if (!entered) return entered;
        logged(1);
        has_duties_ = true;
    }
    store_.notify();
    return {};
}

/// May have been begun before, and done in part.
result<void> bucket_state::finish_entering(entering next) {
    for (const auto& entry : next.reflects) store_.clock().observe(entry.second.at);
    if (!next.is_in_rows) {
        if (auto moved = move_staged(next); !moved) return moved;
    }
    if (auto begun = begin_from_rows(); !begun) return begun;
    if (auto done = forget_again(next); !done) return done;
    storage::batch batch;
    batch.erase(space::meta, entering_key_);
    return store_.engine().write(batch);
}

result<void> bucket_state::move_staged(entering& next) {
    // Feeds read the log, and what is known of requests along with it.
    const std::unique_lock uncut(cut_mutex_);
    auto& engine = store_.engine();
    storage::batch batch;
    const auto write = [&]() -> result<void> {
        auto written = engine.write(batch);
        batch.clear();
        return written;
    };
    // Rows, marks, requests and rivals of before.
    for (const auto& prefix : {store_keys::row_key(number_, {}), store_keys::leftover_key(number_, {}),
                               store_keys::request_prefix(number_),
                               store_keys::rivals_key(number_, {}, 0).substr(0, store_keys::row_key_prefix)}) {
        batch.erase_range(space::rows, prefix, store_keys::prefix_end(prefix));
    }
    version_vector reflects;
    for (const auto& [writer, last] : next.reflects) reflects.join(dot{writer, last.sequence});
    const leftover_mark mark{reflects, std::max(forgotten_, next.forgotten)};
    auto moved = visit_staged(staged_kind::row, [&](std::string_view path, std::string_view value) -> result<void> {
        rows_.add_to(batch, path, std::string(value), mark);
        return batch.bytes() < write_piece ? result<void>{} : write();
    });
    if (!moved) return moved;
    moved = visit_staged(staged_kind::request, [&](std::string_view identity, std::string_view value) -> result<void> {
        batch.put(space::rows, store_keys::request_key(number_, identity_in(identity)), std::string(value));
        return batch.bytes() < write_piece ? result<void>{} : write();
    });
    if (!moved) return moved;

    // Folds of which something is not in the rows stay.
    auto folds = folds_;
    std::erase_if(folds, [&](const logged_fold& f) {
        if (!reflects.covers(f.covers())) return false;
        batch.erase(space::log, store_keys::log_key(number_, store_keys::fold_origin, f.number));
        return true;
    });
    for (const auto& [writer, last] : next.reflects) {
        batch.erase_range(space::log, store_keys::log_key(number_, writer, 0), store_keys::log_key(number_, writer, last.sequence + 1));
    }
    moved = visit_staged(staged_kind::execution, [&](std::string_view key, std::string_view value) -> result<void> {
        batch.put(space::log, std::string(key), std::string(value));
        return {};
    });
    if (!moved) return moved;
    auto members = members_;
    members.adopt(next.members, next.stable);
    const watermark mark_of_rows{reflects, store_.clock().last(), members, next.reflects, extent_.bytes(), mark.forgotten};
    batch.put(space::meta, watermark_key_, codec::encode(mark_of_rows));
    const auto staged = store_keys::staged_prefix(number_);
    batch.erase_range(space::rows, staged, store_keys::prefix_end(staged));
    next.is_in_rows = true;
    batch.put(space::meta, entering_key_, codec::encode(next));
    if (auto written = write(); !written) return written;
    floor_ = {next.reflects.begin(), next.reflects.end()};
    folds_ = std::move(folds);
    return {};
}

/// What had been fixed here the source may still have taken for open: this member has told others that it is not.
result<void> bucket_state::forget_again(const entering& state) {
    const std::set<hash128> open(state.had_open.begin(), state.had_open.end());
    for (bool more = true; more;) {
        more = false;
        std::vector<hash128> fixed;
        auto visited = requests_.visit([&](const hash128& identity, const known_request& known) {
            if (known.issued < state.had_forgotten && !open.contains(identity)) fixed.push_back(identity);
            return true;
        });
        if (!visited) return visited;
        for (const auto& identity : fixed) {
            const auto done = forget(identity, state.had_forgotten);
            if (!done) return fail(done.error());
            more = more || *done;  // others may have waited for it
        }
    }
    lag_bytes_ += 1;
    return flush_locked();
}

/// What the engine holds has been replaced.
result<void> bucket_state::begin_from_rows() {
    auto stored = store_.engine().get(space::meta, watermark_key_);
    if (!stored) return fail(stored.error());
    const auto mark = *stored ? codec::decode<watermark>(**stored) : std::nullopt;
    if (!mark) return fail(errc::corrupt, "the watermark of bucket \"" + name_ + "\" cannot be decoded");
    rows_.clear();
    requests_.clear();
    open_ = {};
    spent_.clear();
    fences_.clear();
    prunable_ = {};
    extent_ = log_extent(extent_step(store_.options()), store_.options().log_limit_age / 16);
    std::vector<std::pair<origin, tail>> ends;
    for (const auto& [writer, last] : mark->floor) {
        if (tail_of(writer).sequence < last.sequence) ends.emplace_back(writer, last);
        store_.clock().observe(last.at);
    }
    advance(ends);
    return restore(*mark);
}

}  // namespace anabranch::detail
