#include "sync/message.hpp"

#include <algorithm>

#include "codec/archive.hpp"

namespace anabranch::sync {
namespace {

constexpr std::string_view magic = "ANBR";
constexpr std::uint8_t more_follow = 0x80;
constexpr std::size_t header_size = 5;  // length of the rest, little-endian; type
constexpr std::size_t largest_greeting = 256;

template <std::size_t Place = 0>
std::optional<message> decode_as(std::size_t place, std::string_view bytes) {
    if constexpr (Place < std::variant_size_v<message>) {
        if (place != Place) return decode_as<Place + 1>(place, bytes);
        auto decoded = codec::decode<std::variant_alternative_t<Place, message>>(bytes);
        if (!decoded) return std::nullopt;
        return message(std::move(*decoded));
    } else {
        return std::nullopt;
    }
}

constexpr std::uint8_t greeting_type = 1;
static_assert(std::is_same_v<std::variant_alternative_t<greeting_type - 1, message>, greeting>);

template <class... Large>
constexpr bool is_any_of(std::size_t place) {
    return ((place == message(Large{}).index()) || ...);
}
/// All others fit into one frame, whatever they say.
bool may_span_frames(std::uint8_t type) { return is_any_of<records, adverts, executions, walk, state_piece, wishes, audit, audit_answer>(type - 1U); }

std::string to_string(const protocol_versions& v) {
    return v.oldest == v.newest ? "version " + std::to_string(v.oldest) : "versions " + std::to_string(v.oldest) + " to " + std::to_string(v.newest);
}

}  // namespace

void append_message(std::string& out, const message& m) {
    const auto type = static_cast<std::uint8_t>(m.index() + 1);
    std::string payload;
    if (type == greeting_type) payload = magic;
    codec::output archive(payload);
    std::visit([&](const auto& alternative) { archive(alternative); }, m);
    std::string_view rest = payload;
    do {
        const auto part = rest.substr(0, limits::frame);
        rest.remove_prefix(part.size());
        auto length = static_cast<std::uint32_t>(part.size());
        for (int i = 0; i < 4; ++i, length >>= 8) out += static_cast<char>(length);
        out += static_cast<char>(rest.empty() ? type : type | more_follow);
        out += part;
    } while (!rest.empty());
}

/// Versions first: a peer of another version may have written the rest in another way.
result<std::optional<message>> message_reader::decode_greeting(std::string_view bytes) {
    if (!bytes.starts_with(magic)) return fail(errc::malformed, "the peer does not speak the sync protocol");
    bytes.remove_prefix(magic.size());
    codec::input in(bytes);
    protocol_versions theirs;
    in(theirs.oldest, theirs.newest);
    if (!in.ok() || theirs.oldest > theirs.newest) return fail(errc::malformed, "the greeting is cut short, or names no version");
    const auto common = std::min(theirs.newest, spoken_.newest);
    if (common < std::max(theirs.oldest, spoken_.oldest)) {
        return fail(errc::unsupported_protocol, "the peer speaks " + to_string(theirs) + " of the sync protocol, this replica " + to_string(spoken_));
    }
    agreed_ = common;
    auto whole = codec::decode<greeting>(bytes);
    if (!whole) return fail(errc::malformed, "the greeting cannot be decoded");
    return std::optional(message(std::move(*whole)));
}

result<std::optional<message>> message_reader::next() {
    while (true) {
        const auto bytes = std::string_view(buffer_).substr(consumed_);
        const auto wait = [&]() -> std::optional<message> {
            buffer_.erase(0, consumed_);
            consumed_ = 0;
            return std::nullopt;
        };
        if (bytes.size() < header_size) return wait();
        std::uint32_t length = 0;
        for (std::size_t i = 4; i-- > 0;) length = length << 8 | static_cast<unsigned char>(bytes[i]);
        const auto tag = static_cast<std::uint8_t>(bytes[4]);
        const auto type = static_cast<std::uint8_t>(tag & ~more_follow);
        // Judged by its header, before anything is waited for: a foreign protocol is noticed by its first bytes.
        if (!agreed_ && (tag != greeting_type || length > largest_greeting)) {
            return fail(errc::malformed, "the peer does not speak the sync protocol");
        }
        if (type == 0 || type > std::variant_size_v<message>) {
            return fail(errc::malformed, "a message of type " + std::to_string(type) + ", which the sync protocol does not have");
        }
        if (length > limits::frame) return fail(errc::malformed, "a frame of " + std::to_string(length) + " bytes");
        if (!staged_.empty() && type != staged_type_) return fail(errc::malformed, "a message is cut by another one");
        if (tag != type && !may_span_frames(type)) return fail(errc::malformed, "a message of that type has one frame");
        if (staged_.size() + length > max_message) return fail(errc::malformed, "a message is too long");
        if (tag != type && length == 0) return fail(errc::malformed, "an empty frame");
        if (bytes.size() < header_size + length) return wait();
        const auto payload = bytes.substr(header_size, length);
        consumed_ += header_size + length;
        if (tag != type) {
            staged_ += payload;
            staged_type_ = type;
            continue;
        }
        if (!agreed_) return decode_greeting(payload);
        if (type == greeting_type) return fail(errc::malformed, "a second greeting");
        std::optional<message> decoded;
        if (staged_.empty()) {
            decoded = decode_as(type - 1U, payload);
        } else {
            staged_ += payload;
            decoded = decode_as(type - 1U, staged_);
            staged_ = {};
        }
        if (!decoded) return fail(errc::malformed, "a message of type " + std::to_string(type) + " cannot be decoded");
        return decoded;
    }
}

}  // namespace anabranch::sync
