// How folds are encoded: docs/encoding.md has the columns.
#include <algorithm>
#include <anabranch/limits.hpp>
#include <array>
#include <boost/unordered/unordered_flat_map.hpp>

#include "codec/columns.hpp"
#include "codec/compression.hpp"
#include "crdt/folding.hpp"

namespace anabranch::crdt {
namespace {

// Small folds are many and their transfer costs more than their compression; large ones the other way round.
constexpr std::size_t small_fold = 64 * 1024;
constexpr int small_compression_level = 15;
constexpr int compression_level = 3;

using codec::read_column;
using codec::written_column;

/// The columns of a fold's rows, by their place in the root.
enum column : std::size_t { keys, kinds, covered_in_range, covered_before, times, changes_of };

bool is_before(const dot& a, const dot& b, std::span<const dot_range> ranges) {
    const auto place = [&](const dot& d) { return std::ranges::find(ranges, d.writer, &dot_range::writer) - ranges.begin(); };
    return a.writer == b.writer ? a.sequence < b.sequence : place(a) < place(b);
}

/// Every entry's timestamp with its dot, by origin and sequence: timestamps rise with the sequence, so that differences are
/// small.
template <class Entry, class Rows>
std::vector<Entry*> by_dot(const Rows& rows, std::span<const dot_range> ranges) {
    std::vector<Entry*> all;
    for (auto* r : rows) {
        if (auto* entries = std::get_if<entries_row>(&r->change.change)) {
            for (auto& e : entries->entries) all.push_back(&e);
        }
    }
    std::ranges::sort(all, [&](const auto* a, const auto* b) { return is_before(a->id, b->id, ranges); });
    return all;
}

// --- keys ------------------------------------------------------------------------------------------------

// Keys are cut into pieces after each 00 01 and one byte, which is where a path's segments end; any other cut would do. The
// pieces at each depth have columns of their own, as names of one map have more in common than those of different ones. A
// piece that has occurred there is named by its number, a new one by what it does not share with the last new one.
constexpr std::string_view end_of_piece("\0\1", 2);
constexpr std::size_t deepest = 8;  // all deeper ones count as one depth

enum key_column : std::size_t { shared_pieces, more_pieces, pieces_at };
enum piece_column : std::size_t { shared_bytes, rest, ending };

std::size_t depth_of(std::size_t place) { return std::min(place, deepest); }

std::string_view first_piece(std::string_view key) {
    const auto at = key.find(end_of_piece);
    return at == std::string_view::npos ? key : key.substr(0, std::min(at + 3, key.size()));
}
bool has_ending(std::string_view s) { return s.size() >= 3 && s.substr(s.size() - 3, 2) == end_of_piece; }

class key_output {
  public:
    explicit key_output(written_column& to) : to_(to) {}
    void write(std::string_view key) {
        pieces_.clear();
        for (auto left = key; !left.empty(); left.remove_prefix(pieces_.back().size())) pieces_.push_back(first_piece(left));
        const auto shared = static_cast<std::size_t>(std::ranges::mismatch(last_, pieces_).in2 - pieces_.begin());
        to_.field(shared_pieces).number(shared);
        to_.field(more_pieces).number(pieces_.size() - shared);
        for (auto i = shared; i < pieces_.size(); ++i) write_piece(depth_of(i), pieces_[i]);
        std::swap(last_, pieces_);
    }

  private:
    struct level {
        boost::unordered_flat_map<std::string_view, std::size_t> known;  // views of the keys
        std::string_view last_new;
    };
    void write_piece(std::size_t depth, std::string_view p) {
        auto& at = levels_[depth];
        auto& column = to_.field(pieces_at + depth);
        const auto [it, is_new] = at.known.try_emplace(p, at.known.size() + 1);
        column.number(is_new ? 0 : it->second);
        if (!is_new) return;
        column.field(ending).number(has_ending(p) ? 1U + static_cast<unsigned char>(p.back()) : 0U);
        const auto body = has_ending(p) ? p.substr(0, p.size() - 3) : p;
        const auto shared = static_cast<std::size_t>(std::ranges::mismatch(at.last_new, body).in2 - body.begin());
        column.field(shared_bytes).number(shared);
        column.field(rest).bytes(body.substr(shared));
        at.last_new = body;
    }

