#include "store/journal.hpp"

#include <algorithm>

#include "codec/archive.hpp"

namespace anabranch::detail {
namespace {

using storage::space;

constexpr std::size_t piece_bytes = 16 * 1024;
/// Of what has changed since, the part that one entry may add to it.
constexpr std::uint64_t waste = 2;
/// As many are merged at once at least: an item is written again each time. More would leave rows that change again and again in
/// more entries.
constexpr std::size_t fan_in = 2;

}  // namespace

std::string change_journal::entry_key(std::uint64_t number) const {
    return store_keys::journal_key(bucket_, store_keys::journal_kind::entry) + store_keys::big_endian64(number);
}

std::string change_journal::piece_key(std::uint64_t pieces_at, std::uint64_t piece) const {
    return store_keys::journal_piece(bucket_, pieces_at, piece);
}

result<void> change_journal::load() {
    const auto prefix = store_keys::journal_key(bucket_, store_keys::journal_kind::entry);
    const auto cursor = engine_.scan(space::rows, prefix);
    for (; cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
        auto e = codec::decode<entry>(cursor->value());
        if (!e || cursor->key().size() != prefix.size() + 8) return fail(errc::corrupt, "an entry of the journal of changed rows cannot be decoded");
        e->number = store_keys::read_big_endian(cursor->key().substr(prefix.size()));
        next_pieces_ = std::max(next_pieces_, e->pieces_at + 1);
        entries_.push_back(std::move(*e));
    }
    if (auto status = cursor->status(); !status) return status;
    return erase_strays();
}

/// Pieces that were written, and their entry not.
result<void> change_journal::erase_strays() {
    std::vector<std::uint64_t> named;
    for (const auto& e : entries_) named.push_back(e.pieces_at);
    std::ranges::sort(named);
    const auto prefix = store_keys::journal_key(bucket_, store_keys::journal_kind::piece);
    const auto cursor = engine_.scan(space::rows, prefix);
    storage::batch batch;
    while (cursor->valid() && cursor->key().starts_with(prefix)) {
        const auto at = store_keys::read_big_endian(cursor->key().substr(prefix.size(), 8));
        const auto next = store_keys::journal_piece(bucket_, at + 1, 0);
        if (!std::ranges::binary_search(named, at)) batch.erase_range(space::rows, std::string(cursor->key()), next);
        next_pieces_ = std::max(next_pieces_, at + 1);
        cursor->seek(next);
    }
    // On a full disk they stay until the next time.
    if (!batch.empty()) (void)engine_.write(batch);
    return cursor->status();
}

// --- writing ---------------------------------------------------------------------------------------------

change_journal::writer change_journal::write(writer::put piece) {
    const std::lock_guard lock(mutex_);
    return {*this, next_pieces_++, std::move(piece)};
}

result<void> change_journal::writer::add(std::string_view item) {
    const auto shared = static_cast<std::size_t>(std::ranges::mismatch(last_, item).in2 - item.begin());
    codec::output out(piece_);
    out.varint(shared);
    out.bytes(item.substr(shared));
    last_.resize(shared);
    last_ += item.substr(shared);
    ++made_.items;
    return piece_.size() < piece_bytes ? result<void>{} : write_piece();
}

result<void> change_journal::writer::write_piece() {
    last_.clear();  // each can be read by itself
    return put_(to_.piece_key(at_, made_.pieces++), std::exchange(piece_, {}));
}

result<change_journal::entry> change_journal::writer::finish(version_vector after) {
    if (!piece_.empty()) {
        if (auto written = write_piece(); !written) return fail(written.error());
    }
    made_.pieces_at = at_;
    made_.after = std::move(after);
    return std::move(made_);
}

void change_journal::erase(storage::batch& batch, const entry& e) const {
    batch.erase(space::rows, entry_key(e.number));
    for (std::uint64_t piece = 0; piece < e.pieces; ++piece) batch.erase(space::rows, piece_key(e.pieces_at, piece));
}

void change_journal::add(storage::batch& batch, entries& news, bool is_all_new) const {
    const std::lock_guard lock(mutex_);
    if (is_all_new) {
        for (const auto& e : entries_) erase(batch, e);
    }
    auto number = entries_.empty() ? 0 : entries_.back().number;
    for (auto& e : news) {
        e.number = ++number;
        batch.put(space::rows, entry_key(e.number), codec::encode(e));
    }
}

void change_journal::added(entries news, bool is_all_new) {
    const std::lock_guard lock(mutex_);
    if (is_all_new) entries_.clear();
    is_merged_ = is_merged_ && news.empty();
    std::ranges::move(news, std::back_inserter(entries_));
}

std::pair<change_journal::entries, std::unique_ptr<storage::snapshot>> change_journal::snapshot() const {
    const std::lock_guard lock(mutex_);
    return {entries_, engine_.take_snapshot()};
}

// --- merging ---------------------------------------------------------------------------------------------

/// From where to where it pays, or has to be; nothing where not.
change_journal::run change_journal::find_run(const entries& all) const {
    std::vector<std::uint64_t> newer(all.size());
    for (auto i = all.size(); i-- > 1;) newer[i - 1] = newer[i] + all[i].items;
    if (!all.empty() && all.front().items + newer.front() > limit_) {
        std::size_t to = 1;
        while (to + 1 < all.size() && all[to].items + newer[to] > limit_ / 4 * 3) ++to;
        if (to > 1 || all.front().items > 0) return {0, to, true};
    }
    for (std::size_t from = 0; from < all.size(); ++from) {
        std::uint64_t items = 0;
        auto to = from;
        for (; to < all.size(); ++to) {
            const auto most = std::max<std::uint64_t>(step_, newer[to] / waste);
            if (items + all[to].items > most) break;
            items += all[to].items;
        }
        if (to - from >= fan_in) return {from, to, false};
    }
    return {};
}

result<void> change_journal::merge() {
    const std::unique_lock once(merge_mutex_, std::try_to_lock);
    if (!once) return {};
    while (true) {
        {
            const std::lock_guard lock(mutex_);
            if (std::exchange(is_merged_, true)) return {};
        }
        const auto [all, at] = snapshot();
        const auto found = find_run(all);
        if (found.from == found.to) return {};
        const entries merging(all.begin() + static_cast<std::ptrdiff_t>(found.from), all.begin() + static_cast<std::ptrdiff_t>(found.to));
        storage::batch batch;
        auto merged = write([&](std::string key, std::string value) -> result<void> {
            batch.put(space::rows, std::move(key), std::move(value));
            return storage::write_if_large(engine_, batch);
        });
        reader items(engine_, bucket_, at.get(), found.is_forgotten ? entries{} : merging, {});
        for (; items.valid(); items.next()) {
            if (auto added = merged.add(items.item()); !added) return added;
        }
        if (!items.status()) return items.status();
        auto made = merged.finish(merging.back().after);
        if (!made) return fail(made.error());
        made->number = merging.back().number;
        const std::lock_guard lock(mutex_);
        const auto first = std::ranges::find(entries_, merging.front().number, &entry::number);
        const auto last = std::ranges::find(entries_, merging.back().number, &entry::number);
        // All of them may have been replaced meanwhile.
        const bool are_there = first != entries_.end() && last != entries_.end() && first->pieces_at == merging.front().pieces_at;
        for (const auto& e : are_there ? merging : entries{*made}) erase(batch, e);
        if (are_there) batch.put(space::rows, entry_key(made->number), codec::encode(*made));
        if (auto written = engine_.write(batch); !written) return written;
        if (!are_there) return {};
        *last = std::move(*made);
        entries_.erase(first, last);
        is_merged_ = false;
    }
}

// --- reading ---------------------------------------------------------------------------------------------

change_journal::reader::reader(const storage::engine& engine, store_keys::bucket_number bucket, const storage::snapshot* at,
                               const entries& of, std::vector<std::string> also)
    : engine_(engine), bucket_(bucket), at_(at), heads_(later{&streams_}) {
    for (const auto& e : of) streams_.push_back({e.pieces_at, e.pieces, 0, {}, 0, {}, 0, {}});
    std::ranges::sort(also);
    streams_.push_back({0, 0, 0, {}, 0, std::move(also), 0, {}});
    for (std::size_t i = 0; i < streams_.size(); ++i) {
        if (advance(streams_[i])) heads_.push(i);
    }
    if (!status_) heads_ = {};
}

bool change_journal::reader::advance(stream& s) {
    if (s.next_listed < s.listed.size()) {
        s.item = s.listed[s.next_listed++];
        return true;
    }
    if (s.at == s.piece.size()) {
        if (s.next_piece == s.pieces) return false;
        auto piece = engine_.get(space::rows, store_keys::journal_piece(bucket_, s.pieces_at, s.next_piece++), at_);
        if (piece && *piece) s.piece = std::move(**piece);
        if (!piece || !*piece || s.piece.empty()) {
            status_ = piece ? fail(errc::corrupt, "the journal of changed rows has a gap") : fail(piece.error());
            return false;
        }
        s.at = 0;
        s.item.clear();
    }
    codec::input in(std::string_view(s.piece).substr(s.at));
    std::uint64_t shared = 0;
    std::string rest;
    in(shared, rest);
    if (!in.ok() || shared > s.item.size()) {
        status_ = fail(errc::corrupt, "the journal of changed rows cannot be decoded");
        return false;
    }
    s.at = s.piece.size() - in.remaining();
    s.item.resize(static_cast<std::size_t>(shared));
    s.item += rest;
    return true;
}

void change_journal::reader::next() {
    const std::string last(item());
    while (!heads_.empty() && item().starts_with(last)) {
        const auto i = heads_.top();
        heads_.pop();
        if (advance(streams_[i])) heads_.push(i);
        // Whatever is missing would be taken for unchanged.
        if (!status_) heads_ = {};
    }
}

change_journal::entries changed_since(const change_journal::entries& all, const version_vector& seen) {
    const auto first = std::ranges::find_if(all, [&](const change_journal::entry& e) { return !seen.covers(e.after); });
    return {first, all.end()};
}

change_journal::entries changed_after(const change_journal::entries& all, std::uint64_t number) {
    const auto first = std::ranges::find_if(all, [&](const change_journal::entry& e) { return e.number > number; });
    return {first, all.end()};
}

std::uint64_t items_of(const change_journal::entries& all) {
    std::uint64_t sum = 0;
    for (const auto& e : all) sum += e.items;
    return sum;
}

}  // namespace anabranch::detail
