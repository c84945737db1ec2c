#include "oplog/chunk.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace anabranch::oplog {

bool is_sound(const chunk& c) {
    std::vector<std::uint64_t> next;
    next.reserve(c.ranges.size());
    std::set<replica_id> origins;
    for (const auto& range : c.ranges) {
        // One origin in two ranges could hold two records for one dot.
        if (range.first == 0 || range.last < range.first || !origins.insert(range.origin).second) return false;
        next.push_back(range.first);
    }
    if (c.folded) {
        std::set<std::pair<std::uint32_t, std::uint64_t>> dots;
        for (const auto& a : c.folded->asides) {
            if (a.range >= c.ranges.size() || a.sequence < c.ranges[a.range].first || a.sequence > c.ranges[a.range].last) return false;
            if (!dots.emplace(a.range, a.sequence).second) return false;
        }
        return !c.ranges.empty() && c.entries.empty() && c.folded->ends.size() == c.ranges.size() &&
               std::ranges::all_of(c.folded->ends, [&](timestamp end) { return c.folded->least <= end && end <= c.folded->greatest; });
    }
    timestamp last;
    for (const auto& entry : c.entries) {
        if (entry.range >= c.ranges.size()) return false;
        const auto at = record_time(entry.body);
        if (at < last) return false;
        last = at;
        ++next[entry.range];
    }
    return std::ranges::equal(c.ranges, next, {}, [](const chunk::range& r) { return r.last + 1; });
}

std::uint64_t chunk::transactions() const {
    std::uint64_t n = 0;
    for (const auto& r : ranges) n += r.last - r.first + 1;
    return n;
}

transaction_id last_of(const chunk& c) {
    const auto place = static_cast<std::size_t>(std::ranges::max_element(c.folded->ends) - c.folded->ends.begin());
    return {c.ranges[place].origin, c.ranges[place].last};
}

merged_stream::merged_stream(std::vector<std::unique_ptr<record_stream>> streams) {
    for (auto& stream : streams) {
        const auto at = stream->valid() ? record_time(stream->body()) : timestamp{};
        sources_.push_back({std::move(stream), at});
    }
    choose();
}

void merged_stream::choose() {
    top_ = nullptr;
    if (!status()) return;
    // Linear, as the streams are as few as the replicas that wrote since the receiver last heard.
    for (auto& s : sources_) {
        if (!s.stream->valid()) continue;
        if (top_ == nullptr ||
            std::tie(s.at, s.stream->origin()) < std::tie(top_->at, top_->stream->origin())) {
            top_ = &s;
        }
    }
}

void merged_stream::next() {
    top_->stream->next();
    if (top_->stream->valid()) top_->at = record_time(top_->stream->body());
    choose();
}

result<void> merged_stream::status() const {
    for (const auto& s : sources_) {
        if (auto status = s.stream->status(); !status) return status;
    }
    return {};
}

result<chunk> collect(merged_stream& stream, timestamp ceiling, std::size_t max_bytes) {
    chunk c;
    std::map<const record_stream*, std::uint32_t> places;
    std::size_t bytes = 0;
    for (auto* top = stream.top(); top != nullptr && stream.at() < ceiling; top = stream.top()) {
        if (!c.empty() && bytes + top->body().size() > max_bytes) break;
        const auto [place, is_new] = places.try_emplace(top, static_cast<std::uint32_t>(c.ranges.size()));
        if (is_new) c.ranges.push_back({top->origin(), top->sequence(), top->sequence(), {}});
        auto& range = c.ranges[place->second];
        range.last = top->sequence();
        range.head = top->head();
        bytes += top->body().size();
        c.entries.push_back({place->second, std::string(top->body())});
        stream.next();
    }
    if (auto status = stream.status(); !status) return fail(status.error());
    return c;
}

}  // namespace anabranch::oplog
