#include "store/token.hpp"

#include "base/base64.hpp"

namespace anabranch::detail {
namespace {

constexpr std::size_t tag_size = 8;

/// 2^-64 is what a forger has, a try.
std::string tag(const hash128& key, std::string_view content) {
    return std::string(as_bytes(hmac_sha256_128(as_bytes(key), content)).substr(0, tag_size));
}

}  // namespace

std::string token_seal::close(token_kind kind, std::string_view content) const {
    auto bytes = static_cast<char>(kind) + std::string(content);
    bytes += tag(key, bytes);
    return to_base64url(bytes);
}

result<std::string> token_seal::open(token_kind kind, std::string_view token) const {
    const auto refuse = [&](const char* why) {
        return fail(errc::invalid_token, std::string(kind == token_kind::feed ? "the feed token " : "the session token ") + why +
                                             " (bucket \"" + std::string(bucket) + "\")");
    };
    auto bytes = from_base64url(token);
    if (!bytes || bytes->size() < 1 + tag_size) return refuse("is damaged or cut short");
    const auto content = std::string_view(*bytes).substr(0, bytes->size() - tag_size);
    if (!is_equal_in_constant_time(tag(key, content), std::string_view(*bytes).substr(content.size()))) return refuse("was not made by a replica of this bucket, or is damaged");
    if (content.front() != static_cast<char>(kind)) return refuse("is one of another kind");
    return std::string(content.substr(1));
}

}  // namespace anabranch::detail
