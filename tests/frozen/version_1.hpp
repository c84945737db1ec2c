// Version 1 of the sync protocol, written down a second time: after docs/sync-protocol.md, docs/oplog.md, docs/rows.md and
// docs/encoding.md, with nothing of the library's code but SHA-256. It stands for the builds that are out there and speak
// this version. Frozen: whoever changes what the library writes or reads makes a new version, and leaves this file as it is.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/hash.hpp"

namespace anabranch::test::version_1 {

// --- writing -------------------------------------------------------------------------------------------------

inline std::string number(std::uint64_t v) {
    std::string out;
    for (; v >= 0x80; v >>= 7) out += static_cast<char>(v | 0x80);
    return out + static_cast<char>(v);
}
inline std::string signed_number(std::int64_t v) {
    return number(static_cast<std::uint64_t>(v) << 1 ^ static_cast<std::uint64_t>(v >> 63));
}
inline std::string byte(std::uint8_t v) { return std::string(1, static_cast<char>(v)); }
inline std::string fixed64(std::uint64_t v) {
    std::string out;
    for (int i = 0; i < 8; ++i, v >>= 8) out += static_cast<char>(v);
    return out;
}
inline std::string text(std::string_view v) { return number(v.size()) + std::string(v); }
inline std::string sequence(const std::vector<std::string>& elements) {
    auto out = number(elements.size());
    for (const auto& e : elements) out += e;
    return out;
}
inline std::string none() { return byte(0); }
inline std::string some(const std::string& v) { return byte(1) + v; }

using id128 = std::array<std::uint8_t, 16>;
inline std::string id(const id128& v) { return {v.begin(), v.end()}; }

struct replica {
    id128 value{};
    std::uint64_t incarnation = 1;

    bool operator==(const replica&) const = default;
    std::string bytes() const { return id(value) + number(incarnation); }
};

inline std::string frame(std::uint8_t type, const std::string& payload) {
    std::string out;
    auto length = payload.size();
    for (int i = 0; i < 4; ++i, length >>= 8) out += static_cast<char>(length);
    return out + static_cast<char>(type) + payload;
}

struct progress {
    replica origin;
    std::uint64_t sequence = 0;
    id128 head{};

    std::string bytes() const { return origin.bytes() + number(sequence) + id(head); }
};

inline std::string greeting(const replica& self, const id128& state) { return frame(1, "ANBR" + byte(1) + byte(1) + self.bytes() + id(state)); }

struct have {
    std::string bucket;
    std::uint64_t epoch = 0;
    std::uint64_t ceiling = UINT64_MAX;
    std::uint8_t role = 0;  // 1 reader, 2 joining, 3 member
    std::uint64_t fold_bytes = 0;
    bool lists_executions = false;
    bool takes_abbreviated = true;
    std::optional<replica> founder;
    std::vector<progress> known;