    written_column& to_;
    std::array<level, deepest + 1> levels_;
    std::vector<std::string_view> last_;
    std::vector<std::string_view> pieces_;
};

/// How much there may be in all of a fold. Columns of zeros take no bytes, so that bytes alone bound nothing.
struct bounds {
    std::size_t values = limits::fold;
    std::size_t key_bytes = limits::fold;
};

class key_input {
  public:
    key_input(read_column& from, bounds& left) : from_(from), left_(left) {}
    /// Nothing where the columns are malformed or the keys are longer than they may be.
    std::optional<std::string> read() {
        const auto shared = from_.field(shared_pieces).number();
        const auto more = from_.field(more_pieces).number();
        if (!shared || !more || *shared > last_.size() || *more > limits::path) return std::nullopt;
        last_.resize(static_cast<std::size_t>(*shared));
        for (auto n = *more; n > 0; --n) {
            const auto depth = depth_of(last_.size());
            auto& known = levels_[depth].known;
            const auto number = from_.field(pieces_at + depth).number();
            if (!number || *number > known.size() || (*number == 0 && !read_piece(depth))) return std::nullopt;
            last_.push_back(*number == 0 ? known.size() - 1 : static_cast<std::size_t>(*number - 1));
        }
        std::string key;
        for (std::size_t i = 0; i < last_.size(); ++i) key += levels_[depth_of(i)].known[last_[i]];
        if (key.empty() || key.size() > limits::path || !take(key.size())) return std::nullopt;
        return key;
    }

  private:
    struct level {
        std::vector<std::string> known;
        std::string last_new;
    };
    bool read_piece(std::size_t depth) {
        auto& at = levels_[depth];
        auto& column = from_.field(pieces_at + depth);
        const auto end = column.field(ending).number();
        const auto shared = column.field(shared_bytes).number();
        const auto more = column.field(rest).bytes();
        if (!end || *end > 256 || !shared || *shared > at.last_new.size() || !more) return false;
        at.last_new.resize(static_cast<std::size_t>(*shared));
        at.last_new += *more;
        if (at.last_new.size() > limits::path) return false;
        auto& p = at.known.emplace_back(at.last_new);
        if (*end > 0) (p += end_of_piece) += static_cast<char>(*end - 1);
        return take(p.size());
    }
    bool take(std::size_t bytes) {
        if (bytes > left_.key_bytes) return false;
        left_.key_bytes -= bytes;
        return true;
    }

    read_column& from_;
    bounds& left_;
    std::array<level, deepest + 1> levels_;
    std::vector<std::size_t> last_;
};

// --- rows ------------------------------------------------------------------------------------------------

/// Replicas by place: those of the ranges, then others. A sequence is written as its distance from the end of its
/// origin's range, if it has one: the origin is what has been written before it.
class row_output {
  public:
    explicit row_output(std::span<const dot_range> ranges) {
        for (const auto& r : ranges) {
            places_.push_back(r.writer);
            ends_.push_back(r.last);
        }
    }
    void begin(written_column& at) {
        at_ = &at;
        field_ = 0;
    }
    template <class... T>
    void operator()(const T&... values) {
        (put(at_->field(field_++), values), ...);
    }
    const std::vector<origin>& places() const { return places_; }

  private:
    void put(written_column& c, origin o) {
        const auto it = std::ranges::find(places_, o);
        last_ = static_cast<std::size_t>(it - places_.begin());
        if (it == places_.end()) {
            places_.push_back(o);
            ends_.push_back(0);
        }
        c.number(last_);
    }
    void put(written_column& c, std::uint64_t sequence) { c.number(has_range() ? ends_[last_] - sequence : sequence); }
    void put(written_column& c, std::uint32_t v) { c.number(v); }
    void put(written_column& c, std::int64_t v) { c.number(codec::zigzag(v)); }
    void put(written_column& c, const std::string& v) { c.bytes(v); }
    void put(written_column&, timestamp) {}  // in a column of their own
    void put(written_column& c, const version_vector& v) {
        c.number(v.size());
        for (const auto& [writer, sequence] : v) put(c.field(0), dot{writer, sequence});
    }
    template <codec::sequence T>
    void put(written_column& c, const T& items) {
        c.number(items.size());
        for (const auto& item : items) put(c.field(0), item);
    }
    template <class T>
    void put(written_column& c, const T& v) {
        auto* const outer = std::exchange(at_, &c);
        const auto field = std::exchange(field_, 0);
        const_cast<T&>(v).serialize(*this);  // one serialize() serves both directions
        at_ = outer;
        field_ = field;
    }

