// A replica that keeps its log in std::map: what a session needs, and nothing of the store.
#pragma once

#include <algorithm>
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
    void take_role(const std::string& bucket, sync::role as) { buckets_[bucket].role = as; }
    void set_founder(const std::string& bucket, const replica_id& id) { buckets_[bucket].founder = id; }
    /// Its log no longer has that origin's records up to there.
    /// What it has is to be replaced.
    void need_state(const std::string& bucket) { buckets_[bucket].needs_state = true; }
    void cut(const std::string& bucket, const replica_id& origin, std::uint64_t upto) {
        buckets_[bucket].floor[origin] = upto;
    }
    /// It takes no more records of that origin: a retired one's.
    void refuse(const std::string& bucket, const replica_id& origin) { buckets_[bucket].refused.insert(origin); }
    /// Rows here are to be that one's.
    void want_rows_of(const std::string& bucket, const replica_id& id) { buckets_[bucket].wanted_from = id; }
    void begin_audit_of(const std::string& bucket) { buckets_[bucket].is_audit_due = true; }
    /// What the last one told.
    const std::string& audited(const std::string& bucket) { return buckets_[bucket].audited; }
    void answer_no_audit(bool fails) { (fails ? fails_to_answer_ : never_answers_) = true; }
    /// Another session is taking a state.
    void take_no_state(bool is_busy) { takes_no_state_ = is_busy; }
    void fail_to_sponsor(bool fails) { fails_to_sponsor_ = fails; }
    /// Whom it has let in, as often as it did.
    const std::vector<replica_id>& sponsored(const std::string& bucket) { return buckets_[bucket].sponsored; }
    sync::positions written(const std::string& bucket) const;
    /// How much was read of its log at once, last.
    const oplog::portion& last_portion() const { return last_portion_; }

    replica_id id() const override { return id_; }
    std::vector<std::string> buckets() const override;
    frontier durable(std::string_view bucket) const override;
    std::uint64_t revision(std::string_view bucket) const override { return buckets_.find(bucket)->second.revision; }
    bool has_undurable() const override;
    bool has_duties() const override { return false; }
    timestamp horizon() const override { return horizon_; }
    result<void> compare(std::string_view bucket, const frontier& peer) override;
    result<oplog::chunk> read(std::string_view bucket, const sync::positions& after, timestamp ceiling,
                              const oplog::portion& size) override;
    result<oplog::applied> apply(std::string_view bucket, const oplog::chunk& chunk, const replica_id& peer) override;
    sync::role role_in(std::string_view bucket) const override { return buckets_.find(bucket)->second.role; }
    bool holds_unread(std::string_view) const override { return false; }
    std::optional<replica_id> founder(std::string_view bucket) const override {
        return buckets_.find(bucket)->second.founder;
    }
    // It knows nothing of requests.
    bool has_executions(std::string_view) const override { return false; }
    std::vector<oplog::listed_execution> list_executions(std::string_view, const sync::positions&) const override { return {}; }
    result<void> abbreviate(std::string_view, oplog::chunk&, const std::vector<oplog::listed_execution>&,
                            const sync::positions&) const override {
        return {};
    }
    result<bool> expand(std::string_view, oplog::chunk& chunk) const override { return chunk.twins.empty(); }
    sync::positions floor(std::string_view bucket) const override { return buckets_.find(bucket)->second.floor; }
    bool needs_state(std::string_view bucket) const override { return buckets_.find(bucket)->second.needs_state; }
    // Its state is all that it has on disk, in pieces of whole records.
    result<std::unique_ptr<sync::state_source>> read_state(std::string_view bucket, std::string_view request) const override;
    result<std::unique_ptr<sync::state_sink>> take_state(std::string_view bucket, const replica_id& peer, const sync::positions& has) override;
    bool wants_rows(std::string_view bucket, const replica_id& peer) const override {
        const auto& wanted = buckets_.find(bucket)->second.wanted_from;
        return wanted == peer;
    }
    bool has_durable(std::string_view bucket, const sync::positions& all) const override {
        const auto here = durable(bucket);
        return std::ranges::all_of(all, [&](const auto& wanted) {
            const auto it = std::ranges::find(here, wanted.first, &progress_entry::origin);
            return it != here.end() && it->sequence >= wanted.second;
        });
    }
    // It asks how much the other one has.
    result<std::unique_ptr<sync::auditor>> begin_audit(std::string_view bucket, const replica_id& peer, std::chrono::milliseconds interval) override;
    std::unique_ptr<sync::audit_respondent> answer_audit(std::string_view bucket, const replica_id& peer) override;
    void begin_fold(std::string_view) override {}
    std::uint64_t unfinished_folds(std::string_view) const override { return 0; }
    std::uint64_t committed(std::string_view bucket) const override {
        const auto p = written(std::string(bucket));
        const auto it = p.find(id_);
        return it == p.end() ? 0 : it->second;
    }
    result<void> sponsor(std::string_view bucket, const replica_id& joiner) override;
    void learn(std::string_view bucket, const replica_id& member, const sync::positions& has) override;
    std::map<replica_id, sync::positions> adverts(std::string_view bucket) const override {
        return buckets_.find(bucket)->second.adverts;
    }
    std::uint64_t advert_revision(std::string_view bucket) const override {
        return buckets_.find(bucket)->second.advert_revision;
    }

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
        sync::role role = sync::role::reader;
        std::optional<replica_id> founder;
        sync::positions floor;
        std::set<replica_id> refused;
        bool needs_state = false;
        std::optional<replica_id> wanted_from;
        bool is_audit_due = false;
        std::string audited;
        std::vector<replica_id> sponsored;
        std::map<replica_id, sync::positions> adverts;
        std::uint64_t advert_revision = 1;
    };
    class stream;
    class auditor;
    class audit_respondent;
    class source;
    class sink;

    void append(std::string_view bucket, const replica_id& origin, std::string body);

    replica_id id_;
    timestamp horizon_{UINT64_MAX};
    bool fails_to_sponsor_ = false;
    bool takes_no_state_ = false;
    oplog::portion last_portion_;
    bool never_answers_ = false;
    bool fails_to_answer_ = false;
    std::map<std::string, bucket_log, std::less<>> buckets_;
};

}  // namespace anabranch::test
