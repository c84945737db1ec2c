// The compact archives that every wire and disk structure is written and read with. They follow cereal's
// archive concept (`archive(a, b, c)`, `template <class Archive> void serialize(Archive&)`), so that each
// structure describes itself once; docs/encoding.md has the encoding of each type.
//
// The input archive is safe on any bytes: every count is checked against the bytes that remain before
// anything is allocated, and after the first failure all reads give zeros and empties, and ok() is false.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace anabranch::codec {

template <class T>
concept byte_like = std::same_as<T, char> || std::same_as<T, std::uint8_t> || std::same_as<T, std::byte>;

/// A sequence container of values that are archived one by one, with their count in front.
template <class T>
concept sequence = requires(T& t) {
    typename T::value_type;
    t.push_back(std::declval<typename T::value_type>());
    t.size();
    t.clear();
} && !std::same_as<T, std::string>;

inline constexpr std::uint64_t zigzag(std::int64_t v) {
    return static_cast<std::uint64_t>(v) << 1 ^ static_cast<std::uint64_t>(v >> 63);
}
inline constexpr std::int64_t unzigzag(std::uint64_t v) {
    return static_cast<std::int64_t>(v >> 1 ^ (~(v & 1) + 1));
}

/// Appends to a string that it does not own. A derived archive may write some types differently: its
/// `translate(const T&)` returns what is to be written instead.
template <class Derived>
class basic_output {
  public:
    static constexpr bool is_loading = false;

    explicit basic_output(std::string& out) : out_(out) {}

    template <class... T>
    Derived& operator()(const T&... values) {
        (put(values), ...);
        return self();
    }

    /// LEB128: seven bits a byte, least first.
    void varint(std::uint64_t v) {
        char buffer[10];
        std::size_t n = 0;
        while (v >= 0x80) {
            buffer[n++] = static_cast<char>(v | 0x80);
            v >>= 7;
        }
        buffer[n++] = static_cast<char>(v);
        out_.append(buffer, n);
    }
    /// Eight bytes, least first.
    void fixed64(std::uint64_t v) {
        char buffer[8];
        for (char& byte : buffer) {
            byte = static_cast<char>(v);
            v >>= 8;
        }
        out_.append(buffer, 8);
    }
    /// Without a count.
    void raw(std::string_view bytes) { out_.append(bytes); }
    /// A string. A derived archive may write them elsewhere.
    void bytes(std::string_view v) {
        varint(v.size());
        out_.append(v);
    }

  private:
    Derived& self() { return static_cast<Derived&>(*this); }

    template <class T>
    void put(const T& v) {
        if constexpr (requires(Derived& d) { d.translate(v); }) {
            put(self().translate(v));
        } else if constexpr (std::same_as<T, bool> || byte_like<T>) {
            out_.push_back(static_cast<char>(v));
        } else if constexpr (std::is_enum_v<T>) {
            put(static_cast<std::underlying_type_t<T>>(v));
        } else if constexpr (std::unsigned_integral<T>) {
            varint(v);
        } else if constexpr (std::signed_integral<T>) {
            varint(zigzag(v));
        } else if constexpr (std::convertible_to<const T&, std::string_view>) {
            self().bytes(v);
        } else if constexpr (sequence<T>) {
            varint(v.size());
            for (const auto& element : v) put(element);
        } else {
            save(v);
        }
    }
    template <class T, std::size_t N>
    void put(const std::array<T, N>& v) {
        for (const auto& element : v) put(element);
    }
    template <class Key, class T>
    void put(const std::map<Key, T>& v) {
        varint(v.size());
        for (const auto& [key, element] : v) {
            put(key);
            put(element);
        }
    }
    template <class T>
    void put(const std::optional<T>& v) {
        put(v.has_value());
        if (v) put(*v);
    }
    template <class T>
    void save(const T& v) {
        // One serialize() serves both directions, as in cereal; saving does not change the object.
        if constexpr (requires(T& t, Derived& d) { t.serialize(d); }) {
            const_cast<T&>(v).serialize(self());
        } else {
            serialize(self(), const_cast<T&>(v));
        }
    }

    std::string& out_;
};

/// Reads from bytes that it does not own. A derived archive may read some types differently: with `translate(T&)`.
template <class Derived>
class basic_input {
  public:
    static constexpr bool is_loading = true;

    explicit basic_input(std::string_view in) : in_(in) {}

    template <class... T>
    Derived& operator()(T&... values) {
        (get(values), ...);
        return self();
    }

    bool ok() const { return ok_; }
    /// Everything was read, and all of it was well-formed.
    bool complete() const { return ok_ && in_.empty(); }
    std::size_t remaining() const { return in_.size(); }
    /// For structures that check their own invariants while they are read.
    void fail() {
        ok_ = false;
        in_ = {};
    }

