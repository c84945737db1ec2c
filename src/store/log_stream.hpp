// A bucket's log in the storage engine: values, and one origin's records as a stream.
#pragma once

#include "base/hash.hpp"
#include "oplog/chunk.hpp"
#include "storage/engine.hpp"
#include "store/keys.hpp"

namespace anabranch::detail {

/// A log value: the chain's head after the record, then the record.
inline constexpr std::size_t head_size = std::tuple_size_v<hash128>;
std::string log_value(const hash128& head, std::string_view body);
/// Of a value that begins with room for it.
void set_head(std::string& value, const hash128& head);
/// Of a value that is at least head_size long.
hash128 head_of(std::string_view log_value);
inline std::string_view body_of(std::string_view log_value) { return log_value.substr(head_size); }

/// Records from..to of one origin. A gap in the log is errc::corrupt.
class log_stream final : public oplog::record_stream {
  public:
    log_stream(const storage::engine& engine, store_keys::bucket_number bucket, anabranch::origin writer, replica_id id,
               std::uint64_t from, std::uint64_t to);

    bool valid() const override { return status_ && sequence_ <= last_; }
    const replica_id& origin() const override { return id_; }
    std::uint64_t sequence() const override { return sequence_; }
    std::string_view body() const override { return body_of(cursor_->value()); }
    const hash128& head() const override { return head_; }
    void next() override;
    result<void> status() const override { return status_; }

  private:
    void look();

    store_keys::bucket_number bucket_;
    anabranch::origin writer_;
    replica_id id_;
    std::uint64_t sequence_;
    std::uint64_t last_;
    std::unique_ptr<storage::cursor> cursor_;
    hash128 head_{};
    result<void> status_;
};

}  // namespace anabranch::detail
