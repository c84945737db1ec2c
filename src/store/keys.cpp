#include "store/keys.hpp"

#include <anabranch/limits.hpp>

namespace anabranch::store_keys {
namespace {

// A zero byte in a name is followed by 0xff; a name ends with zero, one. So shorter names sort first.
constexpr char escape = '\xff';
constexpr char end_of_name = '\x01';

void append_escaped(std::string& out, std::string_view name) {
    for (const char byte : name) {
        out += byte;
        if (byte == '\0') out += escape;
    }
}

std::uint64_t read_big_endian(std::string_view bytes) {
    std::uint64_t v = 0;
    for (const char byte : bytes) v = v << 8 | static_cast<unsigned char>(byte);
    return v;
}

void append_big_endian(std::string& out, std::uint64_t v, int bytes) {
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) out += static_cast<char>(v >> shift);
}

}  // namespace

std::string segment(std::string_view name, char type) {
    std::string out;
    out.reserve(name.size() + 3);
    append_escaped(out, name);
    out += '\0';
    out += end_of_name;
    out += type;
    return out;
}

std::optional<parsed_segment> first_segment(std::string_view path) {
    parsed_segment s{{}, 0, 0};
    for (std::size_t i = 0; i + 1 < path.size(); ++i) {
        if (path[i] != '\0') {
            s.name += path[i];
            continue;
        }
        ++i;
        if (path[i] == escape) {
            s.name += '\0';
        } else if (path[i] == end_of_name && i + 1 < path.size()) {
            s.type = path[i + 1];
            s.length = i + 2;
            return s;
        } else {
            return std::nullopt;
        }
    }
    return std::nullopt;
}

bool is_path(std::string_view path) {
    if (path.empty() || path.size() > limits::path) return false;
    for (std::size_t depth = 0; !path.empty(); ++depth) {
        const auto s = first_segment(path);
        if (!s || s->name.size() > limits::name || depth == limits::depth) return false;
        path.remove_prefix(s->length);
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

std::string row_key(bucket_number bucket, std::string_view path) {
    std::string key;
    key.reserve(row_key_prefix + path.size());
    append_big_endian(key, static_cast<std::uint32_t>(bucket), 4);
    key += path;
    return key;
}

std::string leftover_key(bucket_number bucket, std::string_view path) {
    constexpr std::uint32_t beside_rows = 0x8000'0000;
    return row_key(bucket_number{static_cast<std::uint32_t>(bucket) | beside_rows}, path);
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

}  // namespace anabranch::store_keys