    std::string bytes() const {
        std::vector<std::string> all;
        for (const auto& p : known) all.push_back(p.bytes());
        return frame(2, text(bucket) + number(epoch) + number(ceiling) + byte(role) + number(fold_bytes) + byte(lists_executions) +
                            byte(takes_abbreviated) + (founder ? some(founder->bytes()) : none()) + sequence(all));
    }
};

inline std::string ready() { return frame(3, ""); }
inline std::string records(const std::string& bucket, std::uint64_t epoch, std::uint64_t raw_size, const std::string& body) {
    return frame(4, text(bucket) + number(epoch) + number(raw_size) + text(body));
}
inline std::string acknowledgement(const std::string& bucket, const std::vector<std::pair<replica, std::uint64_t>>& known) {
    std::vector<std::string> all;
    for (const auto& [origin, last] : known) all.push_back(origin.bytes() + number(last));
    return frame(5, text(bucket) + sequence(all));
}
inline std::string heartbeat() { return frame(6, ""); }
inline std::string goodbye(std::uint32_t code, const std::string& reason) { return frame(7, number(code) + text(reason)); }
/// Members and origins by their places in `replicas`.
struct advert {
    std::uint64_t member;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> known;
};
inline std::string adverts(const std::string& bucket, const std::vector<replica>& replicas, const std::vector<advert>& members) {
    std::vector<std::string> ids;
    for (const auto& r : replicas) ids.push_back(r.bytes());
    std::vector<std::string> all;
    for (const auto& m : members) {
        std::vector<std::string> known;
        for (const auto& [place, last] : m.known) known.push_back(number(place) + number(last));
        all.push_back(number(m.member) + sequence(known));
    }
    return frame(8, text(bucket) + sequence(ids) + sequence(all));
}
inline std::string parting(const std::string& bucket, bool is_sending, std::uint32_t code, const std::string& reason) {
    return frame(9, text(bucket) + byte(is_sending) + number(code) + text(reason));
}
using digest64 = std::array<std::uint8_t, 8>;
/// Of one replica: sequences as distances.
inline std::string executions(const std::string& bucket, const replica& origin, const std::vector<std::pair<std::uint64_t, digest64>>& all) {
    std::vector<std::string> entries;
    for (const auto& [distance, digest] : all) entries.push_back(number(distance) + std::string(digest.begin(), digest.end()));
    return frame(10, text(bucket) + sequence({origin.bytes() + sequence(entries)}));
}
inline std::string behind(const std::string& bucket, std::uint64_t epoch) { return frame(11, text(bucket) + number(epoch)); }
inline std::string walk(const std::string& bucket, std::uint64_t epoch, const std::string& request) {
    return frame(12, text(bucket) + number(epoch) + text(request));
}
inline std::string state_piece(const std::string& bucket, std::uint64_t epoch, std::uint64_t raw_size, const std::string& body) {
    return frame(13, text(bucket) + number(epoch) + number(raw_size) + text(body));
}
inline std::string piece_taken(const std::string& bucket, std::uint64_t epoch) { return frame(14, text(bucket) + number(epoch)); }
/// Priorities by bucket.
inline std::string wishes(std::uint64_t bytes, std::uint64_t period, std::uint64_t burst, std::uint64_t reserve, std::int64_t left,
                          const std::vector<std::pair<std::string, std::int32_t>>& priorities) {
    std::vector<std::string> all;
    for (const auto& [bucket, priority] : priorities) all.push_back(text(bucket) + signed_number(priority));
    return frame(15, number(bytes) + number(period) + number(burst) + number(reserve) + signed_number(left) + sequence(all));
}
inline std::string waiting() { return frame(16, ""); }
inline std::string audit(const std::string& bucket, std::uint64_t audit_number, const std::string& question) {
    return frame(17, text(bucket) + number(audit_number) + text(question));
}
inline std::string audit_answer(const std::string& bucket, std::uint64_t audit_number, const std::string& answer) {
    return frame(18, text(bucket) + number(audit_number) + text(answer));
}

// Records. A place is 0 for the record's own origin, n for the n-th replica that it mentions; an own dot or time is written as
// its distance.
inline std::string own_dot(std::uint64_t before = 0) { return number(0) + number(before); }
inline std::string dot_of(std::uint64_t place, std::uint64_t last) { return number(place) + number(last); }

/// Removals of prefixes, rows, and what is done to the roster.
inline std::string changes(const std::vector<std::string>& removals, const std::vector<std::string>& rows, const std::string& roster = {}) {
    return sequence(removals) + sequence(rows) + roster;
}
inline std::string removal(const std::string& prefix, const std::vector<std::string>& covered) { return text(prefix) + sequence(covered); }
inline std::string row(const std::string& path, std::uint8_t kind, const std::vector<std::string>& covers, const std::string& change) {
    return text(path) + byte(kind) + text(sequence(covers) + change);
}
inline std::string plain_record(std::uint64_t at, const std::vector<replica>& mentioned, const std::string& payload) {
    std::vector<std::string> ids;
    for (const auto& r : mentioned) ids.push_back(r.bytes());
    return byte(1) + fixed64(at) + sequence(ids) + payload;
}
inline std::string execution_record(std::uint64_t at, const std::vector<replica>& mentioned, const std::string& payload, const std::string& common) {
    std::vector<std::string> ids;
    for (const auto& r : mentioned) ids.push_back(r.bytes());
    return byte(2) + fixed64(at) + sequence(ids) + text(payload) + common;
}
/// A founder, and who is a member.
inline std::string founding(const replica& founder, const id128& seal, const std::vector<replica>& members) {
    // stage joined, last, laggard, no heir, no reports, no fence, not admitted, nothing forgotten
    const auto joined = byte(1) + number(0) + number(0) + none() + sequence({}) + number(0) + none() + number(0);
    std::vector<std::string> all;
    for (const auto& m : members) all.push_back(m.bytes() + joined);
    return some(founder.bytes()) + id(seal) + number(1) + founder.bytes() + sequence(all);
}

inline id128 chain_start(const std::string& bucket, const replica& origin) {
    return sha256_128({"anabranch chain 1", text(bucket), origin.bytes()});
}
inline id128 chain_next(const id128& head, const std::string& record) { return sha256_128({id(head), record}); }

// Chunks.
struct range {
    replica origin;
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    id128 head{};