    bool has_range() const { return ends_[last_] > 0; }

    std::vector<origin> places_;
    std::vector<std::uint64_t> ends_;  // 0 for those without a range
    std::size_t last_ = 0;
    written_column* at_ = nullptr;
    std::size_t field_ = 0;
};

class row_input {
  public:
    row_input(const std::vector<origin>& places, std::span<const dot_range> ranges, bounds& left) : places_(places), left_(left) {
        for (const auto& r : ranges) ends_.push_back(r.last);
        ends_.resize(places_.size());
    }
    void begin(read_column& at) {
        at_ = &at;
        field_ = 0;
    }
    template <class... T>
    void operator()(T&... values) {
        (get(at_->field(field_++), values), ...);
    }
    bool ok() const { return ok_; }
    void fail() { ok_ = false; }
    std::uint64_t number(read_column& c) {
        if (ok_ && left_.values > 0) {
            --left_.values;
            if (const auto v = c.number()) return *v;
        }
        fail();
        return 0;
    }

  private:
    void get(read_column& c, origin& o) {
        const auto place = number(c);
        if (place >= places_.size()) return fail();
        last_ = static_cast<std::size_t>(place);
        o = places_[last_];
    }
    void get(read_column& c, std::uint64_t& sequence) {
        const auto end = last_ < ends_.size() ? ends_[last_] : 0;
        sequence = end > 0 ? end - number(c) : number(c);
    }
    void get(read_column& c, std::uint32_t& v) {
        const auto n = number(c);
        if (n > UINT32_MAX) return fail();
        v = static_cast<std::uint32_t>(n);
    }
    void get(read_column& c, std::int64_t& v) { v = codec::unzigzag(number(c)); }
    void get(read_column& c, std::string& v) {
        const auto bytes = c.bytes();
        if (!bytes) return fail();
        v = *bytes;
    }
    void get(read_column&, timestamp&) {}
    void get(read_column& c, version_vector& v) {
        v = {};
        for (auto n = number(c); n > 0 && ok_; --n) {
            dot d;
            get(c.field(0), d);
            if (d.sequence == 0) fail();
            v.join(d);
        }
    }
    template <codec::sequence T>
    void get(read_column& c, T& items) {
        items.clear();
        for (auto n = number(c); n > 0 && ok_; --n) {
            typename T::value_type item{};
            get(c.field(0), item);
            items.push_back(std::move(item));
        }
    }
    template <class T>
    void get(read_column& c, T& v) {
        auto* const outer = std::exchange(at_, &c);
        const auto field = std::exchange(field_, 0);
        v.serialize(*this);
        at_ = outer;
        field_ = field;
    }

