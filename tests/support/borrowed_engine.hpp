// A storage engine that outlives the stores on it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "storage/engine.hpp"

namespace anabranch::test {

/// The engine stays when the store is closed.
class borrowed_engine final : public storage::engine {
  public:
    explicit borrowed_engine(std::shared_ptr<storage::engine> inner) : inner_(std::move(inner)) {}
    result<std::optional<std::string>> get(storage::space where, std::string_view key, const storage::snapshot* at) const override {
        return inner_->get(where, key, at);
    }
    std::unique_ptr<storage::cursor> scan(storage::space where, std::string_view from, const storage::snapshot* at) const override {
        return inner_->scan(where, from, at);
    }
    result<std::optional<std::pair<std::string, std::string>>> last(storage::space where, std::string_view key) const override {
        return inner_->last(where, key);
    }
    std::unique_ptr<storage::snapshot> take_snapshot() const override { return inner_->take_snapshot(); }
    result<void> write(const storage::batch& changes) override { return inner_->write(changes); }
    result<void> sync() override { return inner_->sync(); }

  private:
    std::shared_ptr<storage::engine> inner_;
};

}  // namespace anabranch::test
