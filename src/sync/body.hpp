// The bodies of `records` and `state_piece`, which cross the wire compressed where that pays.
#pragma once

#include <string>
#include <utility>

#include "codec/compression.hpp"
#include "sync/message.hpp"

namespace anabranch::sync {

template <class Message>
void compress(Message& m) {
    // Below this a frame of zstd costs more than it saves.
    constexpr std::size_t least_compressed = 512;
    constexpr int compression_level = 1;
    if (m.body.size() < least_compressed) return;
    if (auto compressed = codec::compress(m.body, compression_level)) {
        m.raw_size = m.body.size();
        m.body = std::move(*compressed);
    }
}

template <class Message>
result<std::string> decompress(const Message& m) {
    if (m.raw_size == 0) return m.body;
    auto raw = m.raw_size > max_message ? std::nullopt : codec::decompress(m.body, static_cast<std::size_t>(m.raw_size));
    if (!raw) return fail(errc::malformed, "what was sent of bucket \"" + m.bucket + "\" cannot be decompressed, or is too long");
    return std::move(*raw);
}

}  // namespace anabranch::sync