    const std::vector<origin>& places_;
    std::vector<std::uint64_t> ends_;
    bounds& left_;
    std::size_t last_ = 0;
    read_column* at_ = nullptr;
    std::size_t field_ = 0;
    bool ok_ = true;
};

/// Where coverage within an origin's range ends: before its write that is still there, or with the range. Where exactly does
/// not matter, as all that the origin did on the row in the range is in the fold.
std::uint64_t end_of_coverage(const row& r, const dot_range& range) {
    auto end = range.last;
    const auto look = [&](const dot& d) {
        if (d.writer == range.writer && range.holds(d.sequence)) end = std::min(end, d.sequence - 1);
    };
    struct visitor {
        const decltype(look)& see;
        void operator()(const counter_row&) const {}
        void operator()(const entries_row& e) const { std::ranges::for_each(e.entries, see, &entries_row::entry::id); }
        void operator()(const dots_row& d) const { std::ranges::for_each(d.adds, see); }
        void operator()(const removals_row& m) const { std::ranges::for_each(m.adds, see, &removals_row::add::id); }
        void operator()(const escrow_row&) const {}
    };
    std::visit(visitor{look}, r);
    return end;
}

// A fold's removals of prefixes and its roster: few, so as they are.
class place_output final : public codec::basic_output<place_output> {
  public:
    place_output(std::string& out, row_output& rows, written_column& scratch) : basic_output(out), rows_(rows), scratch_(scratch) {}
    std::uint32_t translate(const origin& o) const {
        rows_.begin(scratch_);
        rows_(o);
        return static_cast<std::uint32_t>(std::ranges::find(rows_.places(), o) - rows_.places().begin());
    }

  private:
    row_output& rows_;
    written_column& scratch_;
};

class place_input final : public codec::basic_input<place_input> {
  public:
    place_input(std::string_view in, const std::vector<origin>& places) : basic_input(in), places_(places) {}
    void translate(origin& o) {
        const auto place = varint();
        if (place >= places_.size()) return fail();
        o = places_[static_cast<std::size_t>(place)];
    }

  private:
    const std::vector<origin>& places_;
};

}  // namespace

std::string encode_fold(const changes& c, std::span<const dot_range> ranges, const origin_table& origins, timestamp least,
                        bool is_whole) {
    std::vector<const row_change*> rows;
    for (const auto& r : c.rows) rows.push_back(&r);
    return encode_fold(rows, c.removals, c.members, c.carried, ranges, origins, least, is_whole);
}

std::string encode_fold(const std::vector<const row_change*>& all, const std::vector<prefix_removal>& removals, const roster& members,
                        const std::vector<carried_fold>& carried, std::span<const dot_range> ranges, const origin_table& origins,
                        timestamp least, bool is_whole) {
    written_column root;
    row_output rows(ranges);
    key_output key(root.field(keys));
    for (const auto* each : all) {
        const auto& r = *each;
        key.write(r.key);
        root.field(kinds).number(static_cast<std::uint64_t>(kind_of(r.change.change)));
        std::uint64_t in_range = 0;
        version_vector before;
        for (const auto& [writer, sequence] : r.change.covers) {
            const auto range = std::ranges::find(ranges, writer, &dot_range::writer);
            if (!is_whole || range == ranges.end() || !range->holds(sequence)) {
                before.join(dot{writer, sequence});
                continue;
            }
            ++in_range;
            root.field(covered_in_range).field(0).number(static_cast<std::uint64_t>(range - ranges.begin()));
        }
        root.field(covered_in_range).number(in_range);
        rows.begin(root.field(covered_before));
        rows(before);
        rows.begin(root.field(changes_of + static_cast<std::size_t>(kind_of(r.change.change))));
        std::visit([&](const auto& alternative) { rows(alternative); }, r.change.change);
    }
    std::optional<dot> last;
    timestamp previous;
    for (const auto* e : by_dot<const entries_row::entry>(all, ranges)) {
        const bool is_first = !last || last->writer != e->id.writer;
        root.field(times).field(is_first ? 0 : 1).number(e->at.value - (is_first ? least : previous).value);
        previous = e->at;
        last = e->id;
    }

    std::string apart;
    written_column scratch;
    place_output extras(apart, rows, scratch);
    extras(removals, members);
    // At the end and mostly not there: somebody has folded what he could not read all of.
    if (!carried.empty()) extras(carried);
    std::vector<replica_id> others;
    for (auto i = ranges.size(); i < rows.places().size(); ++i) others.push_back(origins.id(rows.places()[i]));
    std::string raw;
    codec::output out(raw);
    out(others, apart);
    out.varint(all.size());
    root.append_to(out);
    const auto compressed = codec::compress(raw, raw.size() < small_fold ? small_compression_level : compression_level);
    std::string bytes;
    codec::output whole(bytes);
    whole.varint(compressed ? raw.size() : 0);
    whole.raw(compressed ? *compressed : raw);
    return bytes;
}

namespace {

/// The replicas of the ranges, then the others.
std::optional<std::vector<origin>> find_places(std::span<const dot_range> ranges, const std::vector<replica_id>& others,
                                               const std::function<std::optional<origin>(const replica_id&)>& number_of) {
    std::vector<origin> places;
    for (const auto& r : ranges) places.push_back(r.writer);
    for (const auto& id : others) {
        const auto number = number_of(id);
        if (!number) return std::nullopt;
        places.push_back(*number);
    }
    return places;
}

/// A fold's rows, as they stand in its columns.
class rows_input {
  public:
    rows_input(read_column& root, const std::vector<origin>& places, std::span<const dot_range> ranges, bounds& left)
        : root_(root), places_(places), ranges_(ranges), left_(left), rows_(places, ranges, left) {}

