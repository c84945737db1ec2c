#include "sync/fake_replica.hpp"

#include <algorithm>
#include <deque>

#include "codec/archive.hpp"

namespace anabranch::test {

class fake_replica::stream final : public oplog::record_stream {
  public:
    stream(replica_id id, const log& from, std::size_t at) : id_(id), log_(from), at_(at) {}
    bool valid() const override { return at_ < log_.durable; }
    const replica_id& origin() const override { return id_; }
    std::uint64_t sequence() const override { return at_ + 1; }
    std::string_view body() const override { return log_.entries[at_].body; }
    const hash128& head() const override { return log_.entries[at_].head; }
    void next() override { ++at_; }
    result<void> status() const override { return {}; }

  private:
    replica_id id_;
    const log& log_;
    std::size_t at_;
};

/// Bodies by origin.
using fake_state = std::map<replica_id, std::vector<std::string>>;

/// Goes on where the one before ended.
struct fake_piece {
    fake_state more;
    bool is_last = false;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(more, is_last);
    }
};

class fake_replica::source final : public sync::state_source {
  public:
    explicit source(const fake_state& all) {
        for (const auto& [id, bodies] : all) {
            for (const auto& body : bodies) rest_.emplace_back(id, body);
        }
    }
    result<std::optional<std::string>> next(std::size_t most_bytes) override {
        if (is_done_) return std::optional<std::string>{};
        fake_piece piece;
        for (std::size_t bytes = 0; !rest_.empty() && (bytes == 0 || bytes + rest_.front().second.size() <= most_bytes); rest_.pop_front()) {
            bytes += rest_.front().second.size();
            piece.more[rest_.front().first].push_back(rest_.front().second);
        }
        piece.is_last = is_done_ = rest_.empty();
        return std::optional(codec::encode(piece));
    }
    bool is_done() const override { return is_done_; }

  private:
    std::deque<std::pair<replica_id, std::string>> rest_;
    bool is_done_ = false;
};

class fake_replica::sink final : public sync::state_sink {
  public:
    sink(fake_replica& to, std::string bucket) : to_(to), bucket_(std::move(bucket)) {}
    std::string request() const override { return "all"; }
    std::uint64_t rows() const override { return rows_; }
    std::uint64_t rows_to_come() const override { return 0; }
    result<std::optional<sync::positions>> take(std::string_view bytes) override {
        auto piece = codec::decode<fake_piece>(bytes);
        if (!piece) return fail(errc::malformed, "no state");
        for (auto& [id, bodies] : piece->more) {
            rows_ += bodies.size();
            std::ranges::move(bodies, std::back_inserter(all_[id]));
        }
        if (!piece->is_last) return std::optional<sync::positions>{};
        auto& b = to_.buckets_[bucket_];
        const auto size_of = [&](const replica_id& id) { return all_.contains(id) ? all_.at(id).size() : 0; };
        for (const auto& [id, upto] : b.floor) {
            if (!b.needs_state && size_of(id) < upto) return fail(errc::behind_cut, "the peer lacks what is cut here");
        }
        if (std::exchange(b.needs_state, false)) {
            for (auto& [id, l] : b.logs) {
                l.entries.resize(std::min(l.entries.size(), size_of(id)));
                l.durable = std::min(l.durable, l.entries.size());
            }
            ++b.revision;
        }
        sync::positions reflects;
        for (const auto& [id, bodies] : all_) {
            for (auto i = to_.buckets_[bucket_].logs[id].entries.size(); i < bodies.size(); ++i) to_.append(bucket_, id, bodies[i]);
            reflects[id] = bodies.size();
        }
        return std::optional(std::move(reflects));
    }

  private:
    fake_replica& to_;
    std::string bucket_;
    fake_state all_;
    std::uint64_t rows_ = 0;
};

