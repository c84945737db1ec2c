#include <anabranch/request.hpp>

#include "base/hash.hpp"
#include "codec/archive.hpp"

namespace anabranch {
namespace {

/// Parts with their lengths in front: no two requests run together to the same bytes.
std::string joined(std::initializer_list<std::string_view> parts) {
    std::string bytes;
    codec::output out(bytes);
    for (const auto part : parts) out(part);
    return bytes;
}

hash128 derived(const request& r, std::string_view what, std::uint64_t n) {
    const auto identity = r.identity();
    std::string bytes = joined({"anabranch request value", as_bytes(identity), what});
    codec::output(bytes).varint(n);
    return sha256_128({bytes});
}

}  // namespace

hash128 request::identity() const { return sha256_128({joined({"anabranch request", tenant, principal, key})}); }

std::string request::id(std::uint32_t n) const {
    auto bytes = derived(*this, "id", n);
    bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x80);
    bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);
    auto text = to_string(bytes);
    for (const std::size_t at : {8U, 13U, 18U, 23U}) text.insert(at, 1, '-');
    return text;
}

request_rng request::rng() const {
    const auto bytes = derived(*this, "rng", 0);
    std::uint64_t seed = 0;
    for (std::size_t i = 0; i < sizeof seed; ++i) seed |= static_cast<std::uint64_t>(bytes[i]) << 8 * i;
    return request_rng(seed);
}

}  // namespace anabranch
