#include "base/hash.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

namespace anabranch {
namespace {

// Fetching the algorithm and allocating a context cost more than hashing a short record does: once a thread.
struct hasher {
    std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)> algorithm{EVP_MD_fetch(nullptr, "SHA256", nullptr),
                                                              &EVP_MD_free};
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

using digest = std::array<unsigned char, 32>;

hash128 first_half(const digest& full) {
    hash128 half{};
    std::copy_n(full.begin(), half.size(), half.begin());
    return half;
}

}  // namespace

hash128 sha256_128(std::initializer_list<std::string_view> parts) {
    thread_local hasher sha256;
    digest full{};
    bool ok = EVP_DigestInit_ex2(sha256.context.get(), sha256.algorithm.get(), nullptr) == 1;
    for (const auto part : parts) ok = ok && EVP_DigestUpdate(sha256.context.get(), part.data(), part.size()) == 1;
    ok = ok && EVP_DigestFinal_ex(sha256.context.get(), full.data(), nullptr) == 1;
    // Only without memory or with an OpenSSL that lacks SHA-256: going on would break every chain.
    if (!ok) std::abort();
    return first_half(full);
}

hash128 hmac_sha256_128(std::string_view key, std::string_view message) {
    digest full{};
    const auto* bytes = reinterpret_cast<const unsigned char*>(message.data());
    if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes, message.size(), full.data(), nullptr) == nullptr) std::abort();
    return first_half(full);
}

bool is_equal_in_constant_time(std::string_view a, std::string_view b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace anabranch
