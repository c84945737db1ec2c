// Reading a bucket's log for a peer: as records, or folded.
#include <algorithm>
#include <map>
#include <tuple>

#include "codec/archive.hpp"
#include "store/bucket_state.hpp"
#include "store/log_stream.hpp"
#include "store/store_state.hpp"

namespace anabranch::detail {
namespace {

using storage::space;

/// The chunk's ranges, with this store's numbers; it knows all of their replicas.
std::vector<crdt::dot_range> dot_ranges(const oplog::chunk& chunk, const origin_table& origins) {
    std::vector<crdt::dot_range> ranges;
    for (const auto& r : chunk.ranges) ranges.push_back({*origins.find(r.origin), r.first, r.last});
    return ranges;
}

/// One that does not become a part of the fold: an execution, or what nobody here can read all of.
struct aside_record {
    timestamp at;
    replica_id origin;
    std::uint64_t sequence;
    std::string body;
};

/// One that nobody has judged when it was logged, and that turns out not to be what it says, stays unread.
std::optional<oplog::record> decode_body(std::string_view logged, std::uint64_t known, std::uint64_t unjudged) {
    auto record = oplog::decode_record(logged, known);
    return record ? record : oplog::decode_record(logged, known & ~unjudged);
}

}  // namespace

/// What a reader of the log lacks.
struct bucket_state::stretch {
    struct lane {
        origin writer;
        std::uint64_t after;
    };
    std::vector<lane> lanes;
    std::vector<std::unique_ptr<oplog::record_stream>> records;
    std::vector<const logged_fold*> folds;  // by least timestamp
    std::uint64_t missing = 0;
};

result<oplog::chunk> bucket_state::read_log(const positions& after, timestamp ceiling,
                                            const oplog::portion& size) const {
    const std::shared_lock uncut(cut_mutex_);
    auto found = survey(after);
    if (!found) return fail(found.error());
    if (found->missing > size.fold_above) return read_folded(std::move(*found), ceiling, size.fold_bytes);
    const auto folds_begin = found->folds.empty() ? ceiling : std::min(ceiling, found->folds.front()->least);
    {
        oplog::merged_stream merged(std::move(found->records));
        auto chunk = oplog::collect(merged, folds_begin, size.record_bytes);
        if (!chunk || !chunk->empty() || found->folds.empty()) return chunk;
    }
    // What comes next is here as a fold only.
    found = survey(after);
    if (!found) return fail(found.error());
    return read_folded(std::move(*found), ceiling, size.fold_bytes);
}

result<bucket_state::stretch> bucket_state::survey(const positions& after) const {
    tails durable;
    {
        const std::lock_guard lock(durable_mutex_);
        durable = durable_;
    }
    stretch found;
    for (const auto& entry : durable) {
        const auto writer = entry.first;
        const auto& last = entry.second;
        const auto& id = store_.origins().id(writer);
        const auto it = after.find(id);
        const auto known = it == after.end() ? 0 : it->second;
        if (known >= last.sequence) continue;
        if (const auto floor = floor_.find(writer); floor != floor_.end() && known < floor->second.sequence) {
            return fail(errc::behind_cut, "the log of bucket \"" + name_ + "\" has been cut up to transaction " +
                                              std::to_string(floor->second.sequence) + " of replica " + to_string(id) +
                                              ", the peer has no more than " + std::to_string(known));
        }
        found.missing += last.sequence - known;
        found.lanes.push_back({writer, known});
        auto next = known + 1;
        const auto read_up_to = [&](std::uint64_t end) {
            if (next > end) return;
            found.records.push_back(std::make_unique<log_stream>(store_.engine(), number_, writer, id, next, end));
        };
        for (const auto& f : folds_) {
            const auto* range = f.find(writer);
            if (range == nullptr || range->last < next || range->last > last.sequence) continue;
            read_up_to(range->first - 1);
            next = range->last + 1;
            if (std::ranges::find(found.folds, &f) == found.folds.end()) found.folds.push_back(&f);
        }
        read_up_to(last.sequence);
    }
    std::ranges::sort(found.folds, {}, &logged_fold::least);
    return found;
}

/// From where the reader is, whole folds and whatever else lies in their time, as one fold: no cut goes through a fold that
/// the reader lacks, since what it holds and what lies beside it may depend on each other.
result<oplog::chunk> bucket_state::read_folded(stretch found, timestamp ceiling, std::size_t max_bytes) const {
    oplog::merged_stream merged(std::move(found.records));
    crdt::folding all;
    std::map<origin, tail> ends;
    // A fold may come before records of its origin that precede it: what it says of its time includes what is known already.
    const auto raise = [&](origin writer, const tail& end) {
        auto& current = ends[writer];
        if (current.sequence < end.sequence) current = end;
    };
    std::optional<timestamp> least;
    timestamp until;  // what is not later belongs to the folds so far
    std::size_t records = 0;
    std::vector<oplog::chunk> folds;
    std::vector<aside_record> asides;
    std::size_t aside_bytes = 0;
    auto next_fold = found.folds.begin();
    for (auto* top = merged.top(); top != nullptr || next_fold != found.folds.end(); top = merged.top()) {
        const bool is_fold = next_fold != found.folds.end() && (top == nullptr || (*next_fold)->least <= merged.at());
        const auto at = is_fold ? (*next_fold)->least : merged.at();
        if (!least || at > until) {
            auto end = at;
            for (auto f = next_fold; is_fold && f != found.folds.end() && (*f)->least <= end; ++f) end = std::max(end, (*f)->greatest);
            if (end >= ceiling || (least && all.bytes() + aside_bytes >= max_bytes)) break;
            until = end;
        }
        if (!least) least = at;
        if (is_fold) {
            const auto& f = **next_fold++;
            auto chunk = load_fold(f);
            if (!chunk) return fail(chunk.error());
            auto changes = decode_logged(*chunk);
            if (!changes) return fail(changes.error());
            all.add(std::move(*changes));
            for (const auto& a : chunk->folded->asides) {
                aside_bytes += a.body.size();
                asides.push_back({oplog::record_time(a.body), chunk->ranges[a.range].origin, a.sequence, a.body});
            }
            for (std::size_t i = 0; i < f.ranges.size(); ++i) raise(f.ranges[i].writer, {f.ranges[i].last, f.heads[i], f.ends[i]});
            folds.push_back(std::move(*chunk));
        } else {
            const auto writer = *store_.origins().find(top->origin());
            const auto record = open_logged(*top);
            if (!record) return fail(record.error());
            const dot id{writer, top->sequence()};
            if (record->is_execution() || holds_unknown(id, *record)) {
                aside_bytes += top->body().size();
                asides.push_back({at, top->origin(), top->sequence(), std::string(top->body())});
            } else if (!all.add(record->content.payload, {id, at}, record->mentioned, kinds_)) {
                return undecodable(*top);
            }
            raise(writer, {top->sequence(), top->head(), at});
            ++records;
            merged.next();
        }
    }
    if (auto status = merged.status(); !status) return fail(status.error());

    oplog::chunk chunk;
    std::vector<crdt::dot_range> ranges;
    chunk.folded = oplog::chunk::fold{};
    for (const auto& [writer, after] : found.lanes) {
        const auto end = ends.find(writer);
        if (end == ends.end() || end->second.sequence <= after) continue;
        chunk.ranges.push_back({store_.origins().id(writer), after + 1, end->second.sequence, end->second.head});
        chunk.folded->ends.push_back(end->second.at);
        ranges.push_back({writer, after + 1, end->second.sequence});
    }
    if (ranges.empty()) return oplog::chunk{};
    if (records == 0 && folds.size() == 1 && folds.front().ranges == chunk.ranges) return std::move(folds.front());
    chunk.folded->least = *least;
    chunk.folded->greatest = until;
    std::ranges::sort(asides, {}, [](const aside_record& x) { return std::tie(x.at, x.origin); });
    for (auto& x : asides) {
        const auto range = std::ranges::find(chunk.ranges, x.origin, &oplog::chunk::range::origin);
        // What the reader has of it stands in the fold only where a fold reaches back that far.
        if (range == chunk.ranges.end() || x.sequence < range->first) continue;
        chunk.folded->asides.push_back({static_cast<std::uint32_t>(range - chunk.ranges.begin()), x.sequence, std::move(x.body)});
    }
    chunk.folded->body = all.encode(ranges, store_.origins(), *least, chunk.folded->asides.empty());
    if (chunk.folded->body.size() > limits::fold) {
        return fail(errc::limit_exceeded, "what a peer lacks of bucket \"" + name_ + "\" cannot be cut into folds of " +
                                              std::to_string(limits::fold) + " bytes");
    }
    return chunk;
}

result<bucket_state::logged_record> bucket_state::open_logged(const oplog::record_stream& at) const {
    auto record = decode_body(at.body(), known_records_, unread_.unjudged_records);
    auto mentioned = record ? find_mentioned(record->mentioned) : std::nullopt;
    if (!mentioned) return undecodable(at);
    return logged_record{std::move(*record), std::move(*mentioned)};
}

tl::unexpected<error> bucket_state::undecodable(const oplog::record_stream& at) const {
    return fail(errc::corrupt, "record " + std::to_string(at.sequence()) + " of replica " + to_string(at.origin()) +
                                   " in bucket \"" + name_ + "\" cannot be decoded");
}

result<crdt::changes> bucket_state::decode_logged(const oplog::chunk& fold) const {
    auto changes = crdt::decode_fold(fold.folded->body, dot_ranges(fold, store_.origins()),
                                     [&](const replica_id& id) { return store_.origins().find(id); }, fold.folded->least, kinds_);
    if (!changes) return fail(errc::corrupt, "a fold in the log of bucket \"" + name_ + "\" cannot be decoded");
    return std::move(*changes);
}

bool bucket_state::holds_unknown(const dot& id, const logged_record& record) const {
    if (record.content.is_unread) return true;
    if (!has_unread_) return false;
    const auto all = crdt::decode_changes(record.content.payload, {id, record.content.at}, record.mentioned, kinds_);
    return all && all->unknown != 0;
}

result<bucket_state::fold_content> bucket_state::open_fold(const oplog::chunk& fold) const {
    auto changes = decode_logged(fold);
    if (!changes) return fail(changes.error());
    fold_content content{std::move(*changes), {}, 0};
    crdt::folding asides;
    bool is_any_plain = false;
    for (const auto& a : fold.folded->asides) {
        const auto writer = store_.origins().find(fold.ranges[a.range].origin);
        if (!writer) return fail(errc::corrupt, "a fold in the log of bucket \"" + name_ + "\" names an unknown replica");
        const dot id{*writer, a.sequence};
        const auto undecodable_aside = [&] {
            return fail(errc::corrupt, "what stands aside of a fold in the log of bucket \"" + name_ + "\" cannot be decoded");
        };
        auto decoded = decode_body(a.body, known_records_, unread_.unjudged_records);
        auto mentioned = decoded ? find_mentioned(decoded->mentioned) : std::nullopt;
        if (!mentioned) return undecodable_aside();
        const logged_record record{std::move(*decoded), std::move(*mentioned)};
        if (record.content.is_unread) {
            content.unread |= oplog::bit_of(record.content.kind);
            continue;
        }
        if (record.is_execution()) {
            auto x = record.execution_at(id, kinds_);
            if (x) content.executions.push_back(std::move(x));
            else if (has_judged(record.content.kind)) return undecodable_aside();
            continue;
        }
        auto changed = crdt::decode_changes(record.content.payload, {id, record.content.at}, record.mentioned, kinds_);
        if (!changed) return undecodable_aside();
        asides.add(std::move(*changed));
        is_any_plain = true;
    }
    if (is_any_plain) {
        asides.add(std::move(content.changes));
        content.changes = asides.take(dot_ranges(fold, store_.origins()));
    }
    return content;
}

result<oplog::chunk> bucket_state::load_fold(const logged_fold& f) const {
    auto value = store_.engine().get(space::log, store_keys::log_key(number_, store_keys::fold_origin, f.number));
    if (!value) return fail(value.error());
    auto decoded = *value ? codec::decode<fold_value>(**value) : std::nullopt;
    if (!decoded || !decoded->chunk.folded || !oplog::is_sound(decoded->chunk)) {
        return fail(errc::corrupt, "fold " + std::to_string(f.number) + " in the log of bucket \"" + name_ + "\" cannot be decoded");
    }
    // What has been cut away of an origin whoever reads the fold has: else it would be behind the cut.
    std::erase_if(decoded->chunk.folded->asides, [&](const auto& a) {
        const auto writer = store_.origins().find(decoded->chunk.ranges[a.range].origin);
        const auto floor = writer ? floor_.find(*writer) : floor_.end();
        return floor != floor_.end() && a.sequence <= floor->second.sequence;
    });
    // Records of executions stand where all records do.
    for (auto& a : decoded->chunk.folded->asides) {
        const auto writer = store_.origins().find(decoded->chunk.ranges[a.range].origin);
        auto record = writer ? logged_value({*writer, a.sequence}) : std::optional<std::string>{};
        if (!record) return fail(record.error());
        if (!*record) return fail(errc::corrupt, "the log of bucket \"" + name_ + "\" has a gap");
        a.body = body_of(**record);
    }
    return std::move(decoded->chunk);
}

const logged_fold* bucket_state::fold_with(const dot& d) const {
    const auto it = std::ranges::find_if(folds_, [&](const logged_fold& f) {
        const auto* range = f.find(d.writer);
        return range != nullptr && range->holds(d.sequence);
    });
    return it == folds_.end() ? nullptr : &*it;
}

bool bucket_state::is_inside_fold(const dot& d) const {
    const auto* f = fold_with(d);
    return f != nullptr && d.sequence < f->find(d.writer)->last;
}

/// Head and body; nothing where the log has no such record, or only within a fold.
result<std::optional<std::string>> bucket_state::logged_value(const dot& id) const {
    auto value = store_.engine().get(space::log, store_keys::log_key(number_, id.writer, id.sequence));
    if (value && *value && (*value)->size() < head_size) value->reset();
    return value;
}

std::optional<timestamp> bucket_state::logged_time(const dot& d) const {
    const auto record = logged_value(d);
    if (!record || !*record) return std::nullopt;
    return oplog::record_time(body_of(**record));
}

/// The chain's head there; nothing where that is cut away or inside a fold.
result<std::optional<hash128>> bucket_state::head_at(origin writer, std::uint64_t sequence) const {
    if (const auto floor = floor_.find(writer); floor != floor_.end() && sequence <= floor->second.sequence) {
        if (sequence == floor->second.sequence) return std::optional(floor->second.head);
        return std::nullopt;
    }
    if (is_inside_fold({writer, sequence})) return std::nullopt;
    const auto end = tail_at(writer, sequence);
    if (!end) return fail(end.error());
    return std::optional(end->head);
}

result<void> bucket_state::compare(const frontier& peer) const {
    const std::shared_lock uncut(cut_mutex_);
    for (const auto& theirs : peer) {
        const auto writer = store_.origins().find(theirs.origin);
        if (!writer || theirs.sequence == 0) continue;
        const auto ours = tail_of(*writer);
        if (ours.sequence < theirs.sequence) continue;  // theirs to compare
        std::optional<hash128> head = ours.head;
        if (ours.sequence > theirs.sequence) {
            auto found = head_at(*writer, theirs.sequence);
            if (!found) return fail(found.error());
            head = *found;
        }
        if (head && *head != theirs.head) {
            return fail(errc::diverged, "two histories of replica " + to_string(theirs.origin) + " in bucket \"" + name_ +
                                            "\" differ at or before record " + std::to_string(theirs.sequence) +
                                            ": a restored backup, a cloned disk or a damaged one");
        }
    }
    return {};
}

// --- folds that arrive -----------------------------------------------------------------------------------

result<bucket_state::examined> bucket_state::examine_fold(const oplog::chunk& chunk, timestamp horizon,
                                                          const replica_id& source) {
    examined found;
    auto begun = lanes_of(chunk);
    if (!begun) return fail(begun.error());
    const auto is_new = [&](std::size_t i) { return chunk.ranges[i].last > (*begun)[i].last.sequence; };
    logged_fold fold{folds_.empty() ? 1 : folds_.back().number + 1, have_, {}, {}, {}, chunk.folded->least, chunk.folded->greatest};
    version_vector covers;
    std::vector<crdt::dot_range> ranges;
    for (std::size_t i = 0; i < begun->size(); ++i) {
        const auto& range = chunk.ranges[i];
        const auto& [writer, next, last] = (*begun)[i];
        ranges.push_back({writer, range.first, range.last});
        if (auto same = check_head(range, last); !same) return fail(same.error());
        if (!is_new(i)) continue;
        const auto end = chunk.folded->ends[i];
        if (end <= last.at) {
            return fail(errc::malformed, "a fold of replica " + to_string(range.origin) + " in bucket \"" + name_ +
                                             "\" is not later than what was before");
        }
        covers.join(dot{writer, range.last});
        fold.ranges.push_back({writer, last.sequence + 1, range.last});
        fold.heads.push_back(range.head);
        fold.ends.push_back(end);
        found.tails.emplace_back(writer, tail{range.last, range.head, end});
        found.transactions += range.last - last.sequence;
        found.is_own_past = found.is_own_past || writer == store_.self().number;
    }
    if (covers.empty()) return found;
    const auto latest = chunk.folded->greatest;
    if (latest > horizon) {
        found.held = oplog::applied::held_record{oplog::last_of(chunk), latest, chunk.folded->least};
        return found;
    }
    const crdt::known_kinds kinds{.known = kinds_.known};  // all of it is judged now
    auto changes = crdt::decode_fold(chunk.folded->body, ranges, [&](const replica_id& id) -> std::optional<origin> {
        const auto number = meet(id);
        return number ? std::optional(*number) : std::nullopt;
    }, chunk.folded->least, kinds);
    if (!changes) return fail(errc::malformed, "a fold in bucket \"" + name_ + "\" cannot be decoded");
    auto members = members_.roster();
    members.join(changes->members);
    auto seen = have_;
    seen.join(covers);
    auto logged = chunk;
    logged.folded->asides.clear();
    crdt::folding asides;
    bool is_any_plain = false;
    for (const auto& a : chunk.folded->asides) {
        const auto& l = (*begun)[a.range];
        if (a.sequence <= l.last.sequence) continue;
        if (oplog::record_time(a.body) > latest) return fail(errc::malformed, "what stands aside of a fold in bucket \"" + name_ + "\" does not belong there");
        crdt::roster change;
        auto record = examine_record({chunk.ranges[a.range].origin, a.sequence}, l.writer, timestamp{}, a.body, seen, members, change);
        if (!record) return fail(record.error());
        if (!record->what.is_execution() && !record->what.content.is_unread) {
            is_any_plain = true;
            asides.add(*crdt::decode_changes(record->what.content.payload, {record->id, record->what.content.at}, record->what.mentioned, kinds));
        }
        found.records.push_back(std::move(*record));
        // Inside of a fold there are no heads.
        found.log.put(space::log, store_keys::log_key(number_, l.writer, a.sequence), log_value({}, a.body));
        logged.folded->asides.push_back({a.range, a.sequence, {}});
    }
    if (is_any_plain) {
        asides.add(std::move(*changes));
        *changes = asides.take(ranges);
    }
    members = members_.roster();
    members.join(changes->members);
    if (auto bounded = check_size(members); !bounded) return fail(bounded.error());
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        if (!is_new(i)) continue;
        if (auto allowed = check_writer(members, {chunk.ranges[i].origin, ranges[i].last}, source); !allowed) return fail(allowed.error());
    }
    for (const auto& [path, change] : changes->rows) {
        const auto is_known = [&](const dot& birth) { return have_.covers(birth) || crdt::holds(ranges, birth); };
        if (!crdt::is_born(change.change, is_known)) {
            return fail(errc::malformed, "a fold in bucket \"" + name_ + "\" goes on with what nobody has begun");
        }
        const auto wrong = find_wrong_row(path, crdt::kind_of(change.change));
        if (!wrong) return fail(wrong.error());
        if (*wrong != nullptr) return fail(errc::malformed, "a fold in bucket \"" + name_ + "\" " + *wrong);
    }
    found.log.put(space::log, store_keys::log_key(number_, store_keys::fold_origin, fold.number), codec::encode(fold_value{have_, std::move(logged)}));
    found.folded = std::move(*changes);
    found.fold = std::move(fold);
    return found;
}

}  // namespace anabranch::detail
