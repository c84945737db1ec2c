#include "codec/columns.hpp"

#include <algorithm>

namespace anabranch::codec {
namespace {

constexpr int deepest = 16;
constexpr std::size_t most_fields = 64;
// In all: each takes a hundred times the byte that it may be written in.
constexpr std::size_t most_columns = 4096;
// Bits of a column's header, below its count.
constexpr std::uint64_t more_follows = 1;
constexpr std::uint64_t constant = 2;

unsigned width_of(std::uint32_t v) {
    unsigned width = 0;
    for (; v != 0; v >>= 8) ++width;
    return width;
}

}  // namespace

bool written_column::are_all_equal() const {
    const bool is_short = high_.size() < low_.size();
    return low_.size() > 1 && std::ranges::all_of(low_, [&](auto v) { return v == low_.front(); }) &&
           std::ranges::all_of(high_, [&](auto v) { return v == (is_short ? 0 : high_.front()); });
}

void written_column::append_to(output& out) const {
    unsigned width = 0;
    for (const auto v : low_) width = std::max(width, width_of(v));
    for (const auto v : high_) width = std::max(width, v == 0 ? 0 : 4 + width_of(v));
    const bool is_alone = bytes_.empty() && fields_.empty();
    const bool is_constant = are_all_equal();
    out.varint(low_.size() << 2 | (is_constant ? constant : 0) | (is_alone ? 0 : more_follows));
    if (!low_.empty()) out.varint(width);
    for (unsigned byte = 0; byte < width; ++byte) {
        const auto& halves = byte < 4 ? low_ : high_;
        std::string plane(low_.size(), '\0');
        std::ranges::transform(halves, plane.begin(), [&](std::uint32_t v) { return static_cast<char>(v >> (8 * (byte % 4))); });
        out.raw(is_constant ? plane.substr(0, 1) : plane);
    }
    if (is_alone) return;
    out(std::string_view(bytes_));
    out.varint(fields_.size());
    for (const auto& field : fields_) field.append_to(out);
}

void read_column::load(input& in) {
    auto left = most_columns;
    load(in, 0, left);
}

void read_column::load(input& in, int depth, std::size_t& left) {
    const auto header = in.varint();
    count_ = header >> 2;
    stride_ = (header & constant) != 0 ? 1 : count_;
    const auto width = count_ == 0 ? 0 : in.varint();
    if (width > 8 || depth == deepest || (width > 0 && stride_ > in.remaining() / width)) return in.fail();
    width_ = static_cast<unsigned>(width);
    planes_ = in.raw(static_cast<std::size_t>(width_ == 0 ? 0 : stride_ * width_));
    if ((header & more_follows) == 0) return;
    in(bytes_);
    const auto fields = in.count();
    if (fields > most_fields || fields > left) return in.fail();
    left -= fields;
    fields_.resize(fields);
    for (auto& field : fields_) {
        if (in.ok()) field.load(in, depth + 1, left);
    }
}

std::optional<std::uint64_t> read_column::number() {
    if (next_ == count_) return std::nullopt;
    const auto place = stride_ == count_ ? next_ : 0;
    std::uint64_t v = 0;
    for (unsigned byte = 0; byte < width_; ++byte) {
        v |= static_cast<std::uint64_t>(static_cast<unsigned char>(planes_[static_cast<std::size_t>(byte * stride_ + place)])) << (8 * byte);
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

bool read_column::is_complete(std::uint64_t but) const {
    if (next_ != count_ || !bytes_.empty()) return false;
    for (std::size_t place = 0; place < fields_.size(); ++place) {
        if ((but >> place & 1) == 0 && !fields_[place].is_complete()) return false;
    }
    return true;
}

read_column& read_column::empty() {
    static thread_local read_column none;
    return none;
}

}  // namespace anabranch::codec
