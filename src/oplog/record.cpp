#include "oplog/record.hpp"

#include "base/hash.hpp"
#include "codec/archive.hpp"

namespace anabranch::oplog {
std::string encode_record(const record& r) {
    std::string body;
    encode_record(r, body);
    return body;
}

void encode_record(const record& r, std::string& out) {
    out.reserve(out.size() + 16 + r.mentioned.size() * 20 + r.payload.size());
    codec::output body(out);
    body(r.kind);
    body.fixed64(r.at.value);
    body(r.mentioned);
    body.raw(r.payload);
}

std::optional<record> decode_record(std::string_view body) {
    codec::input in(body);
    record r;
    in(r.kind);
    if (r.kind != record_kind::plain && r.kind != record_kind::execution) return std::nullopt;
    r.at.value = in.fixed64();
    in(r.mentioned);
    r.payload = in.rest();
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

hash128 chain_start(std::string_view bucket, const replica_id& origin) {
    std::string bytes = "anabranch chain 1";
    codec::output out(bytes);
    out(bucket, origin);
    return sha256_128({bytes});
}

hash128 chain_next(const hash128& head, std::string_view body) { return sha256_128({as_bytes(head), body}); }

}  // namespace anabranch::oplog
