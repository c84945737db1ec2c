#include "support/crashable_engine.hpp"

#include <stdexcept>
#include <utility>

#include "storage/memory/memory_engine.hpp"

namespace anabranch::test {
namespace {

std::unique_ptr<storage::engine> copy_of(const storage::engine& from) {
    storage::batch everything;
    for (const auto where : {storage::space::meta, storage::space::rows, storage::space::log}) {
        for (const auto at = from.scan(where, {}); at->valid(); at->next()) {
            everything.put(where, std::string(at->key()), std::string(at->value()));
        }
    }
    auto copy = storage::open_memory();
    (void)copy->write(everything);  // cannot fail in memory
    return copy;
}

}  // namespace

simulated_disk::simulated_disk() : durable_(storage::open_memory()), live_(storage::open_memory()) {}

std::shared_ptr<simulated_disk> simulated_disk::copy() const {
    const std::lock_guard lock(mutex_);
    auto made = std::make_shared<simulated_disk>();
    made->durable_ = copy_of(*live_);
    made->live_ = copy_of(*live_);
    return made;
}

std::size_t simulated_disk::pending() const {
    const std::lock_guard lock(mutex_);
    return pending_.size();
}

void simulated_disk::lose_power(std::size_t survivors) {
    const std::lock_guard lock(mutex_);
    if (open_) throw std::logic_error("lose_power: the engine outlives the crash");
    if (survivors > pending_.size())
        throw std::logic_error("lose_power: more survivors than pending batches");
    for (std::size_t i = 0; i < survivors; ++i) (void)durable_->write(pending_[i]);
    if (survivors < pending_.size()) live_ = copy_of(*durable_);
    pending_.clear();
}

void simulated_disk::fail_write(errc code, std::size_t after) {
    const std::lock_guard lock(mutex_);
    write_fault_ = fault{code, after};
}

void simulated_disk::fail_sync(std::size_t after) {
    const std::lock_guard lock(mutex_);
    sync_fault_ = fault{errc::storage_failure, after};
}

std::optional<errc> simulated_disk::due(std::optional<fault>& armed) {
    if (!armed || armed->after-- > 0) return std::nullopt;
    return std::exchange(armed, std::nullopt)->code;
}

result<std::unique_ptr<storage::engine>> crashable_engine::open(const std::shared_ptr<simulated_disk>& disk) {
    const std::lock_guard lock(disk->mutex_);
    if (disk->open_) return fail(errc::locked, "the simulated disk is open already");
    disk->open_ = true;
    disk->broken_ = false;
    return std::unique_ptr<storage::engine>(new crashable_engine(disk));
}

crashable_engine::crashable_engine(std::shared_ptr<simulated_disk> disk)
    : disk_(std::move(disk)), live_(*disk_->live_) {}

crashable_engine::~crashable_engine() {
    const std::lock_guard lock(disk_->mutex_);
    disk_->open_ = false;
}

result<std::optional<std::string>> crashable_engine::get(storage::space where, std::string_view key,
                                                         const storage::snapshot* at) const {
    return live_.get(where, key, at);
}

std::unique_ptr<storage::cursor> crashable_engine::scan(storage::space where, std::string_view from,
                                                        const storage::snapshot* at) const {
    return live_.scan(where, from, at);
}

result<std::optional<std::pair<std::string, std::string>>> crashable_engine::last(
    storage::space where, std::string_view key) const {
    return live_.last(where, key);
}

std::unique_ptr<storage::snapshot> crashable_engine::take_snapshot() const { return live_.take_snapshot(); }

result<void> crashable_engine::write(const storage::batch& changes) {
    const std::lock_guard lock(disk_->mutex_);
    if (disk_->broken_) return fail(errc::storage_failure, "the simulated disk failed before");
    if (const auto code = simulated_disk::due(disk_->write_fault_)) {
        disk_->broken_ = *code != errc::storage_full;
        return fail(*code, "the simulated disk was told to fail this write");
    }
    if (changes.empty()) return {};
    disk_->pending_.push_back(changes);
    return live_.write(changes);
}

result<void> crashable_engine::sync() {
    const std::lock_guard lock(disk_->mutex_);
    if (disk_->broken_) return fail(errc::storage_failure, "the simulated disk failed before");
    if (const auto code = simulated_disk::due(disk_->sync_fault_)) {
        disk_->broken_ = true;
        return fail(*code, "the simulated disk was told to fail this sync");
    }
    for (const storage::batch& written : disk_->pending_) (void)disk_->durable_->write(written);
    disk_->pending_.clear();
    return {};
}

}  // namespace anabranch::test
