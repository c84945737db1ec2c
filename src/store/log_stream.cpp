#include "store/log_stream.hpp"

#include <algorithm>

namespace anabranch::detail {

std::string log_value(const hash128& head, std::string_view body) {
    std::string value;
    value.reserve(head_size + body.size());
    value += as_bytes(head);
    value += body;
    return value;
}

void set_head(std::string& value, const hash128& head) { std::ranges::copy(head, value.begin()); }

hash128 head_of(std::string_view log_value) {
    hash128 head{};
    std::copy_n(log_value.begin(), head_size, head.begin());
    return head;
}

log_stream::log_stream(const storage::engine& engine, store_keys::bucket_number bucket, anabranch::origin writer,
                       replica_id id, std::uint64_t from, std::uint64_t to)
    : bucket_(bucket), writer_(writer), id_(id), sequence_(from), last_(to) {
    cursor_ = engine.scan(storage::space::log, store_keys::log_key(bucket, writer, from));
    look();
}

void log_stream::next() {
    ++sequence_;
    if (sequence_ > last_) return;
    cursor_->next();
    look();
}

void log_stream::look() {
    if (cursor_->valid() && store_keys::is_log_key(cursor_->key(), {bucket_, writer_, sequence_}) &&
        cursor_->value().size() >= head_size) {
        head_ = head_of(cursor_->value());
        return;
    }
    status_ = cursor_->status();
    if (status_) {
        status_ = fail(errc::corrupt, "the log has no usable record " + std::to_string(sequence_) + " of replica " +
                                          to_string(id_));
    }
}

}  // namespace anabranch::detail
