// The state of a bucket, taken from a peer where the log does not reach. docs/reconciliation.md
#include <anabranch/limits.hpp>
#include <algorithm>
#include <set>

#include "codec/archive.hpp"
#include "store/bucket_state.hpp"
#include "store/field_kind.hpp"
#include "store/log_stream.hpp"
#include "store/store_state.hpp"
#include "store/walk_input.hpp"

namespace anabranch::detail {
namespace {

using storage::space;
using store_keys::staged_kind;

template <class T>
std::optional<T> decode_foreign(std::string_view bytes, const crdt::foreign_input::numbers& numbers) {
    crdt::foreign_input in(bytes, numbers);
    T value{};
    in(value);
    return in.complete() ? std::optional(std::move(value)) : std::nullopt;
}

}  // namespace

result<std::unique_ptr<walk_sink>> bucket_state::receive_walk(const positions& peer, const replica_id& from) {
    auto repairs = rows_to_take(from);
    const std::unique_lock lock(mutex_);
    // One that has entered half way is finished before: nothing of it may go.
    if (auto ready = check_ready(); !ready) return fail(ready.error());
    if (is_staging_) return std::unique_ptr<walk_sink>{};
    walk_request request;
    request.forgotten = forgotten_;
    request.touched = repairs;
    request.only = holding_.wanted;
    if (staged_ && !staged_->upto.empty() && staged_->only == request.only) request.goes_on = walk_request::broken_off{staged_->source, staged_->at, staged_->upto};
    // Rows lack what has not been read, and the log from which that could be goes; or they have what does not count.
    const bool needs_all = has_unread_ || has_orphans_ || holding_.held != holding_.wanted;
    if (needs_all && request.goes_on && !staged_->is_whole) request.goes_on.reset();
    // Where all rows were to come and some have, the others still are.
    if (!needs_all && (!request.goes_on || !staged_->is_whole)) {
        for (const auto& [writer, sequence] : have_) request.has[store_.origins().id(writer)] = sequence;
    }
    // The item that it broke off in goes on, whatever has become of it since.
    if (auto open = request.goes_on && !staged_->is_whole ? add_open_items(request) : result<void>{}; !open) return fail(open.error());
    // What the peer has of a request may be fixed there; then its rows are settled there, and in doubt here.
    const auto may_have = [&](const crdt::contestant& x) { return holds(peer, store_.origins().id(x.id.writer), x.id.sequence); };
    std::set<hash128> touching;
    std::size_t bytes = 0;
    for (const auto& path : repairs) bytes += path.size();
    result<void> added;
    auto visited = requests_.visit([&](const hash128& identity, const known_request& known) {
        if (std::ranges::none_of(known.executions, may_have)) return true;
        touching.insert(identity);
        added = add_touched(known, request.touched, bytes);
        return added.has_value() && bytes <= most_touched;
    });
    if (!visited) return fail(visited.error());
    if (!added) return fail(added.error());
    // Where that is more than all may be, all is to come.
    if (bytes > most_touched && !request.has.empty()) {
        request.has.clear();
        request.goes_on.reset();
    }
    if (request.has.empty()) request.touched.clear();
    is_staging_ = true;
    return std::make_unique<walk_sink>(std::shared_ptr<bucket_state>(store_.shared_from_this(), this), std::move(request), std::move(repairs), std::move(touching));
}

/// Those that are staged and above where rows have come up to.
result<void> bucket_state::add_open_items(walk_request& request) const {
    const std::string_view upto = request.goes_on->upto;
    for (std::size_t size = 0;;) {
        const auto item = upto.substr(0, size);
        const auto staged = store_.engine().get(space::rows, store_keys::staged_key(number_, staged_kind::item, item));
        if (!staged) return fail(staged.error());
        if (*staged) request.touched.emplace_back(item);
        const auto next = store_keys::first_segment(upto.substr(size));
        if (!next) return {};
        size += next->length;
    }
}

walk_sink::~walk_sink() { to_->stop_staging(is_void_); }

void bucket_state::stop_staging(bool is_void) {
    const std::unique_lock lock(mutex_);
    if (is_void && !broken_) (void)erase_staged();  // the next one begins with it, too
    is_staging_ = false;
    rows_announced_.reset();
    has_duties_ = true;
}

/// Where there is anything.
result<void> bucket_state::erase_staged() {
    staged_.reset();
    const auto other = store_keys::other_rows(rows_.place());
    storage::batch batch;
    for (const auto& prefix : {store_keys::staged_prefix(number_), store_keys::row_key(other, {}), store_keys::leftover_key(other, {})}) {
        const auto cursor = store_.engine().scan(space::rows, prefix);
        if (auto status = cursor->status(); !status) return status;
        if (cursor->valid() && cursor->key().starts_with(prefix)) batch.erase_range(space::rows, prefix, store_keys::prefix_end(prefix));
    }
    return batch.empty() ? result<void>{} : store_.engine().write(batch);
}

/// What a process that has died had taken of a walk.
result<void> bucket_state::find_staged() {
    auto stored = store_.engine().get(space::rows, store_keys::staged_key(number_, staged_kind::progress, {}));
    if (!stored) return fail(stored.error());
    if (!*stored) return {};  // it is written with all that comes, and erased with it
    staged_ = codec::decode<staged_progress>(**stored);
    if (!staged_) return fail(errc::corrupt, "how far the state of bucket \"" + name_ + "\" has come cannot be decoded");
    return {};
}

result<std::optional<positions>> walk_sink::take(std::string_view bytes, timestamp horizon, const replica_id& source) {
    is_void_ = true;  // unless all goes well
    const auto piece = decode_walk<walk_piece>(bytes, most_piece_strings);
    if (!piece) return fail(errc::malformed, "a piece of the state of bucket \"" + to_->name() + "\" cannot be decoded");
    if (piece->begin.has_value() == begin_.has_value()) return to_->wrong_state("does not begin with what it is");
    if (piece->begin) {
        if (auto begun = to_->begin_staging(*piece->begin, *this, horizon, source); !begun) return fail(begun.error());
        begin_ = piece->begin;
    }
    if (auto staged = to_->stage(*piece, *this); !staged) return fail(staged.error());
    for (const auto& item : piece->items) rows_ += item.rows.size();
    if (!piece->is_last) {
        is_void_ = false;
        return std::optional<positions>{};
    }
    if (auto entered = to_->enter(*this, horizon, source); !entered) {
        // What has come is good, and goes on where the rest can come.
        is_void_ = entered.error().code != errc::behind_cut && entered.error().code != errc::storage_full;
        return fail(entered.error());
    }
    is_void_ = false;
    to_->note_taken(repairs_);
    positions reflects;
    for (const auto& l : begin_->reflects) reflects[l.origin] = l.at.sequence;
    return std::optional(std::move(reflects));
}

tl::unexpected<error> bucket_state::wrong_state(const char* what) const {
    return fail(errc::malformed, "the state of bucket \"" + name_ + "\" that a peer has sent " + what);
}

/// It would have to be kept without its log, from which it could be read later.
tl::unexpected<error> bucket_state::unknown_state() const {
    return fail(errc::unsupported_protocol, "the state of bucket \"" + name_ + "\" that a peer has sent holds what this build does not know");
}

result<void> bucket_state::begin_staging(const walk_begin& begin, walk_sink& sink, timestamp horizon, const replica_id& source) {
    const std::unique_lock lock(mutex_);
    if (auto usable = check_usable(); !usable) return usable;
    if (auto sound = check_begin(begin, horizon, source); !sound) return sound;
    if (sink.request_.has.empty() && !begin.is_whole) return wrong_state("is a part of what is lacking");
    version_vector reflects;
    for (const auto& l : begin.reflects) {
        const auto writer = meet(l.origin);
        if (!writer) return fail(writer.error());
        reflects.join(dot{*writer, l.at.sequence});
    }
    rows_announced_ = begin.rows;
    if (!begin.goes_on) {
        if (auto erased = erase_staged(); !erased) return erased;
        staged_ = staged_progress{begin.source, begin.at, {}, begin.is_whole, std::move(reflects), 0, sink.request_.only};
        return {};
    }
    const auto& asked = sink.request_.goes_on;
    if (!asked || !staged_ || begin.source != asked->source || begin.is_whole != staged_->is_whole || !reflects.covers(staged_->reflects)) {
        return wrong_state("goes on with another one");
    }
    staged_->reflects = std::move(reflects);
    sink.is_catching_up_ = true;
    storage::batch batch;
    for (const auto kind : {staged_kind::request, staged_kind::execution}) {
        const auto prefix = store_keys::staged_key(number_, kind, {});
        batch.erase_range(space::rows, prefix, store_keys::prefix_end(prefix));
    }
    return store_.engine().write(batch);
}

/// Where a row stands until it enters: where all are new, where it is going to stand.
std::string bucket_state::staged_row(std::string_view path) const {
    return staged_->is_whole ? store_keys::row_key(store_keys::other_rows(rows_.place()), path) : store_keys::staged_key(number_, staged_kind::row, path);
}

result<void> bucket_state::stage(const walk_piece& piece, walk_sink& sink) {
    sink.replicas_.insert(sink.replicas_.end(), piece.replicas.begin(), piece.replicas.end());
    if (sink.replicas_.size() > limits::origins) return wrong_state("names too many replicas");
    sink.numbers_.resize(sink.replicas_.size());
    const std::unique_lock lock(mutex_);
    if (auto usable = check_usable(); !usable) return usable;
    std::size_t names = 0;
    const crdt::foreign_input::numbers number_of = [&](std::uint64_t there) -> std::optional<origin> {
        if (there >= sink.replicas_.size() || ++names > most_names) return std::nullopt;
        auto& number = sink.numbers_[there];
        if (!number) {
            const auto met = meet(sink.replicas_[there]);
            if (met) number = *met;
        }
        return number;
    };
    storage::batch batch;
    for (const auto& item : piece.items) {
        if (auto staged = stage_item(item, sink, number_of, batch); !staged) return staged;
    }
    if (piece.has_caught_up) {
        erase_rest(sink, batch);
        if (!std::exchange(sink.is_catching_up_, false)) return wrong_state("catches up twice");
        staged_->at = sink.begin_->at;
        sink.last_path_.clear();
    }
    if (staged_->only && (!piece.requests.empty() || !piece.executions.empty())) return wrong_state("has requests beside a part of its rows");
    const bool has_rows_to_come = sink.is_catching_up_ && (!piece.requests.empty() || !piece.executions.empty() || piece.is_last);
    if (has_rows_to_come) return wrong_state("ends before it has caught up");
    if (!knows_requests() && !(piece.requests.empty() && piece.executions.empty())) return unknown_state();
    for (const auto& [identity, bytes] : piece.requests) {
        const auto known = decode_foreign<known_request>(bytes, number_of);
        if (!known || known->executions.empty() || (sink.last_request_ && identity <= *sink.last_request_)) {
            return wrong_state("has a request that cannot be decoded, or not in its order");
        }
        batch.put(space::rows, store_keys::staged_request_key(number_, identity), codec::encode(*known));
        sink.last_request_ = identity;
    }
    for (const auto& x : piece.executions) {
        const auto writer = meet(x.origin);
        if (!writer) return fail(writer.error());
        const bool is_possible = x.value.size() >= head_size && x.value.size() <= head_size + limits::transaction;
        const auto record = is_possible ? oplog::decode_record(body_of(x.value)) : std::nullopt;
        if (!record || record->kind != oplog::record_kind::execution || x.sequence == 0) return wrong_state("has an execution that is none");
        for (const auto& mention : record->mentioned) {
            if (const auto met = meet(mention); !met) return fail(met.error());
        }
        const dot id{*writer, x.sequence};
        const auto execution = logged_record{*record, *find_mentioned(record->mentioned)}.execution_at(id, kinds_);
        if (!execution) return wrong_state("has an execution that cannot be decoded");
        if (!execution->what.unknown.empty()) return unknown_state();
        batch.put(space::rows, store_keys::staged_key(number_, staged_kind::execution, store_keys::log_key(number_, *writer, x.sequence)), x.value);
    }
    batch.put(space::rows, store_keys::staged_key(number_, staged_kind::progress, {}), codec::encode(*staged_));
    const auto known_origins = store_.origins().size();
    store_.persist_origins(batch);
    if (auto written = store_.engine().write(batch); !written) return written;
    store_.origins_persisted(known_origins);
    return {};
}

void bucket_state::erase_rest(walk_sink& sink, storage::batch& batch) const {
    const auto rest = std::exchange(sink.rest_, std::nullopt);
    if (rest) batch.erase_range(space::rows, staged_row(rest->from), store_keys::prefix_end(staged_row(rest->item)));
}

result<void> bucket_state::stage_item(const walk_piece::item& item, walk_sink& sink, const crdt::foreign_input::numbers& number_of,
                                      storage::batch& batch) {
    const auto out_of_order = [&] { return wrong_state("has rows at impossible paths, or not in their order"); };
    const bool is_item = staged_->only ? staged_->only->holds(item.prefix) : item.prefix.empty() || store_keys::is_path(item.prefix);
    const bool goes_on = !item.after.empty();
    if (!is_item || (goes_on && (!item.after.starts_with(item.prefix) || !store_keys::is_path(item.after)))) return out_of_order();
    auto& last = sink.last_path_;
    if (goes_on ? item.after < last : (!last.empty() && item.prefix <= last)) return out_of_order();
    // Who reads what has come relies on there being no gaps.
    const auto is_next_of_all = [&] {
        if (!staged_->only) return item.prefix.empty() && item.after == staged_->upto;
        return goes_on ? item.after == staged_->upto && staged_->only->is_made_of(item.prefix) : item.prefix == staged_->only->next_path(staged_->upto);
    };
    if (staged_->is_whole && !sink.is_catching_up_ && !is_next_of_all()) return out_of_order();
    if (!staged_->is_whole) batch.put(space::rows, store_keys::staged_key(number_, staged_kind::item, item.prefix), {});
    if (sink.begin_->goes_on) {
        // What came before it broke off stands until what replaces it has come: it may be read (arriving()).
        const bool is_same = goes_on && item.after == last && sink.rest_ && sink.rest_->item == item.prefix;
        if (!is_same) erase_rest(sink, batch);
        auto from = goes_on ? item.after + '\0' : item.prefix;
        if (!item.rows.empty()) {
            auto next = item.prefix + item.rows.back().rest + '\0';
            batch.erase_range(space::rows, staged_row(from), staged_row(next));
            from = std::move(next);
        }
        sink.rest_ = {std::move(from), item.prefix};
    }
    last = goes_on ? item.after : item.prefix;
    const leftover_mark mark{staged_->reflects, std::max(forgotten_, sink.begin_->forgotten)};
    std::string encoded;
    bool is_first = !goes_on;
    for (const auto& r : item.rows) {
        auto path = item.prefix + r.rest;
        if (!store_keys::is_path(path) || (std::exchange(is_first, false) ? path < last : path <= last)) return out_of_order();
        if (sink.is_catching_up_ && path > staged_->upto) return out_of_order();
        if (const auto there = crdt::encoded_kind(r.bytes); there && !kinds_.holds(*there)) return unknown_state();
        const auto row = crdt::decode_row(r.bytes, number_of);
        const auto kind = row_kind_at(path);
        if (!row || (kind && *kind != crdt::kind_of(*row))) return wrong_state("has a row that cannot be decoded");
        encoded.clear();
        crdt::encode_row(*row, encoded);
        if (staged_->is_whole) {
            row_table::add_to(batch, store_keys::other_rows(rows_.place()), path, encoded, mark);
        } else {
            batch.put(space::rows, staged_row(path), encoded);
        }
        last = std::move(path);
    }
    if (sink.is_catching_up_) return {};
    staged_->upto = last;
    staged_->rows += item.rows.size();
    return {};
}

/// What is here and not in the state that enters is applied again on top of it: so the log has to hold it.
result<void> bucket_state::check_begin(const walk_begin& state, timestamp horizon, const replica_id& source) const {
    auto members = members_.roster();
    members.join(state.members);
    if (!crdt::is_sound(state.members)) return wrong_state("has an impossible roster");
    if (auto bounded = check_size(members); !bounded) return bounded;
    std::map<replica_id, tail> reflects;
    for (const auto& l : state.reflects) {
        const auto writer = store_.origins().find(l.origin);
        const bool is_new = !writer || tail_of(*writer).sequence < l.at.sequence;
        // As its records would be judged.
        if (auto allowed = is_new ? check_writer(members, {l.origin, l.at.sequence}, source) : result<void>{}; !allowed) return allowed;
        if (l.at.at > horizon) {
            return fail(errc::refused, "the state of bucket \"" + name_ + "\" that a peer has sent is from too far in the future");
        }
        reflects.emplace(l.origin, l.at);
    }
    for (const auto& [id, sequence] : state.stable) {
        const auto it = reflects.find(id);
        if (it == reflects.end() || it->second.sequence < sequence) return wrong_state("calls stable what it does not have");
    }
    for (const auto& [writer, last] : floor_) {
        const auto& id = store_.origins().id(writer);
        const auto* m = state.members.find(id);
        const auto counted = m != nullptr && m->at == crdt::roster::stage::retired ? std::min(m->last, last.sequence) : last.sequence;
        const auto it = reflects.find(id);
        if (counted == 0 || (it != reflects.end() && it->second.sequence >= counted)) continue;
        return fail(errc::behind_cut, "the log of bucket \"" + name_ + "\" has been cut up to transaction " + std::to_string(last.sequence) +
                                          " of replica " + to_string(id) + ", which the peer lacks, and it has cut what is lacking here");
    }
    // What is here and does not count goes: all rows have to come then, from who knows that.
    const auto orphans = orphans_in(state.members);
    if (!orphans.empty() && !state.is_whole) return orphaned();
    for (const auto& id : orphans_in(members_.roster())) {
        if (std::ranges::find(orphans, id) == orphans.end()) {
            return fail(errc::retired, "the peer has not heard that replica " + to_string(id) + " was retired from bucket \"" + name_ + '"');
        }
    }
    for (const auto& id : orphans) {
        const auto it = reflects.find(id);
        const auto last = state.members.find(id)->last;
        if (last > 0 && (it == reflects.end() || it->second.sequence < last)) return wrong_state("lacks what counts of a retired replica");
    }
    const auto& founder = members_.roster().founder;
    if (!state.members.founder || (founder && *founder != *state.members.founder)) {
        return fail(errc::foreign_bucket, "bucket \"" + name_ + "\" there is another one than here");
    }
    return {};
}

}  // namespace anabranch::detail
