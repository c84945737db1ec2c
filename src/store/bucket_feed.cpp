// The change feed of a bucket: the log, read in the order in which it arrived here as far as folds go, and by time within
// that. So a consumer costs nothing but its place, and what happened is there as long as the log is.
#include <algorithm>
#include <map>

#include "codec/archive.hpp"
#include "store/bucket_state.hpp"
#include "store/feed_state.hpp"
#include "store/log_stream.hpp"
#include "store/store_state.hpp"

namespace anabranch::detail {
namespace {

// Of the log under one lock, for which cuts wait; and in one pull, where hardly anything is below the watched path.
constexpr std::size_t piece_bytes = 256 * 1024;
constexpr std::size_t most_pieces = 64;

/// A feed's place, as a token's content.
struct feed_place_content {
    replica_id self;
    frontier seen;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(self, seen);
    }
};

/// What became of one row.
change_kind kind_of_change(const crdt::row& change, const std::function<bool(const dot&)>& is_new) {
    struct visitor {
        const std::function<bool(const dot&)>& is_new;
        static change_kind written_if(bool is_written) { return is_written ? change_kind::written : change_kind::removed; }
        change_kind operator()(const crdt::counter_row& r) const { return written_if(!r.totals.empty()); }
        change_kind operator()(const crdt::entries_row& r) const { return written_if(!r.entries.empty()); }
        change_kind operator()(const crdt::dots_row& r) const { return written_if(!r.adds.empty()); }
        change_kind operator()(const crdt::removals_row& r) const { return written_if(!r.adds.empty()); }
        change_kind operator()(const crdt::escrow_row& r) const {
            const auto any = [&](auto predicate) {
                return std::ranges::any_of(r.generations, [&](const auto& g) { return std::ranges::any_of(g.accounts, predicate); });
            };
            if (any([&](const auto& a) { return is_new({a.writer, a.touched}); })) return change_kind::written;
            return any([](const auto&) { return true; }) ? change_kind::rights : change_kind::removed;
        }
    };
    return std::visit(visitor{is_new}, change);
}

/// Collects what a step does below a path.
class step_writer {
  public:
    step_writer(feed_step& step, std::string_view below) : step_(step), below_(below) {}

    void removal(const crdt::prefix_removal& r) {
        // Of something in it, of it, or of something that it is in.
        if (r.prefix.starts_with(below_) || below_.starts_with(r.prefix)) add(r.prefix, change_kind::emptied);
    }
    void row(std::string_view path, const crdt::row& change, const std::function<bool(const dot&)>& is_new) {
        if (!path.starts_with(below_)) return;
        const auto what = kind_of_change(change, is_new);
        const auto [it, is_first] = rows_.try_emplace(std::string(path), what);
        if (!is_first) it->second = std::min(it->second, what);
    }
    void execution(const crdt::changes& changed, const dot& me) {
        for (const auto& r : changed.removals) removal(r);
        for (const auto& r : changed.rows) row(r.key, r.change.change, [&](const dot& d) { return d == me; });
    }
    void finish() {
        for (const auto& [path, what] : rows_) add(path, what);
    }

  private:
    void add(std::string_view path, change_kind what) {
        field_change c{{}, {}, what};
        while (const auto s = store_keys::first_segment(path)) {
            path.remove_prefix(s->length);
            if (s->type == store_keys::element_type) {
                c.element = s->name;
            } else {
                c.path.push_back({s->name, static_cast<field_type>(s->type)});
            }
        }
        step_.changes.push_back(std::move(c));
    }

    feed_step& step_;
    std::string_view below_;
    std::map<std::string, change_kind, std::less<>> rows_;
};

}  // namespace

/// One pull: from a place on, as far as it may. Under cut_mutex_.
class bucket_state::feed_reader {
  public:
    feed_reader(const bucket_state& from, tails& place, std::string_view below, std::size_t most_changes)
        : from_(from), place_(place), below_(below), most_changes_(most_changes), upto_(from.to_vector(from.durable())) {}

    result<feed_batch> read() {
        if (auto reaches = check_floor(); !reaches) return fail(reaches.error());
        for (const auto& f : from_.folds_) {
            const auto covers = f.covers();
            if (seen().covers(covers)) continue;
            // In the order of arrival: after one that is not on disk nothing is.
            if (!upto_.covers(covers)) break;
            if (auto done = read_records(f.before); !done) return fail(done.error());
            batch_.more = batch_.more || is_full();
            if (batch_.more) return std::move(batch_);
            if (auto done = read_fold(f); !done) return fail(done.error());
        }
        if (auto done = read_records(upto_); !done) return fail(done.error());
        return std::move(batch_);
    }