/// Asks once; what is answered is kept.
class fake_replica::auditor final : public sync::auditor {
  public:
    auditor(fake_replica& of, std::string bucket) : of_(of), bucket_(std::move(bucket)) {}
    result<std::optional<std::string>> next(std::size_t) override {
        if (std::exchange(is_asked_, true)) return std::optional<std::string>{};
        return std::optional<std::string>("how much?");
    }
    result<void> take(std::string_view answer) override {
        if (answer.empty() || answer.find_first_not_of("0123456789") != std::string_view::npos) return fail(errc::malformed, "no number");
        of_.buckets_[bucket_].audited = answer;
        is_done_ = true;
        return {};
    }
    bool is_busy() const override { return false; }
    bool is_done() const override { return is_done_; }

  private:
    fake_replica& of_;
    std::string bucket_;
    bool is_asked_ = false;
    bool is_done_ = false;
};

class fake_replica::audit_respondent final : public sync::audit_respondent {
  public:
    audit_respondent(const fake_replica& of, std::string bucket) : of_(of), bucket_(std::move(bucket)) {}
    result<void> ask(std::string_view question) override {
        if (question != "how much?") return fail(errc::malformed, "no question");
        is_asked_ = true;
        return {};
    }
    result<std::optional<std::string>> next(std::size_t) override {
        if (of_.never_answers_) return std::optional<std::string>{};
        if (of_.fails_to_answer_) return fail(errc::corrupt, "no row can be read");
        if (!std::exchange(is_asked_, false)) return std::optional<std::string>{};
        std::uint64_t sum = 0;
        for (const auto& [id, sequence] : of_.written(bucket_)) sum += sequence;
        is_done_ = true;
        return std::optional(std::to_string(sum));
    }
    bool is_busy() const override { return false; }
    bool is_done() const override { return is_done_; }

  private:
    const fake_replica& of_;
    std::string bucket_;
    bool is_asked_ = false;
    bool is_done_ = false;
};

result<std::unique_ptr<sync::auditor>> fake_replica::begin_audit(std::string_view bucket, const replica_id&, std::chrono::milliseconds) {
    if (!std::exchange(buckets_.find(bucket)->second.is_audit_due, false)) return std::unique_ptr<sync::auditor>{};
    return std::make_unique<auditor>(*this, std::string(bucket));
}

std::unique_ptr<sync::audit_respondent> fake_replica::answer_audit(std::string_view bucket, const replica_id&) {
    return std::make_unique<audit_respondent>(*this, std::string(bucket));
}

result<std::unique_ptr<sync::state_source>> fake_replica::read_state(std::string_view bucket, std::string_view request) const {
    if (request != "all") return fail(errc::malformed, "no request");
    fake_state all;
    for (const auto& [id, l] : buckets_.find(bucket)->second.logs) {
        for (std::size_t i = 0; i < l.durable; ++i) all[id].push_back(l.entries[i].body);
    }
    return std::make_unique<source>(all);
}

result<std::unique_ptr<sync::state_sink>> fake_replica::take_state(std::string_view bucket, const replica_id&, const sync::positions&) {
    if (takes_no_state_) return std::unique_ptr<sync::state_sink>{};
    buckets_.find(bucket)->second.wanted_from.reset();
    return std::make_unique<sink>(*this, std::string(bucket));
}

void fake_replica::append(std::string_view bucket, const replica_id& origin, std::string body) {
    auto& entries = buckets_.find(bucket)->second.logs[origin].entries;
    const auto before = entries.empty() ? oplog::chain_start(bucket, origin) : entries.back().head;
    const auto head = oplog::chain_next(before, body);
    entries.push_back({std::move(body), head});
}

void fake_replica::commit(const std::string& bucket, const replica_id& origin, timestamp at, std::string_view payload) {
    open_bucket(bucket);
    append(bucket, origin, oplog::encode_record({at, {}, payload}));
}

void fake_replica::make_durable() {
    for (auto& [name, b] : buckets_) {
        for (auto& [id, l] : b.logs) {
            if (l.durable != l.entries.size()) ++b.revision;
            l.durable = l.entries.size();
        }
    }
}

