// The change feed of a bucket: the log, read in the order in which it arrived here as far as folds go, and by time within
// that. So a consumer costs nothing but its place, and what happened is there as long as the log is.
#include <algorithm>

#include "codec/archive.hpp"
#include "store/bucket_state.hpp"
#include "store/feed_state.hpp"
#include "store/log_stream.hpp"
#include "store/step_writer.hpp"
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

/// What it counts for in a batch.
std::size_t size_of(const feed_step& step) { return std::max<std::size_t>(step.changes.size(), 1); }

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
        for (const auto& [writer, last] : place_) {
            if (upto_.at(writer) >= last.sequence) continue;
            return fail(errc::behind_cut, "the feed has seen transaction " + std::to_string(last.sequence) + " of replica " + to_string(id(writer)) +
                                              " in bucket \"" + from_.name_ + "\", which does not count and is not here any more");
        }
        return {};
    }

    void keep(feed_step step) {
        if (step.changes.empty() && step.executions.empty() && step.superseded.empty()) return;
        changes_ += size_of(step);
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
            feed_step step{is_local ? change_cause::local : change_cause::remote, {top->origin(), me.sequence}, merged.at(), {}, {}, {}, {}};
            step_writer to(step, below_);
            const auto is_own = [&](const dot& d) { return d == me; };
            if (record->is_execution()) {
                const auto x = record->execution_at(me, from_.kinds_);
                if (!x && from_.has_judged(record->content.kind)) return from_.undecodable(*top);
                if (auto told = x ? read_executions({x}, step, to) : result<void>{}; !told) return told;
            } else if (record->content.is_unread) {
                // Nothing of it is shown here either.
            } else {
                crdt::changes_input in(record->content.payload, {me, record->content.at}, record->mentioned, from_.kinds_);
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
        const auto content = from_.open_fold(*chunk);
        if (!content) return fail(content.error());
        const auto& first = f.ranges.front();
        feed_step step{change_cause::catch_up, {id(first.writer), first.last}, f.greatest, {}, {}, {}, {}};
        for (const auto& r : f.ranges) step.ranges.push_back({id(r.writer), r.first, r.last});
        step_writer to(step, below_);
        for (const auto& removal : content->changes.removals) to.removal(removal);
        for (const auto& r : content->changes.rows) to.row(r.key, r.change.change, [&](const dot& d) { return crdt::holds(f.ranges, d); });
        for (const auto& a : chunk->folded->asides) bytes_ += a.body.size();
        if (auto told = read_executions(content->executions, step, to); !told) return told;
        to.finish();
        keep(std::move(step));
        for (std::size_t i = 0; i < f.ranges.size(); ++i) place_[f.ranges[i].writer] = {f.ranges[i].last, f.heads[i], f.ends[i]};
        bytes_ += chunk->folded->body.size();
        return {};
    }

    /// The executions of one step, in their order.
    result<void> read_executions(const loaded_executions& in_step, feed_step& step, step_writer& to) {
        for (auto x = in_step.begin(); x != in_step.end(); ++x) {
            to.execution((*x)->what.changed, (*x)->id);
            auto before = from_.rivals_.find((*x)->id);
            if (!before) return fail(before.error());
            // Those that come later in the feed's order tell of this one.
            std::erase_if(*before, [&](const dot& d) { return !is_seen(d) && !is_among(in_step.begin(), x, d); });
            const auto earlier = from_.load_executions(*before);
            if (!earlier) return fail(earlier.error());
            auto all = *earlier;
            all.push_back(*x);
            const auto me = contestant_in(**x, all);
            if (!earlier->empty()) read_supersession(me, *earlier, all, step, to);
            const auto& content = content_in(me, all);
            if (!below_.empty() && !is_about(content.what.changed, below_)) continue;
            const auto is_unconfirmed = is_unconfirmed_after(**x, in_step);
            if (!is_unconfirmed) return fail(is_unconfirmed.error());
            step.executions.push_back(told(me, content, *is_unconfirmed));
        }
        return {};
    }

    executed_request told(const crdt::contestant& x, const loaded_execution& content, bool is_unconfirmed) const {
        const auto& r = content.what.request;
        const auto name = [&](const dot& d) { return transaction_id{id(d.writer), d.sequence}; };
        const std::chrono::milliseconds issued{static_cast<std::int64_t>(r.issued)};
        executed_request t{r.identity, issued, x.role, x.outcome, r.result, name(x.id), {}, is_unconfirmed};
        if (x.confirms) t.confirms = name(*x.confirms);
        return t;
    }

    /// An execution comes after others of its request.
    void read_supersession(const crdt::contestant& me, const loaded_executions& earlier, const loaded_executions& all, feed_step& step,
                           step_writer& to) {
        const auto before = from_.winner_of(earlier);
        const auto after = from_.winner_of(all);
        auto event = after.id == me.id ? from_.supersession(before, me, all, below_) : from_.supersession(me, after, all, below_);
        const auto& lost = content_in(after.id == me.id ? before : me, all);
        const bool is_shown = is_about(lost.what.changed, below_) || is_about(content_in(after, all).what.changed, below_);
        if (event && (below_.empty() || is_shown)) step.superseded.push_back(std::move(*event));
        if (before.content() == after.content()) return;
        // What it did counts no more, and what does instead may have been told of long ago.
        to.suppressed(content_in(before, all).what.changed, before.content());
        to.execution(content_in(after, all).what.changed, after.content());
    }

    bool is_seen(const dot& d) const {
        const auto it = place_.find(d.writer);
        return it != place_.end() && it->second.sequence >= d.sequence;
    }
    template <class Iterator>
    static bool is_among(Iterator first, Iterator last, const dot& d) {
        return std::any_of(first, last, [&](const auto& x) { return x->id == d; });
    }

    result<bool> is_unconfirmed_after(const loaded_execution& x, const loaded_executions& in_step) const {
        if (x.what.request.role == request_role::primary) return false;
        auto known = from_.requests_.find(x.what.request.identity);
        if (!known) return fail(known.error());
        if (!*known) {
            // Of forgotten ones more is known only where nobody confirmed them, or executions differ.
            const auto group = from_.rivals_.find(x.id);
            if (!group) return fail(group.error());
            if (group->empty()) return false;
            const auto all = from_.load_executions(*group);
            if (!all) return fail(all.error());
            known->emplace();
            for (const auto& other : *all) (*known)->executions.push_back(other->contestant());
        }
        return std::ranges::none_of((*known)->executions, [&](const crdt::contestant& c) {
            return c.role == request_role::primary && (is_seen(c.id) || is_among(in_step.begin(), in_step.end(), c.id));
        });
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
            changes += size_of(step);
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