    /// Those of wanted kinds that are known. False where the bytes are malformed.
    bool read(std::uint64_t count, const known_kinds& kinds, std::uint64_t wanted, timestamp least, changes& to) {
        key_input keys_in(root_.field(keys), left_);
        // What nobody has judged yet may be malformed, and spoils nothing but itself.
        row_input unjudged(places_, ranges_, left_);
        std::string last;
        for (auto n = count; n > 0; --n) {
            auto path = keys_in.read();
            const auto number = rows_.number(root_.field(kinds_column));
            if (!path || !rows_.ok() || number == 0 || number > static_cast<std::uint64_t>(greatest_kind)) return false;
            if (*path <= last) return false;
            last = *path;
            const auto kind = static_cast<row_kind>(number);
            row_change r{std::move(*path), {}};
            std::vector<const dot_range*> in_range;
            if (!read_coverage(r, in_range)) return false;
            if ((wanted & bit_of(kind)) == 0) continue;
            if (!kinds.holds(kind)) {
                to.unknown |= bit_of(kind);
                continue;
            }
            const bool is_sound = read_change(kinds.has_judged(kind) ? rows_ : unjudged, kind, r, in_range);
            if (is_sound && (kinds.has_judged(kind) || kinds.is_at_home(r.key, kind))) {
                to.rows.push_back(std::move(r));
            } else if (kinds.has_judged(kind)) {
                return false;
            }
        }
        const bool has_entries = kinds.holds(row_kind::entries) && (wanted & bit_of(row_kind::entries)) != 0;
        if (has_entries && !read_times(least, to)) return false;
        const auto unread = (to.unknown | kinds.unjudged | ~wanted) << changes_of | (has_entries ? 0 : std::uint64_t{1} << times);
        return rows_.ok() && root_.is_complete(unread);
    }

  private:
    static constexpr std::size_t kinds_column = kinds;

    bool read_coverage(row_change& r, std::vector<const dot_range*>& in_range) {
        auto& covered = root_.field(covered_in_range);
        for (auto k = rows_.number(covered); k > 0 && rows_.ok(); --k) {
            const auto place = rows_.number(covered.field(0));
            if (place >= ranges_.size()) return false;
            in_range.push_back(&ranges_[static_cast<std::size_t>(place)]);
        }
        rows_.begin(root_.field(covered_before));
        rows_(r.change.covers);
        return rows_.ok();
    }

    bool read_change(row_input& in, row_kind kind, row_change& r, const std::vector<const dot_range*>& in_range) {
        r.change.change = bottom(kind);
        in.begin(root_.field(changes_of + static_cast<std::size_t>(kind)));
        std::visit([&](auto& alternative) { in(alternative); }, r.change.change);
        const auto is_within = [&](const dot& d) { return holds(ranges_, d); };
        if (!in.ok() || !normalise(r.change.change) || !adds_only(r.change.change, is_within)) return false;
        for (const auto* range : in_range) r.change.covers.join(dot{range->writer, end_of_coverage(r.change.change, *range)});
        return is_well_formed(r.change);
    }

