#include "simulation/disk.hpp"

#include <algorithm>

#include "storage/rocksdb/rocksdb_engine.hpp"

namespace anabranch::simulation {

using storage::space;

/// What one process holds.
class disk::handle final : public storage::engine {
  public:
    explicit handle(disk& on) : disk_(on), engine_(on.engine_), alive_(on.alive_) {}

    result<std::optional<std::string>> get(space where, std::string_view key,
                                           const storage::snapshot* at) const override {
        return engine_->get(where, key, at);
    }
    std::unique_ptr<storage::cursor> scan(space where, std::string_view from,
                                          const storage::snapshot* at) const override {
        return engine_->scan(where, from, at);
    }
    result<std::optional<std::pair<std::string, std::string>>> last(space where,
                                                                    std::string_view key) const override {
        return engine_->last(where, key);
    }
    std::unique_ptr<storage::snapshot> take_snapshot() const override { return engine_->take_snapshot(); }
    result<void> write(const storage::batch& changes) override {
        if (!*alive_) return fail(errc::storage_failure, "this process has died");
        return disk_.write(changes);
    }
    result<void> sync() override {
        if (!*alive_) return fail(errc::storage_failure, "this process has died");
        return disk_.sync();
    }

  private:
    disk& disk_;
    std::shared_ptr<storage::engine> engine_;
    std::shared_ptr<bool> alive_;
};

result<std::unique_ptr<storage::engine>> disk::open() {
    alive_ = std::make_shared<bool>(true);
    engine_.reset();
    auto opened = simulated_ ? test::crashable_engine::open(simulated_) : storage::open_rocksdb(directory_);
    if (!opened) return fail(opened.error());
    engine_ = std::move(*opened);
    return std::make_unique<handle>(*this);
}

std::size_t disk::states_entered(store_keys::bucket_number bucket) const {
    const auto it = states_entered_.find(store_keys::entering_prefix + store_keys::big_endian32(static_cast<std::uint32_t>(bucket)));
    return it == states_entered_.end() ? 0 : it->second;
}

std::size_t disk::lose_power(random_source& chance) {
    engine_.reset();
    const auto survivors = chance.below(writes_ - synced_ + 1);
    const auto lost = writes_ - synced_ - survivors;
    simulated_->lose_power(survivors);
    writes_ -= lost;
    synced_ = writes_;
    return lost;
}

result<void> disk::write(const storage::batch& changes) {
    const auto now = fates_();
    if (now == fate::dies_before) {
        kill();
        return fail(errc::storage_failure, "the process died before it wrote");
    }
    if (fills_in_ && (*fills_in_)-- == 0) set_full(true);
    if (is_full_) return fail(errc::storage_full, "the disk is full");
    if (auto written = engine_->write(changes); !written) return written;
    if (changes.empty()) return {};
    ++writes_;
    using kind = storage::batch::kind;
    for (const auto& c : changes.changes()) {
        if (c.what != kind::put && c.where == space::log) ++log_cuts_;
        if (c.what == kind::put && c.where == space::meta && c.key.front() == store_keys::watermark_prefix) ++watermarks_;
        if (c.what == kind::erase && c.where == space::rows && (c.key.front() & 0x80) != 0) ++rows_pruned_;
    }
    const auto enters = [](const auto& c) { return c.what == kind::put && c.where == space::meta && c.key.front() == store_keys::entering_prefix; };
    for (const auto& c : changes.changes()) {
        if (enters(c)) {
            ++states_entered_[c.key];
            const store_keys::bucket_number bucket{static_cast<std::uint32_t>(store_keys::read_big_endian(std::string_view(c.key).substr(1)))};
            const auto items = store_keys::staged_key(bucket, store_keys::staged_kind::item, {});
            const auto at = engine_->scan(space::rows, items);
            states_in_part_ += at->valid() && at->key().starts_with(items);
        }
        // Requests are taken anew where a walk goes on.
        const auto is_of_requests = [&] { return c.key[4] == static_cast<char>(store_keys::staged_kind::request) && (c.key.front() & 0x10) != 0; };
        states_gone_on_ += c.what == kind::erase_range && c.where == space::rows && c.key.size() == 5 && is_of_requests();
    }
    const auto holds = [&](space where) {
        return std::ranges::any_of(changes.changes(), [&](const auto& c) { return c.where == where && c.what != kind::erase_range; });
    };
    if (holds(space::log) || std::ranges::any_of(changes.changes(), enters)) last_log_write_ = writes_;
    row_writes_ += holds(space::rows);
    if (now == fate::dies_after) {
        kill();
        return fail(errc::storage_failure, "the process died after it wrote");
    }
    return {};
}

result<void> disk::sync() {
    const auto now = fates_();
    if (now == fate::dies_before) {
        kill();
        return fail(errc::storage_failure, "the process died before it synced");
    }
    if (is_full_) return fail(errc::storage_full, "the disk is full");
    if (auto synced = engine_->sync(); !synced) return synced;
    synced_ = writes_;
    if (now == fate::dies_after) {
        kill();
        return fail(errc::storage_failure, "the process died after it synced");
    }
    return {};
}

}  // namespace anabranch::simulation