  private:
    version_vector seen() const { return from_.to_vector(place_); }
    const replica_id& id(origin o) const { return from_.store_.origins().id(o); }
    bool is_full() const { return changes_ >= most_changes_ || bytes_ >= piece_bytes; }

    result<void> check_floor() const {
        for (const auto& [writer, last] : from_.floor_) {
            const auto it = place_.find(writer);
            if (it != place_.end() && it->second.sequence >= last.sequence) continue;
            return fail(errc::behind_cut, "the log of bucket \"" + from_.name_ + "\" has been cut up to transaction " +
                                              std::to_string(last.sequence) + " of replica " + to_string(id(writer)) +
                                              ", which the feed has not seen");
        }
        return {};
    }

    void keep(feed_step step) {
        if (step.changes.empty()) return;
        changes_ += step.changes.size();
        batch_.steps.push_back(std::move(step));
    }

    result<void> read_records(const version_vector& end) {
        const auto begin = seen();
        std::vector<std::unique_ptr<oplog::record_stream>> streams;
        for (const auto& [writer, sequence] : end.beyond(begin)) {
            streams.push_back(std::make_unique<log_stream>(from_.store_.engine(), from_.number_, writer, id(writer), begin.at(writer) + 1, sequence));
        }
        oplog::merged_stream merged(std::move(streams));
        for (auto* top = merged.top(); top != nullptr; top = merged.top()) {
            batch_.more = is_full();
            if (batch_.more) return {};
            const dot me{*from_.store_.origins().find(top->origin()), top->sequence()};
            const auto record = from_.open_logged(*top);
            if (!record) return fail(record.error());
            const bool is_local = top->origin().value == from_.store_.self().id.value;
            feed_step step{is_local ? change_cause::local : change_cause::remote, {top->origin(), me.sequence}, merged.at(), {}, {}};
            step_writer to(step, below_);
            const auto is_own = [&](const dot& d) { return d == me; };
            if (record->is_execution()) {
                const auto what = record->execution_at(me);
                if (!what) return from_.undecodable(*top);
                to.execution(what->changed, me);
            } else {
                crdt::changes_input in(record->content.payload, {me, record->content.at}, record->mentioned);
                for (const auto& removal : in.removals()) to.removal(removal);
                std::string_view path;
                for (crdt::delta change; in.next(path, change);) to.row(path, change.change, is_own);
                if (!in.members()) return from_.undecodable(*top);
            }
            to.finish();
            keep(std::move(step));
            place_[me.writer] = {me.sequence, top->head(), merged.at()};
            bytes_ += top->body().size();
            merged.next();
        }
        return merged.status();
    }

    result<void> read_fold(const logged_fold& f) {
        const auto chunk = from_.load_fold(f);
        if (!chunk) return fail(chunk.error());
        const auto folded = from_.decode_logged(*chunk);
        if (!folded) return fail(folded.error());
        const auto& first = f.ranges.front();
        feed_step step{change_cause::catch_up, {id(first.writer), first.last}, f.greatest, {}, {}};
        for (const auto& r : f.ranges) step.ranges.push_back({id(r.writer), r.first, r.last});
        step_writer to(step, below_);
        for (const auto& removal : folded->removals) to.removal(removal);
        for (const auto& r : folded->rows) to.row(r.key, r.change.change, [&](const dot& d) { return crdt::holds(f.ranges, d); });
        for (const auto& a : chunk->folded->asides) {
            const dot me{*from_.store_.origins().find(chunk->ranges[a.range].origin), a.sequence};
            const auto x = from_.load_execution(me);
            if (!x) return fail(x.error());
            to.execution((*x)->what.changed, me);
            bytes_ += a.body.size();
        }
        to.finish();
        keep(std::move(step));
        for (std::size_t i = 0; i < f.ranges.size(); ++i) place_[f.ranges[i].writer] = {f.ranges[i].last, f.heads[i], f.ends[i]};
        bytes_ += chunk->folded->body.size();
        return {};
    }

    const bucket_state& from_;
    tails& place_;
    std::string_view below_;
    std::size_t most_changes_;
    version_vector upto_;
    feed_batch batch_;
    std::size_t changes_ = 0;
    std::size_t bytes_ = 0;
};

