// Comma-separated values as in RFC 4180.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace retail {

struct csv_record {
    std::size_t line = 0;  ///< of its first character; the first line of the text is 1
    std::vector<std::string> fields;
};

/// A line that is left out.
struct bad_line {
    std::size_t line = 0;
    std::string reason;
};

/// Fields may be quoted, quoted fields hold commas, doubled quotes and line breaks; lines end in LF or CRLF;
/// empty lines do not count, nor does a byte order mark. Where a record is broken (a quote that nothing
/// closes, a wrong number of fields), one line is bad and reading goes on in the next: a stray quote costs
/// its own line.
class csv_reader {
  public:
    /// `text` outlives the reader. `columns`: fields of a record.
    csv_reader(std::string_view text, std::size_t columns);

    /// Nothing at the end.
    std::optional<tl::expected<csv_record, bad_line>> next();

  private:
    tl::expected<csv_record, bad_line> record();

    std::string_view text_;
    std::size_t columns_;
    std::size_t at_ = 0;
    std::size_t line_ = 1;
};

/// The text itself where it is UTF-8; else what its bytes mean in ISO 8859-1.
std::string to_utf8(std::string text);

}  // namespace retail
