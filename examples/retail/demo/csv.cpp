#include "demo/csv.hpp"

#include <algorithm>

#include "text.hpp"

namespace retail {

namespace {
/// A quote that is closed further away than this was meant to be something else.
constexpr std::size_t max_record_bytes = 64 * 1024;
}  // namespace

csv_reader::csv_reader(std::string_view text, std::size_t columns) : text_(text), columns_(columns) {
    if (text_.starts_with("\xef\xbb\xbf")) text_.remove_prefix(3);
}

std::optional<tl::expected<csv_record, bad_line>> csv_reader::next() {
    while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == '\r')) {
        if (text_[at_++] == '\n') ++line_;
    }
    if (at_ == text_.size()) return {};

    const std::size_t start = at_;
    const std::size_t start_line = line_;
    auto found = record();
    if (found && found->fields.size() != columns_) {
        found = tl::unexpected(bad_line{start_line, "has " + std::to_string(found->fields.size()) +
                                                        " fields instead of " + std::to_string(columns_)});
    }
    if (!found) {
        at_ = std::min(text_.find('\n', start), text_.size());
        line_ = start_line;
    }
    return found;
}

tl::expected<csv_record, bad_line> csv_reader::record() {
    csv_record found{line_, {}};
    const std::size_t limit = std::min(text_.size(), at_ + max_record_bytes);
    const auto bad = [&](const char* reason) { return tl::unexpected(bad_line{found.line, reason}); };
    while (true) {
        std::string field;
        if (at_ < limit && text_[at_] == '"') {
            for (++at_;; ++at_) {
                if (at_ >= limit) return bad("opens a quote that is not closed");
                if (text_[at_] == '"') {
                    if (++at_ >= text_.size() || text_[at_] != '"') break;
                } else if (text_[at_] == '\n') {
                    ++line_;
                }
                field += text_[at_];
            }
            const bool ends_well =
                at_ >= text_.size() || text_[at_] == ',' || text_[at_] == '\n' || text_[at_] == '\r';
            if (!ends_well) return bad("has text after a closing quote");
        } else {
            const std::size_t end = std::min(text_.find_first_of(",\r\n", at_), text_.size());
            field = text_.substr(at_, end - at_);
            at_ = end;
        }
        found.fields.push_back(std::move(field));
        if (at_ >= text_.size() || text_[at_] != ',') return found;
        ++at_;
    }
}

std::string to_utf8(std::string text) {
    if (valid_utf8(text)) return text;
    std::string converted;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x80) {
            converted += c;
        } else {
            converted += static_cast<char>(0xc0 | byte >> 6);
            converted += static_cast<char>(0x80 | (byte & 0x3f));
        }
    }
    return converted;
}

}  // namespace retail
