#include "store/rival_table.hpp"

#include <algorithm>

#include "codec/archive.hpp"

namespace anabranch::detail {
namespace {

using storage::space;

result<rival_table::group> decode(std::string_view value) {
    auto all = codec::decode<rival_table::group>(value);
    if (!all || all->empty()) return fail(errc::corrupt, "what is known of a request's executions cannot be decoded");
    return std::move(*all);
}

}  // namespace

result<rival_table::group> rival_table::find(const dot& execution) const {
    {
        const std::lock_guard lock(mutex_);
        if (const auto it = changed_.find(execution); it != changed_.end()) return it->second;
    }
    const auto stored = engine_.get(space::rows, store_keys::rivals_key(bucket_, execution.writer, execution.sequence));
    if (!stored) return fail(stored.error());
    if (!*stored) return group{};
    return decode(**stored);
}

result<void> rival_table::visit(const visitor& each) const { return visit({origin{0}, 0}, {origin{UINT32_MAX}, UINT64_MAX}, each); }

result<void> rival_table::visit(origin writer, std::uint64_t after, std::uint64_t last, const visitor& each) const {
    return visit({writer, after + 1}, {writer, last}, each);
}

result<void> rival_table::visit(const dot& first, const dot& last, const visitor& each) const {
    std::map<dot, group> found;
    {
        const std::lock_guard lock(mutex_);
        found.insert(changed_.lower_bound(first), changed_.upper_bound(last));
    }
    const auto end = store_keys::rivals_key(bucket_, last.writer, last.sequence);
    auto cursor = engine_.scan(space::rows, store_keys::rivals_key(bucket_, first.writer, first.sequence));
    for (; cursor->valid() && cursor->key() <= end; cursor->next()) {
        const auto at = store_keys::parse_log_key(cursor->key());
        auto all = decode(cursor->value());
        if (!at) return fail(errc::corrupt, "what is known of a request's executions stands at a key that is none");
        if (!all) return fail(all.error());
        found.try_emplace({at->writer, at->sequence}, std::move(*all));
    }
    if (auto status = cursor->status(); !status) return status;
    for (const auto& [at, all] : found) {
        if (auto visited = each(at, all); !visited) return visited;
    }
    return {};
}

void rival_table::put(group all) {
    std::ranges::sort(all);
    const std::lock_guard lock(mutex_);
    for (const auto& d : all) changed_[d] = all;
}

void rival_table::add_changed(storage::batch& to) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [d, all] : changed_) to.put(space::rows, store_keys::rivals_key(bucket_, d.writer, d.sequence), codec::encode(all));
}

result<void> rival_table::cut(storage::batch& to, origin writer, std::uint64_t last, const version_vector& floor,
                              const std::function<void(const dot&)>& goes) const {
    const auto after = floor.at(writer);
    auto visited = visit(writer, after, last, [&](const dot&, const group& all) -> result<void> {
        for (const auto& d : all) {
            if (!floor.covers(d)) continue;
            to.erase(space::rows, store_keys::rivals_key(bucket_, d.writer, d.sequence));
            goes(d);
        }
        return {};
    });
    to.erase_range(space::rows, store_keys::rivals_key(bucket_, writer, after + 1), store_keys::rivals_key(bucket_, writer, last + 1));
    return visited;
}

}  // namespace anabranch::detail