    std::uint64_t varint() {
        std::uint64_t v = 0;
        for (unsigned shift = 0; shift < 70; shift += 7) {
            if (in_.empty()) break;
            const auto byte = static_cast<unsigned char>(in_.front());
            in_.remove_prefix(1);
            if (shift == 63 && byte > 1) break;
            v |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
            if (byte < 0x80) {
                // One number has one encoding: chains and digests hash these bytes.
                if (byte == 0 && shift > 0) break;
                return v;
            }
        }
        fail();
        return 0;
    }
    std::uint64_t fixed64() {
        const auto bytes = raw(8);
        std::uint64_t v = 0;
        for (std::size_t i = bytes.size(); i-- > 0;) v = v << 8 | static_cast<unsigned char>(bytes[i]);
        return v;
    }
    std::string_view raw(std::size_t n) {
        if (n > in_.size()) {
            fail();
            return {};
        }
        const auto bytes = in_.substr(0, n);
        in_.remove_prefix(n);
        return bytes;
    }
    std::string_view rest() { return raw(in_.size()); }
    /// A string. A derived archive may read them from elsewhere.
    std::string_view bytes() { return raw(count()); }
    /// A count of things of at least `least` bytes each that follow.
    std::size_t count(std::size_t least = 1) {
        const auto n = varint();
        if (n > in_.size() / least) {
            fail();
            return 0;
        }
        return static_cast<std::size_t>(n);
    }

  private:
    Derived& self() { return static_cast<Derived&>(*this); }

    template <class T>
    void get(T& v) {
        if constexpr (requires(Derived& d) { d.translate(v); }) {
            self().translate(v);
        } else if constexpr (std::same_as<T, bool>) {
            const auto byte = raw(1);
            if (!byte.empty() && static_cast<unsigned char>(byte[0]) > 1) fail();
            v = ok_ && byte[0] == 1;
        } else if constexpr (byte_like<T>) {
            const auto byte = raw(1);
            v = ok_ ? static_cast<T>(byte[0]) : T{};
        } else if constexpr (std::is_enum_v<T>) {
            std::underlying_type_t<T> number{};
            get(number);
            v = static_cast<T>(number);
        } else if constexpr (std::unsigned_integral<T>) {
            const auto wide = varint();
            if (!std::in_range<T>(wide)) fail();
            v = ok_ ? static_cast<T>(wide) : T{};
        } else if constexpr (std::signed_integral<T>) {
            const auto wide = unzigzag(varint());
            if (!std::in_range<T>(wide)) fail();
            v = ok_ ? static_cast<T>(wide) : T{};
        } else if constexpr (std::same_as<T, std::string> || std::same_as<T, std::string_view>) {
            v = self().bytes();
        } else if constexpr (sequence<T>) {
            v.clear();
            // Grown as elements arrive, so memory follows the bytes and not the count.
            for (std::size_t n = count(); n > 0 && ok_; --n) {
                typename T::value_type element{};
                get(element);
                v.push_back(std::move(element));
            }
        } else {
            load(v);
        }
    }
    template <class T, std::size_t N>
    void get(std::array<T, N>& v) {
        for (auto& element : v) get(element);
    }
    template <class Key, class T>
    void get(std::map<Key, T>& v) {
        v.clear();
        for (std::size_t n = count(); n > 0 && ok_; --n) {
            Key key{};
            get(key);
            // One map has one encoding.
            if (!v.empty() && !(v.rbegin()->first < key)) fail();
            T element{};
            get(element);
            if (ok_) v.emplace_hint(v.end(), std::move(key), std::move(element));
        }
    }
    template <class T>
    void get(std::optional<T>& v) {
        bool present = false;
        get(present);
        v.reset();
        if (!present) return;
        // Not emplace(): clang 14 does not take a struct for default constructible that stands in another one.
        T value{};
        get(value);
        v = std::move(value);
    }
    template <class T>
    void load(T& v) {
        if constexpr (requires(T& t, Derived& d) { t.serialize(d); }) {
            v.serialize(self());
        } else {
            serialize(self(), v);
        }
    }

    std::string_view in_;
    bool ok_ = true;
};

class output final : public basic_output<output> {
  public:
    using basic_output::basic_output;
};

class input final : public basic_input<input> {
  public:
    using basic_input::basic_input;
};

template <class T>
std::string encode(const T& value) {
    std::string bytes;
    output archive(bytes);
    archive(value);
    return bytes;
}

/// Nothing where the bytes are not exactly one T.
template <class T>
std::optional<T> decode(std::string_view bytes) {
    std::optional<T> value(std::in_place);
    input archive(bytes);
    archive(*value);
    if (!archive.complete()) value.reset();
    return value;
}

}  // namespace anabranch::codec
