#include "base/base64.hpp"

#include <openssl/evp.h>

#include <algorithm>

namespace anabranch {
namespace {

unsigned char* data(std::string& s) { return reinterpret_cast<unsigned char*>(s.data()); }
const unsigned char* data(std::string_view s) { return reinterpret_cast<const unsigned char*>(s.data()); }

}  // namespace

std::string to_base64url(std::string_view bytes) {
    std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // OpenSSL ends it with a zero
    text.resize(static_cast<std::size_t>(EVP_EncodeBlock(data(text), data(bytes), static_cast<int>(bytes.size()))));
    text.erase(std::ranges::find(text, '='), text.end());
    std::ranges::replace(text, '+', '-');
    std::ranges::replace(text, '/', '_');
    return text;
}

std::optional<std::string> from_base64url(std::string_view text) {
    constexpr std::size_t longest = 1024 * 1024;
    if (text.size() > longest) return std::nullopt;
    std::string padded(text);
    std::ranges::replace(padded, '-', '+');
    std::ranges::replace(padded, '_', '/');
    const auto padding = (4 - padded.size() % 4) % 4;
    padded.append(padding, '=');
    std::string bytes(padded.size() / 4 * 3, '\0');
    if (padding == 3 || EVP_DecodeBlock(data(bytes), data(padded), static_cast<int>(padded.size())) < 0) return std::nullopt;
    bytes.resize(bytes.size() - padding);
    // OpenSSL lets blanks and stray bits pass.
    if (to_base64url(bytes) != text) return std::nullopt;
    return bytes;
}

}  // namespace anabranch
