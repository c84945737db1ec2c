#include "oplog/record.hpp"

#include "base/hash.hpp"
#include "codec/archive.hpp"

namespace anabranch::oplog {
namespace {

constexpr std::size_t head_size = 1 + sizeof(timestamp);  // kind and time: of a body that is an execution, abbreviated or not

std::string with_kind(record_kind kind, std::string_view body) {
    std::string out(body.substr(0, head_size));
    out.front() = static_cast<char>(kind);
    return out;
}

}  // namespace

std::string encode_record(const record& r) {
    std::string body;
    encode_record(r, body);
    return body;
}

void encode_record(const record& r, std::string& out) {
    out.reserve(out.size() + 16 + r.mentioned.size() * 20 + r.payload.size() + r.common.size());
    codec::output body(out);
    body(r.kind);
    body.fixed64(r.at.value);
    body(r.mentioned);
    if (r.kind == record_kind::execution) {
        body(r.payload);
        body.raw(r.common);
    } else {
        body.raw(r.payload);
    }
}

std::optional<record> decode_record(std::string_view body, std::uint64_t known) {
    codec::input in(body);
    record r;
    in(r.kind);
    if (r.kind == record_kind{} || r.kind == record_kind::abbreviated_execution || r.kind > greatest_record_kind) return std::nullopt;
    r.is_unread = (known & bit_of(r.kind)) == 0;
    const bool is_in_parts = r.kind == record_kind::execution && !r.is_unread;
    r.at.value = in.fixed64();
    in(r.mentioned);
    if (is_in_parts) in(r.payload);
    (is_in_parts ? r.common : r.payload) = in.rest();
    if (!in.ok()) return std::nullopt;
    return r;
}

timestamp record_time(std::string_view body) {
    codec::input in(body);
    in.raw(1);
    return {in.fixed64()};
}

bool is_execution(std::string_view body) {
    return !body.empty() && static_cast<record_kind>(body.front()) == record_kind::execution;
}

std::string abbreviate(std::string_view body, const twin& like) {
    auto out = with_kind(record_kind::abbreviated_execution, body);
    codec::output head(out);
    head(like);
    const auto common = decode_record(body)->common.size();
    return out.append(body.substr(head_size, body.size() - head_size - common));
}

std::optional<twin> twin_of(std::string_view body) {
    if (body.size() < head_size || static_cast<record_kind>(body.front()) != record_kind::abbreviated_execution) return std::nullopt;
    codec::input in(body.substr(head_size));
    twin like;
    in(like);
    return in.ok() ? std::optional(like) : std::nullopt;
}

std::string expand(std::string_view abbreviated, std::string_view common) {
    codec::input in(abbreviated.substr(head_size));
    twin like;
    in(like);
    return with_kind(record_kind::execution, abbreviated).append(in.rest()).append(common);
}

hash128 chain_start(std::string_view bucket, const replica_id& origin) {
    std::string bytes = "anabranch chain 1";
    codec::output out(bytes);
    out(bucket, origin);
    return sha256_128({bytes});
}

hash128 chain_next(const hash128& head, std::string_view body) { return sha256_128({as_bytes(head), body}); }

}  // namespace anabranch::oplog
