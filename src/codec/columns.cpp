#include "codec/columns.hpp"

#include <algorithm>

namespace anabranch::codec {
namespace {

constexpr int deepest = 16;
constexpr std::size_t most_fields = 64;

unsigned width_of(std::uint32_t v) {
    unsigned width = 0;
    for (; v != 0; v >>= 8) ++width;
    return width;
}

}  // namespace

void written_column::append_to(output& out) const {
    unsigned width = 0;
    for (const auto v : low_) width = std::max(width, width_of(v));
    for (const auto v : high_) width = std::max(width, v == 0 ? 0 : 4 + width_of(v));
    out.varint(low_.size());
    out.varint(width);
    for (unsigned byte = 0; byte < width; ++byte) {
        std::string plane(low_.size(), '\0');
        std::ranges::transform(byte < 4 ? low_ : high_, plane.begin(), [&](std::uint32_t v) { return static_cast<char>(v >> (8 * (byte % 4))); });
        out.raw(plane);
    }
    out(std::string_view(bytes_));
    out.varint(fields_.size());
    for (const auto& field : fields_) field.append_to(out);
}

void read_column::load(input& in, int depth) {
    count_ = in.varint();
    const auto width = in.varint();
    if (width > 8 || depth == deepest || (width > 0 && count_ > in.remaining() / width)) return in.fail();
    width_ = static_cast<unsigned>(width);
    planes_ = in.raw(static_cast<std::size_t>(width_ == 0 ? 0 : count_ * width_));
    in(bytes_);
    const auto fields = in.count(4);
    if (fields > most_fields) return in.fail();
    fields_.resize(fields);
    for (auto& field : fields_) {
        if (in.ok()) field.load(in, depth + 1);
    }
}

std::optional<std::uint64_t> read_column::number() {
    if (next_ == count_) return std::nullopt;
    std::uint64_t v = 0;
    for (unsigned byte = 0; byte < width_; ++byte) {
        v |= static_cast<std::uint64_t>(static_cast<unsigned char>(planes_[static_cast<std::size_t>(byte * count_ + next_)])) << (8 * byte);
    }
    ++next_;
    return v;
}

std::optional<std::string_view> read_column::bytes() {
    const auto size = number();
    if (!size || *size > bytes_.size()) return std::nullopt;
    const auto v = bytes_.substr(0, static_cast<std::size_t>(*size));
    bytes_.remove_prefix(v.size());
    return v;
}

bool read_column::is_complete() const {
    return next_ == count_ && bytes_.empty() &&
           std::ranges::all_of(fields_, [](const read_column& field) { return field.is_complete(); });
}

read_column& read_column::empty() {
    static thread_local read_column none;
    return none;
}

}  // namespace anabranch::codec
