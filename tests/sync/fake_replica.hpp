// A replica that keeps its log in std::map: what a session needs, and nothing of the store.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "oplog/record.hpp"
#include "sync/local_replica.hpp"

namespace anabranch::test {

class fake_replica final : public sync::local_replica {
  public:
    explicit fake_replica(std::uint8_t name) {
        id_.value.fill(name);
        id_.incarnation = 1;
    }

    void open_bucket(const std::string& bucket) { buckets_[bucket]; }
    /// A record of `origin`, which is this replica's own unless somebody cheats.
    void commit(const std::string& bucket, const replica_id& origin, timestamp at, std::string_view payload);
    void make_durable();
    void set_horizon(timestamp at) { horizon_ = at; }
    sync::positions written(const std::string& bucket) const;

    replica_id id() const override { return id_; }
    std::vector<std::string> buckets() const override;
    frontier durable(std::string_view bucket) const override;
    std::uint64_t revision(std::string_view bucket) const override { return buckets_.find(bucket)->second.revision; }
    bool has_undurable() const override;
    timestamp horizon() const override { return horizon_; }
    result<void> compare(std::string_view bucket, const frontier& peer) override;
    result<oplog::chunk> read(std::string_view bucket, const sync::positions& after, timestamp ceiling, std::size_t max_bytes) override;
    result<oplog::applied> apply(std::string_view bucket, const oplog::chunk& chunk) override;

  private:
    struct entry {
        std::string body;
        hash128 head{};
    };
    struct log {
        std::vector<entry> entries;
        std::size_t durable = 0;
    };
    struct bucket_log {
        std::map<replica_id, log> logs;
        std::uint64_t revision = 0;
    };
    class stream;

    void append(std::string_view bucket, const replica_id& origin, std::string body);

    replica_id id_;
    timestamp horizon_{UINT64_MAX};
    std::map<std::string, bucket_log, std::less<>> buckets_;
};

}  // namespace anabranch::test