sync::positions fake_replica::written(const std::string& bucket) const {
    sync::positions p;
    if (const auto it = buckets_.find(bucket); it != buckets_.end()) {
        for (const auto& [id, l] : it->second.logs) p[id] = l.entries.size();
    }
    return p;
}

std::vector<std::string> fake_replica::buckets() const {
    std::vector<std::string> names;
    for (const auto& [name, b] : buckets_) names.push_back(name);
    return names;
}

frontier fake_replica::durable(std::string_view bucket) const {
    frontier f;
    for (const auto& [id, l] : buckets_.find(bucket)->second.logs) {
        if (l.durable > 0) f.push_back({id, l.durable, l.entries[l.durable - 1].head});
    }
    return f;
}

bool fake_replica::has_undurable() const {
    for (const auto& [name, b] : buckets_) {
        for (const auto& [id, l] : b.logs) {
            if (l.durable != l.entries.size()) return true;
        }
    }
    return false;
}

result<void> fake_replica::compare(std::string_view bucket, const frontier& peer) {
    const auto& logs = buckets_.find(bucket)->second.logs;
    for (const auto& theirs : peer) {
        const auto it = logs.find(theirs.origin);
        if (it == logs.end() || theirs.sequence == 0 || theirs.sequence > it->second.entries.size()) continue;
        if (it->second.entries[theirs.sequence - 1].head != theirs.head) return fail(errc::diverged, "other heads");
    }
    return {};
}

result<oplog::chunk> fake_replica::read(std::string_view bucket, const sync::positions& after, timestamp ceiling,
                                        const oplog::portion& size) {
    last_portion_ = size;
    std::vector<std::unique_ptr<oplog::record_stream>> streams;
    const auto& b = buckets_.find(bucket)->second;
    for (const auto& [id, l] : b.logs) {
        const auto it = after.find(id);
        const auto known = it == after.end() ? 0 : it->second;
        if (const auto floor = b.floor.find(id); floor != b.floor.end() && known < floor->second) {
            return fail(errc::behind_cut, "the log is cut");
        }
        streams.push_back(std::make_unique<stream>(id, l, known));
    }
    oplog::merged_stream merged(std::move(streams));
    return oplog::collect(merged, ceiling, size.record_bytes);
}

result<oplog::applied> fake_replica::apply(std::string_view bucket, const oplog::chunk& chunk, const replica_id&) {
    oplog::applied outcome;
    std::vector<std::uint64_t> next;
    for (const auto& range : chunk.ranges) next.push_back(range.first);
    for (const auto& e : chunk.entries) {
        const auto& origin = chunk.ranges[e.range].origin;
        const auto sequence = next[e.range]++;
        const auto& logs = buckets_.find(bucket)->second.logs;
        const auto it = logs.find(origin);
        const auto known = it == logs.end() ? 0 : it->second.entries.size();
        if (sequence <= known) continue;
        if (buckets_.find(bucket)->second.refused.contains(origin)) return fail(errc::retired, "its writer was retired");
        if (sequence > known + 1) return fail(errc::malformed, "a gap");
        const auto at = oplog::record_time(e.body);
        if (at > horizon_) {
            outcome.held = oplog::applied::held_record{{origin, sequence}, at};
            break;
        }
        append(bucket, origin, e.body);
        ++outcome.transactions;
    }
    return outcome;
}

result<void> fake_replica::sponsor(std::string_view bucket, const replica_id& joiner) {
    if (fails_to_sponsor_) return fail(errc::storage_full, "no space left");
    buckets_.find(bucket)->second.sponsored.push_back(joiner);
    return {};
}

void fake_replica::learn(std::string_view bucket, const replica_id& member, const sync::positions& has) {
    auto& b = buckets_.find(bucket)->second;
    b.adverts[member] = has;
    ++b.advert_revision;
}

}  // namespace anabranch::test