    bool read_times(timestamp least, changes& to) {
        std::optional<dot> last;
        timestamp previous;
        std::vector<row_change*> all;
        for (auto& r : to.rows) all.push_back(&r);
        for (auto* e : by_dot<entries_row::entry>(all, ranges_)) {
            const bool is_first = !last || last->writer != e->id.writer;
            const auto v = rows_.number(root_.field(times).field(is_first ? 0 : 1));
            e->at.value = (is_first ? least : previous).value + v;
            previous = e->at;
            last = e->id;
        }
        return rows_.ok();
    }

    read_column& root_;
    const std::vector<origin>& places_;
    std::span<const dot_range> ranges_;
    bounds& left_;
    row_input rows_;
};

/// Takes what is known by now out of what is carried.
bool open_carried(changes& c, std::span<const dot_range> ranges, const std::function<std::optional<origin>(const replica_id&)>& number_of,
                  const known_kinds& kinds, bounds& left) {
    folding all;
    bool is_any_known = false;
    for (auto& f : c.carried) {
        codec::input in(f.body);
        std::vector<replica_id> others;
        std::string_view apart;
        in(others, apart);
        // Also where none of it is known yet: once it is, their numbers have to be.
        const auto places = find_places(f.ranges, others, number_of);
        if (!in.ok() || !places || !apart.empty() || f.kinds == 0) return false;
        const auto news = f.kinds & kinds.known;
        f.kinds &= ~news;
        c.unknown |= f.kinds;
        if (news == 0) continue;
        is_any_known = true;
        const auto count = in.varint();
        read_column root;
        root.load(in);
        changes found;
        const bool is_sound = in.complete() && rows_input(root, *places, f.ranges, left).read(count, kinds, news, {f.least}, found);
        if (is_sound) {
            all.add(std::move(found));
        } else if ((news & ~kinds.unjudged) != 0) {
            return false;
        }
    }
    std::erase_if(c.carried, [](const carried_fold& f) { return f.kinds == 0; });
    if (!is_any_known) return true;
    all.add(std::move(c));
    c = all.take(ranges);
    return true;
}

}  // namespace

std::optional<changes> decode_fold(std::string_view bytes, std::span<const dot_range> ranges,
                                   const std::function<std::optional<origin>(const replica_id&)>& number_of, timestamp least,
                                   const known_kinds& kinds) {
    codec::input whole(bytes);
    const auto size = whole.varint();
    std::optional<std::string> decompressed;
    auto raw = whole.rest();
    if (size > 0) {
        if (size > 2 * limits::fold) return std::nullopt;
        decompressed = codec::decompress(raw, static_cast<std::size_t>(size));
        if (!decompressed) return std::nullopt;
        raw = *decompressed;
    }
    codec::input in(raw);
    std::vector<replica_id> others;
    std::string_view apart;
    in(others, apart);
    const auto of_rows = raw.substr(raw.size() - in.remaining());
    const auto count = in.varint();
    read_column root;
    root.load(in);
    if (!in.complete()) return std::nullopt;

    const auto places = find_places(ranges, others, number_of);
    if (!places) return std::nullopt;
    changes c;
    place_input extras(apart, *places);
    extras(c.removals, c.members);
    if (extras.remaining() > 0) {
        extras(c.carried);
        if (c.carried.empty()) return std::nullopt;
    }
    if (!extras.complete() || !is_sound(c.members)) return std::nullopt;

    bounds left;
    // A row hardly takes less than a few bytes; whatever the count says, no more is taken in advance than a fold may be long.
    constexpr std::size_t few_bytes = 8;
    constexpr std::size_t most_in_advance = limits::fold / sizeof(row_change);
    c.rows.reserve(std::min({static_cast<std::size_t>(count), raw.size() / few_bytes, most_in_advance}));
    if (!rows_input(root, *places, ranges, left).read(count, kinds, ~std::uint64_t{0}, least, c)) return std::nullopt;
    const auto unread = c.unknown;
    if (!open_carried(c, ranges, number_of, kinds, left)) return std::nullopt;
    if (unread == 0) return c;
    std::string body;
    codec::output out(body);
    out(others, std::string_view());
    out.raw(of_rows);
    c.carried.push_back({{ranges.begin(), ranges.end()}, least.value, unread, std::move(body)});
    return c;
}

}  // namespace anabranch::crdt
