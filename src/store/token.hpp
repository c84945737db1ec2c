// Tokens that leave the process and come back: text that is what this bucket made of it, or is refused.
#pragma once

#include <anabranch/result.hpp>
#include <string>
#include <string_view>

#include "base/hash.hpp"

namespace anabranch::detail {

/// In front of a token, so that one is not taken for the other.
enum class token_kind : char { feed = 'f', session = 's' };

/// What makes and checks the tokens of one bucket.
struct token_seal {
    std::string_view bucket;
    hash128 key;

    std::string close(token_kind kind, std::string_view content) const;
    /// The content. errc::invalid_token.
    result<std::string> open(token_kind kind, std::string_view token) const;
};

}  // namespace anabranch::detail
