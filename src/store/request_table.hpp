// The requests of one bucket whose identity is not fixed: who has executed them.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "crdt/requests.hpp"
#include "storage/engine.hpp"
#include "store/keys.hpp"

namespace anabranch::detail {

struct known_request {
    std::uint64_t issued = 0;  ///< milliseconds since 1970
    std::vector<crdt::contestant> executions;

    const crdt::contestant* find(const dot& id) const {
        const auto it = std::ranges::find(executions, id, &crdt::contestant::id);
        return it == executions.end() ? nullptr : &*it;
    }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(issued, executions);
    }
};

/// In the engine, but for what has changed since it was last written: that follows from the log, as rows do. What a request
/// has answered stands in its record, which the log keeps until then.
///
/// The owner's lock: members that are not const need it exclusively, const ones shared; find() none, and finds what the owner
/// has joined.
class request_table {
  public:
    request_table(storage::engine& engine, store_keys::bucket_number bucket) : engine_(engine), bucket_(bucket) {}

    result<std::optional<known_request>> find(const hash128& identity) const;
    /// `before`: what find() has returned.
    void put(const hash128& identity, known_request what, const known_request* before);
    void erase(const hash128& identity, std::uint64_t issued);
    std::size_t size() const { return size_; }
    /// None of them was issued earlier: a second or so less than the first; the greatest there is where there are none.
    std::uint64_t first_issued() const { return issued_.empty() ? UINT64_MAX : issued_.begin()->first << second; }
    /// Counts them, and visits all that are in the engine.
    result<void> load(const std::function<void(const known_request&)>& visit);
    /// Others stand in the engine now; nothing here had changed.
    void clear() {
        size_ = 0;
        issued_.clear();
    }
    /// In the order of their identities.
    result<void> visit(const std::function<bool(const hash128&, const known_request&)>& each) const;

    /// What has changed, to be written with the rows; then it has been.
    void add_changed(storage::batch& to) const;
    void changes_written() const {
        const std::lock_guard lock(mutex_);
        changed_.clear();
    }

  private:
    void count(std::uint64_t issued);
    void discount(std::uint64_t issued);
    struct hash {
        std::size_t operator()(const hash128& identity) const;
    };
    storage::engine& engine_;
    store_keys::bucket_number bucket_;
    std::size_t size_ = 0;
    static constexpr int second = 10;  // bits of milliseconds
    /// How many were issued in each second.
    std::map<std::uint64_t, std::size_t> issued_;
    mutable std::mutex mutex_;  // of what follows, which const members empty
    /// Nothing: forgotten.
    mutable boost::unordered_flat_map<hash128, std::optional<known_request>, hash> changed_;
};

}  // namespace anabranch::detail
