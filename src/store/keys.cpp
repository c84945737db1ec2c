#include "store/keys.hpp"

#include <anabranch/limits.hpp>

namespace anabranch::store_keys {
namespace {

// Bits of a bucket's number, for what stands beside its rows: outside of every scan of them.
constexpr std::uint32_t leftovers = 0x8000'0000;
constexpr std::uint32_t requests = 0x4000'0000;
constexpr std::uint32_t rivals = 0x2000'0000;
constexpr std::uint32_t staged = 0x1000'0000;
constexpr std::uint32_t other = 0x0800'0000;
constexpr std::uint32_t journal = 0x0400'0000;
constexpr std::uint32_t orphans = 0x0200'0000;

bucket_number beside(bucket_number bucket, std::uint32_t bit) { return bucket_number{static_cast<std::uint32_t>(bucket) | bit}; }

std::string_view bytes_of(const hash128& identity) { return {reinterpret_cast<const char*>(identity.data()), identity.size()}; }

// A zero byte in a name is followed by 0xff; a name ends with zero, one. So shorter names sort first.
constexpr char escape = '\xff';
constexpr char end_of_name = '\x01';

void append_escaped(std::string& out, std::string_view name) {
    while (true) {
        const auto zero = name.find('\0');
        out += name.substr(0, zero);
        if (zero == std::string_view::npos) return;
        out += '\0';
        out += escape;
        name.remove_prefix(zero + 1);
    }
}

/// Where a segment's name ends, and how long the name is once it is unescaped. Nothing where it is malformed.
struct segment_extent {
    std::size_t end;
    std::size_t name_size;
};
std::optional<segment_extent> find_segment(std::string_view path) {
    std::size_t escapes = 0;
    for (auto at = path.find('\0'); at != std::string_view::npos && at + 1 < path.size(); at = path.find('\0', at + 2)) {
        if (path[at + 1] == end_of_name && at + 2 < path.size()) return segment_extent{at, at - escapes};
        if (path[at + 1] != escape) break;
        ++escapes;
    }
    return std::nullopt;
}

void append_big_endian(std::string& out, std::uint64_t v, int bytes) {
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) out += static_cast<char>(v >> shift);
}

}  // namespace

std::string segment(std::string_view name, char type) { return path_below({}, name, type); }

std::string path_below(std::string_view path, std::string_view name, char type) {
    std::string out;
    out.reserve(path.size() + name.size() + 3);
    out += path;
    append_escaped(out, name);
    out += '\0';
    out += end_of_name;
    out += type;
    return out;
}

std::optional<parsed_segment> first_segment(std::string_view path) {
    const auto found = find_segment(path);
    if (!found) return std::nullopt;
    parsed_segment s{{}, path[found->end + 2], found->end + 3};
    s.name.reserve(found->name_size);
    for (std::size_t i = 0; i < found->end; ++i) {
        s.name += path[i];
        if (path[i] == '\0') ++i;
    }
    return s;
}

std::string readable(std::string_view path) {
    if (path.empty()) return "the top";
    std::string text;
    while (const auto segment = first_segment(path)) {
        text += (text.empty() ? "\"" : "/") + segment->name;
        path.remove_prefix(segment->length);
    }
    return text + '"';
}

bool is_path(std::string_view path) {
    if (path.empty() || path.size() > limits::path) return false;
    for (std::size_t depth = 0; !path.empty(); ++depth) {
        const auto found = find_segment(path);
        if (!found || found->name_size > limits::name || depth == limits::depth) return false;
        path.remove_prefix(found->end + 3);
    }
    return true;
}

std::string names_from(std::string_view prefix) {
    std::string out;
    append_escaped(out, prefix);
    return out;
}

std::string names_after(std::string_view name) {
    std::string out;
    append_escaped(out, name);
    out += '\0';
    out += static_cast<char>(end_of_name + 1);
    return out;
}

std::string prefix_end(std::string_view prefix) {
    std::string end(prefix);
    while (!end.empty() && end.back() == '\xff') end.pop_back();
    if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
    return end;
}

std::string big_endian32(std::uint32_t v) {
    std::string out;
    append_big_endian(out, v, 4);
    return out;
}

std::string big_endian64(std::uint64_t v) {
    std::string out;
    append_big_endian(out, v, 8);
    return out;
}

std::uint64_t read_big_endian(std::string_view bytes) {
    std::uint64_t v = 0;
    for (const char byte : bytes) v = v << 8 | static_cast<unsigned char>(byte);
    return v;
}

std::string row_key(bucket_number bucket, std::string_view path) {
    std::string key;
    key.reserve(row_key_prefix + path.size());
    append_big_endian(key, static_cast<std::uint32_t>(bucket), 4);
    key += path;
    return key;
}

std::string leftover_key(bucket_number bucket, std::string_view path) {
    return row_key(beside(bucket, leftovers), path);
}

std::string request_key(bucket_number bucket, const hash128& identity) {
    return request_prefix(bucket).append(bytes_of(identity));
}

std::string request_prefix(bucket_number bucket) {
    return row_key(beside(bucket, requests), {});
}

bucket_number other_rows(bucket_number rows) { return bucket_number{static_cast<std::uint32_t>(rows) ^ other}; }

std::string journal_key(bucket_number bucket, journal_kind kind) { return row_key(beside(bucket, journal), {}) + static_cast<char>(kind); }

std::string journal_piece(bucket_number bucket, std::uint64_t pieces_at, std::uint64_t piece) {
    auto key = journal_key(bucket, journal_kind::piece);
    append_big_endian(key, pieces_at, 8);
    append_big_endian(key, piece, 4);
    return key;
}

hash128 identity_in(std::string_view key) {
    hash128 identity{};
    key.substr(key.size() - identity.size()).copy(reinterpret_cast<char*>(identity.data()), identity.size());
    return identity;
}

std::string staged_key(bucket_number bucket, staged_kind kind, std::string_view key) {
    auto whole = staged_prefix(bucket);
    whole += static_cast<char>(kind);
    whole += key;
    return whole;
}

std::string staged_request_key(bucket_number bucket, const hash128& identity) {
    return staged_key(bucket, staged_kind::request, bytes_of(identity));
}

std::string staged_prefix(bucket_number bucket) {
    return row_key(beside(bucket, staged), {});
}

std::string rivals_key(bucket_number bucket, origin writer, std::uint64_t sequence) {
    return log_key(beside(bucket, rivals), writer, sequence);
}

std::string orphan_key(bucket_number bucket, origin writer, std::uint64_t sequence) {
    return log_key(beside(bucket, orphans), writer, sequence);
}

std::string orphan_prefix(bucket_number bucket) {
    return row_key(beside(bucket, orphans), {});
}

std::string log_key(bucket_number bucket, origin writer, std::uint64_t sequence) {
    std::string key;
    key.reserve(16);
    append_big_endian(key, static_cast<std::uint32_t>(bucket), 4);
    append_big_endian(key, static_cast<std::uint32_t>(writer), 4);
    append_big_endian(key, sequence, 8);
    return key;
}

std::optional<log_position> parse_log_key(std::string_view key) {
    if (key.size() != 16) return std::nullopt;
    return log_position{bucket_number{static_cast<std::uint32_t>(read_big_endian(key.substr(0, 4)))},
                        origin{static_cast<std::uint32_t>(read_big_endian(key.substr(4, 4)))},
                        read_big_endian(key.substr(8, 8))};
}

bool is_log_key(std::string_view key, const log_position& of) { return parse_log_key(key) == of; }

}  // namespace anabranch::store_keys
