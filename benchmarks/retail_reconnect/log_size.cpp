#include "retail_reconnect/log_size.hpp"

#include "measure/measurement.hpp"
#include "retail_reconnect/catalogue.hpp"
#include "storage/memory/memory_engine.hpp"

namespace bench::retail {

namespace {

namespace storage = anabranch::storage;

/// Memory, and counts what is put into the log.
class counting_engine final : public storage::engine {
  public:
    explicit counting_engine(std::size_t& bytes) : bytes_(bytes) {}

    anabranch::result<std::optional<std::string>> get(storage::space where, std::string_view key,
                                                      const storage::snapshot* at) const override {
        return memory_->get(where, key, at);
    }
    std::unique_ptr<storage::cursor> scan(storage::space where, std::string_view from,
                                          const storage::snapshot* at) const override {
        return memory_->scan(where, from, at);
    }
    anabranch::result<std::optional<std::pair<std::string, std::string>>> last(storage::space where,
                                                                               std::string_view key) const override {
        return memory_->last(where, key);
    }
    std::unique_ptr<storage::snapshot> take_snapshot() const override { return memory_->take_snapshot(); }
    anabranch::result<void> write(const storage::batch& changes) override {
        for (const auto& change : changes.changes()) {
            if (change.where == storage::space::log && change.what == storage::batch::kind::put) {
                bytes_ += change.key.size() + change.value.size();
            }
        }
        return memory_->write(changes);
    }
    anabranch::result<void> sync() override { return memory_->sync(); }

  private:
    std::unique_ptr<storage::engine> memory_ = storage::open_memory();
    std::size_t& bytes_;
};

}  // namespace

std::size_t log_bytes_per_commit() {
    constexpr std::size_t commits = 10'000;
    std::size_t bytes = 0;
    auto store = expect(anabranch::store::on(std::make_unique<counting_engine>(bytes)));
    auto bucket = expect(store.create_bucket(bucket_name));
    const auto initial = initial_products();
    populate(bucket, initial);
    const std::size_t before = bytes;
    commit_each(bucket, solo(initial, edge_seed).draw(commits));
    return (bytes - before) / commits;
}

}  // namespace bench::retail
