// SHA-256, cut to 128 bits: chains, digests, fingerprints, seals.
#pragma once

#include <anabranch/ids.hpp>
#include <initializer_list>
#include <string_view>

namespace anabranch {

/// The first 16 bytes of SHA-256 over the parts in order. Parts are not delimited: the caller makes
/// sure that no two inputs run together to the same bytes.
hash128 sha256_128(std::initializer_list<std::string_view> parts);

/// The first 16 bytes of HMAC-SHA256 (RFC 2104): only who knows the key can make it.
hash128 hmac_sha256_128(std::string_view key, std::string_view message);

/// In a time that does not tell where they differ.
bool is_equal_in_constant_time(std::string_view a, std::string_view b);

inline std::string_view as_bytes(const hash128& hash) {
    return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

}  // namespace anabranch
