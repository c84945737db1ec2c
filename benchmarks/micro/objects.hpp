// What the benchmarks of single operations work on.
#pragma once

#include <anabranch/store.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "measure/measurement.hpp"

namespace bench::micro {

/// One replica with one bucket.
struct replica {
    anabranch::store store;
    anabranch::bucket bucket;
};

/// Makes replicas, and keeps one that takes long to make for the next benchmark that asks for the same: Google Benchmark
/// calls each several times.
class workshop {
  public:
    /// In memory where there is no directory.
    explicit workshop(std::optional<std::filesystem::path> directory) : directory_(std::move(directory)) {}

    replica make();
    /// `name` says what `fill` does.
    replica& keep(const std::string& name, std::int64_t size, const std::function<void(replica&)>& fill);
    /// Its bucket holds a set of that many elements.
    replica& with_set(std::int64_t elements);
    bool is_in_memory() const { return !directory_; }

  private:
    std::optional<std::filesystem::path> directory_;
    int made_ = 0;
    std::string name_;
    std::int64_t size_ = 0;
    std::optional<replica> kept_;
};

inline std::string element(std::uint64_t i) { return "element/" + std::to_string(i); }

}  // namespace bench::micro
