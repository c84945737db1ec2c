#include "codec/compression.hpp"

#include <zstd.h>

#include <memory>

namespace anabranch::codec {
namespace {

// What every frame begins with (RFC 8878, section 3.1.1) is left out: everybody knows what follows.
constexpr std::string_view magic = "\x28\xb5\x2f\xfd";

}  // namespace

std::optional<std::string> compress(std::string_view bytes, int level) {
    // A context costs more than compressing a short message does: once a thread.
    thread_local const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(), &ZSTD_freeCCtx);
    std::string out(ZSTD_compressBound(bytes.size()), '\0');
    const auto size = ZSTD_compressCCtx(context.get(), out.data(), out.size(), bytes.data(), bytes.size(), level);
    if (ZSTD_isError(size) != 0 || size - magic.size() >= bytes.size()) return std::nullopt;
    out.resize(size);
    out.erase(0, magic.size());
    return out;
}

std::optional<std::string> decompress(std::string_view compressed, std::size_t size) {
    thread_local const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), &ZSTD_freeDCtx);
    std::string out(size, '\0');
    std::string frame(magic);
    frame += compressed;
    const auto got = ZSTD_decompressDCtx(context.get(), out.data(), out.size(), frame.data(), frame.size());
    if (ZSTD_isError(got) != 0 || got != size) return std::nullopt;
    return out;
}

}  // namespace anabranch::codec
