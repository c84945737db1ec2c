// Registers that hold structs of your own: everything that cereal can serialise becomes a value.
//
//     struct order_head {
//         std::string customer;
//         std::uint32_t quantity = 0;
//         template <class Archive>
//         void serialize(Archive& archive) { archive(customer, quantity); }
//     };
//     tx.last_writer<order_head>("head").set({"Ada", 2});
//
// Include the <cereal/types/...> of the members. docs/encoding.md has the encoding of each type.
#pragma once

#include <anabranch/value_codec.hpp>
#include <algorithm>
#include <cereal/cereal.hpp>
#include <cstddef>
#include <deque>
#include <exception>
#include <list>
#include <new>
#include <utility>
#include <vector>

namespace anabranch::cereal_archive {

/// Values inside values. Bounds the stack that bytes which are not what they should be can cost.
inline constexpr int max_depth = 1000;

template <class T>
inline constexpr bool is_byte = std::is_same_v<T, char> || std::is_same_v<T, signed char> || std::is_same_v<T, unsigned char>;

/// What a BinaryData points at; bytes where it does not say.
template <class T>
using element_of = std::conditional_t<std::is_void_v<std::remove_pointer_t<T>>, char, std::remove_cv_t<std::remove_pointer_t<T>>>;

/// Numbers do not depend on the machine: integers are variable-length (LEB128, zigzag where they are
/// signed), floating-point numbers are IEEE 754, least byte first. Throws cereal::Exception where values
/// are nested too deep.
class output final : public cereal::OutputArchive<output, cereal::AllowEmptyClassElision> {
  public:
    output() : OutputArchive(this) {}

    template <class T>
    void number(T v) {
        static_assert(!std::is_same_v<T, long double>, "long double differs between machines");
        if constexpr (std::is_same_v<T, bool> || is_byte<T>) {
            bytes_ += static_cast<char>(v);
        } else if constexpr (std::is_same_v<T, float>) {
            fixed(std::bit_cast<std::uint32_t>(v), 4);
        } else if constexpr (std::is_same_v<T, double>) {
            fixed(std::bit_cast<std::uint64_t>(v), 8);
        } else if constexpr (std::is_signed_v<T>) {
            const auto wide = static_cast<std::int64_t>(v);
            varint(static_cast<std::uint64_t>(wide) << 1 ^ static_cast<std::uint64_t>(wide >> 63));
        } else {
            varint(static_cast<std::uint64_t>(v));
        }
    }
    void raw(const char* first, std::size_t n) { bytes_.append(first, n); }
    void count(std::uint64_t n) {
        varint(n);
        least_size_ = std::max(least_size_, bytes_.size() + static_cast<std::size_t>(n));
    }
    void enter() {
        if (++depth_ > max_depth) throw cereal::Exception("values are nested too deep");
    }
    void leave() { --depth_; }
    /// Each element of a container takes at least a byte, so that a count can be judged by what follows
    /// it. Elements that have nothing to say are made up for at the end.
    std::string take() && {
        bytes_.resize(std::max(bytes_.size(), least_size_));
        return std::move(bytes_);
    }

  private:
    void varint(std::uint64_t v) {
        for (; v >= 0x80; v >>= 7) bytes_ += static_cast<char>(v | 0x80);
        bytes_ += static_cast<char>(v);
    }
    void fixed(std::uint64_t v, int n) {
        for (; n > 0; --n, v >>= 8) bytes_ += static_cast<char>(v);
    }

    std::string bytes_;
    std::size_t least_size_ = 0;
    int depth_ = 0;
};

/// Safe on any bytes: throws cereal::Exception, before anything is allocated for a count that cannot be true.
class input final : public cereal::InputArchive<input, cereal::AllowEmptyClassElision> {
  public:
    explicit input(std::string_view bytes) : InputArchive(this), bytes_(bytes) {}

    template <class T>
    void number(T& v) {
        static_assert(!std::is_same_v<T, long double>, "long double differs between machines");
        if constexpr (std::is_same_v<T, bool>) {
            const auto b = byte();
            require(b <= 1, "a truth value is neither 0 nor 1");
            v = b == 1;
        } else if constexpr (is_byte<T>) {
            v = static_cast<T>(byte());
        } else if constexpr (std::is_same_v<T, float>) {
            v = std::bit_cast<float>(static_cast<std::uint32_t>(fixed(4)));
        } else if constexpr (std::is_same_v<T, double>) {
            v = std::bit_cast<double>(fixed(8));
        } else if constexpr (std::is_signed_v<T>) {
            const auto zigzag = varint();
            const auto wide = static_cast<std::int64_t>(zigzag >> 1 ^ (~(zigzag & 1) + 1));
            v = static_cast<T>(wide);
            require(v == wide, "a number is too large for its type");
        } else {
            const auto wide = varint();
            v = static_cast<T>(wide);
            require(static_cast<std::uint64_t>(v) == wide, "a number is too large for its type");
        }
    }
    void raw(char* first, std::size_t n) {
        require(n <= bytes_.size() - at_, "the bytes end early");
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(at_), n, first);
        at_ += n;
    }
    std::uint64_t count() {
        const auto n = varint();
        require(n <= bytes_.size() - at_, "there are fewer elements than counted");
        least_size_ = std::max(least_size_, at_ + static_cast<std::size_t>(n));
        return n;
    }
    void enter() { require(++depth_ <= max_depth, "values are nested too deep"); }
    void leave() { --depth_; }
    /// Throws unless everything was read; see output::take().
    void finish() const {
        require(bytes_.size() == std::max(at_, least_size_) &&
                    bytes_.find_first_not_of('\0', at_) == std::string_view::npos,
                "bytes are left over");
    }
    static void require(bool condition, const char* otherwise) {
        if (!condition) throw cereal::Exception(otherwise);
    }

