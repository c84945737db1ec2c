// Keys: paths of fields, and where the storage engine keeps what. docs/disk-layout.md has all of them.
#pragma once

#include <anabranch/ids.hpp>
#include <anabranch/views.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "causality/version_vector.hpp"

namespace anabranch::store_keys {

/// A path is a run of segments. A segment is a name and the type of what it names; it sorts by name, then by
/// type, and no segment is a prefix of another, so everything in a map stands together below the map's path.
std::string segment(std::string_view name, char type);
/// The path of `name` below `path`.
std::string path_below(std::string_view path, std::string_view name, char type);
/// A set's element, as a segment.
inline constexpr char element_type = '.';

/// The first segment of `path`: its name, type and length in bytes. Nothing where it is malformed.
struct parsed_segment {
    std::string name;
    char type;
    std::size_t length;
};
std::optional<parsed_segment> first_segment(std::string_view path);
/// For people: the names, with "/" between them. "the top" for the bucket itself.
std::string readable(std::string_view path);
/// Well-formed all through, and within the limits.
bool is_path(std::string_view path);

/// Where the names that begin with `prefix` begin, and where those after `name` (all its types) begin: suffixes of a map's path.
std::string names_from(std::string_view prefix);
std::string names_after(std::string_view name);
/// The first string that is greater than every string that begins with `prefix`; empty where there is none.
std::string prefix_end(std::string_view prefix);

enum class bucket_number : std::uint32_t {};

std::string big_endian32(std::uint32_t v);
std::string big_endian64(std::uint64_t v);
std::uint64_t read_big_endian(std::string_view bytes);
std::string row_key(bucket_number bucket, std::string_view path);
inline constexpr std::size_t row_key_prefix = 4;
/// Names a row that holds something that goes once it is stable. Beside the rows, outside every bucket's.
std::string leftover_key(bucket_number bucket, std::string_view path);

/// Where it is kept what is known of a request. Beside the rows, too.
std::string request_key(bucket_number bucket, const hash128& identity);
std::string request_prefix(bucket_number bucket);
/// With which a key ends that is made of one.
hash128 identity_in(std::string_view key);

/// Where it is kept which executions a request has; beside the rows. Parsed as log keys are, of a bucket that there is not.
std::string rivals_key(bucket_number bucket, origin writer, std::uint64_t sequence);

/// Rows stand in one of two places: a whole state is written at the other one, and takes over at once.
bucket_number other_rows(bucket_number rows);

/// Where it is kept which rows have changed; beside the rows, too.
enum class journal_kind : char { entry = 'e', piece = 'p' };
std::string journal_key(bucket_number bucket, journal_kind kind);
std::string journal_piece(bucket_number bucket, std::uint64_t pieces_at, std::uint64_t piece);

/// Where it is kept what a walk has brought so far, of each kind; beside the rows, too.
enum class staged_kind : char { progress = 'p', item = 'i', row = 'r', request = 'q', execution = 'x' };
std::string staged_key(bucket_number bucket, staged_kind kind, std::string_view key);
std::string staged_request_key(bucket_number bucket, const hash128& identity);
std::string staged_prefix(bucket_number bucket);

/// Where records stand that do not count; beside the rows, too. Parsed as log keys are, of a bucket that there is not.
std::string orphan_key(bucket_number bucket, origin writer, std::uint64_t sequence);
std::string orphan_prefix(bucket_number bucket);

std::string log_key(bucket_number bucket, origin writer, std::uint64_t sequence);
/// Folds stand after all origins' records.
inline constexpr origin fold_origin{UINT32_MAX};
struct log_position {
    bucket_number bucket;
    origin writer;
    std::uint64_t sequence;

    bool operator==(const log_position&) const = default;
};
std::optional<log_position> parse_log_key(std::string_view key);
bool is_log_key(std::string_view key, const log_position& of);

inline constexpr std::string_view identity_key = "identity";
inline constexpr std::string_view host_key = "host";
inline constexpr std::string_view restored_key = "restored";
inline constexpr std::string_view accepted_key = "accepted";
inline constexpr char origin_prefix = 'o';
inline constexpr char bucket_prefix = 'b';
inline constexpr char watermark_prefix = 'w';
inline constexpr char entering_prefix = 'e';
inline constexpr char audit_prefix = 'f';
inline constexpr char holding_prefix = 'p';

}  // namespace anabranch::store_keys