    std::string bytes() const { return origin.bytes() + number(first) + number(last) + id(head); }
};
inline std::string chunk(const std::vector<range>& ranges, const std::vector<std::pair<std::uint64_t, std::string>>& entries) {
    std::vector<std::string> first, second;
    for (const auto& r : ranges) first.push_back(r.bytes());
    for (const auto& [place, record] : entries) second.push_back(number(place) + text(record));
    return sequence(first) + sequence(second) + none() + sequence({});
}
struct aside {
    std::uint64_t range;
    std::uint64_t sequence;
    std::string record;
};
inline std::string folded_chunk(const std::vector<range>& ranges, std::uint64_t least, std::uint64_t greatest, const std::vector<std::uint64_t>& ends,
                                const std::string& body, const std::vector<aside>& asides) {
    std::vector<std::string> first, distances, beside;
    for (const auto& r : ranges) first.push_back(r.bytes());
    for (const auto end : ends) distances.push_back(number(end - least));
    for (const auto& a : asides) beside.push_back(number(a.range) + number(a.sequence) + text(a.record));
    return sequence(first) + sequence({}) + some(number(least) + number(greatest - least) + sequence(distances) + text(body) + sequence(beside)) +
           sequence({});
}

/// A column of a fold, as many bytes wide as its numbers need.
struct column {
    std::vector<std::uint64_t> numbers;
    std::string bytes;
    std::vector<column> fields;

    column& field(std::size_t place) {
        if (fields.size() <= place) fields.resize(place + 1);
        return fields[place];
    }
    void add_text(std::string_view v) {
        numbers.push_back(v.size());
        bytes += v;
    }
    std::string encode() const {
        std::uint64_t all = 0;
        bool is_constant = numbers.size() > 1;
        for (const auto n : numbers) {
            all |= n;
            is_constant = is_constant && n == numbers.front();
        }
        unsigned width = 0;
        for (; all != 0; all >>= 8) ++width;
        const bool is_alone = bytes.empty() && fields.empty();
        auto out = number(numbers.size() << 2 | (is_constant ? 2 : 0) | (is_alone ? 0 : 1));
        if (!numbers.empty()) out += number(width);
        for (unsigned i = 0; i < width; ++i) {
            for (const auto n : numbers) {
                out += static_cast<char>(n >> 8 * i);
                if (is_constant) break;
            }
        }
        if (is_alone) return out;
        out += text(bytes) + number(fields.size());
        for (const auto& f : fields) out += f.encode();
        return out;
    }
};
/// Not compressed.
inline std::string fold_body(const std::vector<replica>& others, const std::string& removals, const std::string& roster, std::uint64_t rows,
                             const column& root) {
    std::vector<std::string> ids;
    for (const auto& r : others) ids.push_back(r.bytes());
    return sequence(ids) + text(removals + roster) + number(rows) + root.encode();
}
/// A roster in which nothing is said.
inline std::string no_roster() { return none() + number(0) + replica{{}, 0}.bytes() + sequence({}); }

// --- reading -------------------------------------------------------------------------------------------------

/// Reads what there is; is_good() is false from the first thing on that is not there.
class reader {
  public:
    explicit reader(std::string_view in) : in_(in) {}