  private:
    std::uint8_t byte() {
        require(at_ < bytes_.size(), "the bytes end early");
        return static_cast<std::uint8_t>(bytes_[at_++]);
    }
    std::uint64_t varint() {
        std::uint64_t v = 0;
        for (unsigned shift = 0;; shift += 7) {
            const auto b = byte();
            // One number has one encoding.
            require((shift < 63 || b <= 1) && (b != 0 || shift == 0), "a number is not in its shortest form");
            v |= static_cast<std::uint64_t>(b & 0x7f) << shift;
            if (b < 0x80) return v;
        }
    }
    std::uint64_t fixed(int n) {
        std::uint64_t v = 0;
        for (int i = 0; i < n; ++i) v |= static_cast<std::uint64_t>(byte()) << 8 * i;
        return v;
    }

    std::string_view bytes_;
    std::size_t at_ = 0;
    std::size_t least_size_ = 0;
    int depth_ = 0;
};

// What cereal looks for in the namespace of an archive.

template <class T>
void prologue(output& archive, const T&) { archive.enter(); }
template <class T>
void epilogue(output& archive, const T&) { archive.leave(); }
template <class T>
void prologue(input& archive, T&) { archive.enter(); }
template <class T>
void epilogue(input& archive, T&) { archive.leave(); }

template <class T>
    requires std::is_arithmetic_v<T>
void save(output& archive, const T& v) { archive.number(v); }
template <class T>
    requires std::is_arithmetic_v<T>
void load(input& archive, T& v) { archive.number(v); }

template <class T>
void save(output& archive, const cereal::NameValuePair<T>& v) { archive(v.value); }
template <class T>
void load(input& archive, cereal::NameValuePair<T>& v) { archive(v.value); }

template <class T>
void save(output& archive, const cereal::SizeTag<T>& v) { archive.count(static_cast<std::uint64_t>(v.size)); }
template <class T>
void load(input& archive, cereal::SizeTag<T>& v) { v.size = static_cast<std::remove_reference_t<T>>(archive.count()); }

/// Numbers one by one: their width and byte order are the machine's.
template <class T>
void save(output& archive, const cereal::BinaryData<T>& v) {
    using element = element_of<T>;
    if constexpr (is_byte<element>) return archive.raw(static_cast<const char*>(static_cast<const void*>(v.data)), v.size);
    const auto* first = static_cast<const element*>(v.data);
    std::for_each_n(first, v.size / sizeof(element), [&](element e) { archive.number(e); });
}
template <class T>
void load(input& archive, cereal::BinaryData<T>& v) {
    using element = element_of<T>;
    if constexpr (is_byte<element>) return archive.raw(static_cast<char*>(static_cast<void*>(v.data)), v.size);
    auto* first = static_cast<element*>(v.data);
    std::for_each_n(first, v.size / sizeof(element), [&](element& e) { archive.number(e); });
}

// Cereal's own make room for all elements first, which may be much larger than their bytes.
template <class Sequence>
void load_growing(input& archive, Sequence& sequence) {
    sequence.clear();
    for (auto n = archive.count(); n > 0; --n) archive(sequence.emplace_back());
}
template <class T, class Allocator>
    requires(!std::is_same_v<T, bool>)
void load(input& archive, std::vector<T, Allocator>& v) { load_growing(archive, v); }
template <class T, class Allocator>
void load(input& archive, std::deque<T, Allocator>& v) { load_growing(archive, v); }
template <class T, class Allocator>
void load(input& archive, std::list<T, Allocator>& v) { load_growing(archive, v); }

}  // namespace anabranch::cereal_archive

CEREAL_REGISTER_ARCHIVE(anabranch::cereal_archive::output)
CEREAL_REGISTER_ARCHIVE(anabranch::cereal_archive::input)
CEREAL_SETUP_ARCHIVE_TRAITS(anabranch::cereal_archive::input, anabranch::cereal_archive::output)

namespace anabranch {

/// Through cereal. encode() throws what cereal throws of values that it cannot serialise (a polymorphic
/// type that is not registered, nesting deeper than cereal_archive::max_depth); the commit that it
/// happens in then does nothing.
template <class T>
    requires(std::is_class_v<T> || std::is_union_v<T> || std::is_enum_v<T>)
struct value_codec<T> {
    static std::string encode(const T& value) {
        cereal_archive::output archive;
        archive(value);
        return std::move(archive).take();
    }
    static result<T> decode(std::string_view bytes) {
        try {
            T value{};
            cereal_archive::input archive(bytes);
            archive(value);
            archive.finish();
            return value;
        } catch (const std::bad_alloc&) {
            throw;
        } catch (const std::exception& e) {
            return fail(errc::undecodable, std::string("the stored value cannot be read: ") + e.what());
        }
    }
};

}  // namespace anabranch