result<feed_batch> bucket_state::read_feed(tails& place, std::string_view below, std::size_t most_changes) const {
    const std::shared_lock uncut(cut_mutex_);
    return feed_reader(*this, place, below, most_changes).read();
}

result<std::string> bucket_state::feed_token(const tails& place) const {
    return seal_of().map([&](const token_seal& seal) {
        return seal.close(token_kind::feed, codec::encode(feed_place_content{store_.self().id, to_frontier(place)}));
    });
}

result<bucket_state::tails> bucket_state::feed_place(std::string_view token) const {
    const auto seal = seal_of();
    if (!seal) return fail(seal.error());
    const auto content = seal->open(token_kind::feed, token);
    if (!content) return fail(content.error());
    const auto refuse = [&](const std::string& why) {
        return fail(errc::invalid_token, "the feed token " + why + " (bucket \"" + name_ + "\")");
    };
    const auto decoded = codec::decode<feed_place_content>(*content);
    if (!decoded) return refuse("is of another version of the library");
    if (decoded->self != store_.self().id) {
        return refuse("is of replica " + to_string(decoded->self) + ", and this is " + to_string(store_.self().id));
    }
    if (auto same = compare(decoded->seen); !same) return refuse("has seen another history: " + same.error().message);
    const auto here = durable();
    const std::shared_lock uncut(cut_mutex_);
    tails place;
    for (const auto& seen : decoded->seen) {
        const auto writer = store_.origins().find(seen.origin);
        const auto last = writer ? here.find(*writer) : here.end();
        if (last == here.end() || last->second.sequence < seen.sequence) {
            return refuse("has seen transaction " + std::to_string(seen.sequence) + " of replica " + to_string(seen.origin) +
                          ", which is not here any more");
        }
        if (is_inside_fold({*writer, seen.sequence})) return refuse("ends inside of what is here as a whole");
        place[*writer] = {seen.sequence, seen.head, {}};
    }
    return place;
}

// --- one consumer ------------------------------------------------------------------------------------------

feed_state::feed_state(std::shared_ptr<bucket_state> bucket, std::string below, std::function<void()> wake)
    : bucket_(std::move(bucket)), below_(std::move(below)), wake_(std::move(wake)), seen_(bucket_->revision()) {
    if (!wake_) return;
    subscription_ = bucket_->store().subscribe([this]() noexcept {
        if (bucket_->revision() != seen_ && is_armed_.exchange(false)) wake_();
    });
}

feed_state::~feed_state() {
    if (subscription_ != 0) bucket_->store().unsubscribe(subscription_);
}

result<void> feed_state::begin() {
    if (auto synced = bucket_->store().sync(); !synced) return synced;
    place_ = bucket_->durable();
    return {};
}

result<void> feed_state::begin(std::string_view token) {
    auto place = bucket_->feed_place(token);
    if (!place) return fail(place.error());
    place_ = std::move(*place);
    return {};
}

result<feed_batch> feed_state::pull(std::size_t most_changes) {
    // In this order, so that what comes now is seen, or wakes.
    seen_ = bucket_->revision();
    is_armed_ = true;
    auto& store = bucket_->store();
    const auto synced = store.has_undurable() ? store.sync() : result<void>{};
    // What is on disk goes on where nothing more can be put there; then it wakes when something can.
    if (!synced) seen_ = no_revision;
    feed_batch all;
    std::size_t changes = 0;
    for (std::size_t piece = 0; piece < most_pieces && changes < std::max<std::size_t>(most_changes, 1); ++piece) {
        auto place = place_;
        auto more = bucket_->read_feed(place, below_, std::max<std::size_t>(most_changes, 1) - changes);
        // What has been read is not lost; the error comes again.
        if (!more && all.steps.empty()) return more;
        all.more = !more || more->more;
        if (!more) break;
        place_ = std::move(place);
        for (auto& step : more->steps) {
            changes += step.changes.size();
            all.steps.push_back(std::move(step));
        }
        if (!all.more) break;
    }
    if (!synced && all.steps.empty()) return fail(synced.error());
    return all;
}

}  // namespace anabranch::detail

namespace anabranch {

feed::feed(std::unique_ptr<detail::feed_state> state) : state_(std::move(state)) {}
feed::feed(feed&&) noexcept = default;
feed& feed::operator=(feed&&) noexcept = default;
feed::~feed() = default;

result<feed_batch> feed::pull(std::size_t most_changes) { return state_->pull(most_changes); }
result<std::string> feed::token() const { return state_->token(); }

}  // namespace anabranch
