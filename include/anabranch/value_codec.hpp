// How register values become bytes. Strings and arithmetic types work as they are; for structs of your
// own include <anabranch/cereal.hpp>.
#pragma once

#include <anabranch/result.hpp>
#include <bit>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace anabranch {

/// Declared for every T, defined for strings and arithmetic types here and for everything that cereal
/// can serialise in <anabranch/cereal.hpp>. The bytes of a T must not depend on the machine.
template <class T>
struct value_codec;

/// Bytes as they are.
template <>
struct value_codec<std::string> {
    static std::string encode(std::string value) { return value; }
    static result<std::string> decode(std::string_view bytes) { return std::string(bytes); }
};

/// 8 bytes, little-endian: two's complement, or IEEE 754 binary64.
template <class T>
    requires std::is_arithmetic_v<T>
struct value_codec<T> {
    static std::string encode(T value) {
        std::uint64_t bits = 0;
        if constexpr (std::is_floating_point_v<T>) {
            bits = std::bit_cast<std::uint64_t>(static_cast<double>(value));
        } else {
            bits = static_cast<std::uint64_t>(value);
        }
        std::string bytes(8, '\0');
        for (char& byte : bytes) {
            byte = static_cast<char>(bits & 0xff);
            bits >>= 8;
        }
        return bytes;
    }
    static result<T> decode(std::string_view bytes) {
        if (bytes.size() != 8) return fail(errc::undecodable, "a number is 8 bytes, this value has " + std::to_string(bytes.size()));
        std::uint64_t bits = 0;
        for (std::size_t i = 8; i-- > 0;) bits = bits << 8 | static_cast<unsigned char>(bytes[i]);
        if constexpr (std::is_floating_point_v<T>) {
            return static_cast<T>(std::bit_cast<double>(bits));
        } else {
            const T value = static_cast<T>(bits);
            if (static_cast<std::uint64_t>(value) != bits) return fail(errc::undecodable, "the stored number does not fit the type asked for");
            return value;
        }
    }
};

}  // namespace anabranch
