// zstd, with bounds.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace anabranch::codec {

/// The bytes compressed, or nothing where that would not make them shorter.
std::optional<std::string> compress(std::string_view bytes, int level);

/// Exactly `size` bytes; nothing where the input is malformed or of another size.
std::optional<std::string> decompress(std::string_view compressed, std::size_t size);

}  // namespace anabranch::codec
