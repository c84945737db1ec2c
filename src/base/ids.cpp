#include <anabranch/ids.hpp>
#include <span>

namespace anabranch {
namespace {

std::string hex(std::span<const std::uint8_t> bytes) {
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const auto byte : bytes) {
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}

}  // namespace

std::string to_string(const replica_id& id) { return hex(id.value) + '.' + std::to_string(id.incarnation); }
std::string to_string(const hash128& hash) { return hex(hash); }

}  // namespace anabranch