    bool is_good() const { return is_good_; }
    bool is_at_end() const { return is_good_ && in_.empty(); }
    std::string_view take(std::size_t n) {
        is_good_ = is_good_ && n <= in_.size();
        const auto found = is_good_ ? in_.substr(0, n) : std::string_view();
        in_.remove_prefix(found.size());
        return found;
    }
    std::string_view rest() { return take(in_.size()); }
    std::uint64_t number() {
        std::uint64_t v = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const auto b = byte();
            v |= static_cast<std::uint64_t>(b & 0x7f) << shift;
            if (b < 0x80) break;
        }
        return v;
    }
    std::uint8_t byte() {
        const auto b = take(1);
        return b.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(b[0]);
    }
    std::uint64_t fixed64() {
        std::uint64_t v = 0;
        for (unsigned i = 0; i < 8; ++i) v |= static_cast<std::uint64_t>(byte()) << 8 * i;
        return v;
    }
    std::string text() { return std::string(take(static_cast<std::size_t>(number()))); }
    id128 id() {
        id128 v{};
        for (auto& b : v) b = byte();
        return v;
    }
    replica origin() {
        replica r;
        r.value = id();
        r.incarnation = number();
        return r;
    }
    template <class Read>
    auto sequence(const Read& read) {
        std::vector<decltype(read())> all;
        for (auto n = number(); n > 0 && is_good_; --n) all.push_back(read());
        return all;
    }

  private:
    std::string_view in_;
    bool is_good_ = true;
};

struct read_frame {
    std::uint8_t type = 0;
    std::string payload;
};
/// Takes whole frames away from the beginning of the bytes.
inline std::vector<read_frame> take_frames(std::string& bytes) {
    std::vector<read_frame> all;
    while (bytes.size() >= 5) {
        std::size_t length = 0;
        for (std::size_t i = 4; i-- > 0;) length = length << 8 | static_cast<unsigned char>(bytes[i]);
        if (bytes.size() < 5 + length) break;
        all.push_back({static_cast<std::uint8_t>(bytes[4]), bytes.substr(5, length)});
        bytes.erase(0, 5 + length);
    }
    return all;
}

struct read_greeting {
    std::uint8_t oldest = 0, newest = 0;
    replica self;
    id128 state{};
};
inline std::optional<read_greeting> decode_greeting(const std::string& payload) {
    reader in(payload);
    read_greeting g;
    if (in.take(4) != "ANBR") return std::nullopt;
    g.oldest = in.byte();
    g.newest = in.byte();
    g.self = in.origin();
    g.state = in.id();
    return in.is_at_end() ? std::optional(g) : std::nullopt;
}
inline std::optional<have> decode_have(const std::string& payload) {
    reader in(payload);
    have h;
    h.bucket = in.text();
    h.epoch = in.number();
    h.ceiling = in.number();
    h.role = in.byte();
    h.fold_bytes = in.number();
    h.lists_executions = in.byte() == 1;
    h.takes_abbreviated = in.byte() == 1;
    if (in.byte() == 1) h.founder = in.origin();
    h.known = in.sequence([&] {
        progress p;
        p.origin = in.origin();
        p.sequence = in.number();
        p.head = in.id();
        return p;
    });
    return in.is_at_end() ? std::optional(h) : std::nullopt;
}
struct read_records {
    std::string bucket;
    std::uint64_t epoch = 0, raw_size = 0;
    std::string body;
};
inline std::optional<read_records> decode_records(const std::string& payload) {
    reader in(payload);
    read_records r;
    r.bucket = in.text();
    r.epoch = in.number();
    r.raw_size = in.number();
    r.body = in.text();
    return in.is_at_end() ? std::optional(r) : std::nullopt;
}
struct read_chunk {
    std::vector<range> ranges;
    std::vector<std::pair<std::uint64_t, std::string>> entries;
    struct fold {
        std::uint64_t least = 0, greatest = 0;
        std::vector<std::uint64_t> ends;
        std::string body;
        std::vector<aside> asides;
    };
    std::optional<fold> folded;
};
inline std::optional<read_chunk> decode_chunk(const std::string& body) {
    reader in(body);
    read_chunk c;
    c.ranges = in.sequence([&] {
        range r;
        r.origin = in.origin();
        r.first = in.number();
        r.last = in.number();
        r.head = in.id();
        return r;
    });
    c.entries = in.sequence([&] {
        const auto place = in.number();
        return std::pair(place, in.text());
    });
    if (in.byte() == 1) {
        read_chunk::fold f;
        f.least = in.number();
        f.greatest = f.least + in.number();
        f.ends = in.sequence([&] { return f.least + in.number(); });
        f.body = in.text();
        f.asides = in.sequence([&] {
            const auto place = in.number();
            const auto last = in.number();
            return aside{place, last, in.text()};
        });
        c.folded = std::move(f);
    }
    if (in.number() != 0) return std::nullopt;  // twins: this peer lists no executions
    return in.is_at_end() ? std::optional(c) : std::nullopt;
}

}  // namespace anabranch::test::version_1
