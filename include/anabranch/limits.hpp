// Every limit of the library in one place. Passing one is errc::limit_exceeded and changes nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace anabranch::limits {

/// Bytes of a bucket's name (at least 1).
inline constexpr std::size_t bucket_name = 255;
/// Bytes of a field's name or a set's element. Any bytes, also none.
inline constexpr std::size_t name = 1024;
/// Names on the way from the bucket to a field, the field and a set's element included.
inline constexpr std::size_t depth = 32;
/// Bytes of a whole encoded path.
inline constexpr std::size_t path = 8 * 1024;
/// Bytes of one register value.
inline constexpr std::size_t value = 8 * 1024 * 1024;
/// Bytes of one encoded transaction.
inline constexpr std::size_t transaction = 16 * 1024 * 1024;
/// Bytes of one fold before compression: what several transactions do to all the rows that they touch.
inline constexpr std::size_t fold = 64 * 1024 * 1024;
/// Bytes of what a request's closure returns, which is stored with it.
inline constexpr std::size_t request_result = 64 * 1024;
/// Executions of requests that a peer is told of as it connects, so that it need not send what is here already.
inline constexpr std::size_t listed_executions = 256 * 1024;
/// Buckets in a store, and in a peer's handshake.
inline constexpr std::size_t buckets = 4096;
/// Paths of a bucket below which a reader holds it (store::bucket_part()).
inline constexpr std::size_t part_paths = 1024;
/// Bytes of them, encoded.
inline constexpr std::size_t part_bytes = 256 * 1024;
/// Replicas (with their incarnations) that ever wrote in a bucket, and in a peer's handshake.
inline constexpr std::size_t origins = 4096;
/// Bytes of one frame on the wire, its header not counted.
inline constexpr std::size_t frame = 1024 * 1024;

}  // namespace anabranch::limits
