// Dots and version vectors inside one store, where a replica is a small number.
#pragma once

#include <algorithm>
#include <boost/container/small_vector.hpp>
#include <compare>
#include <cstdint>
#include <utility>

namespace anabranch {

/// A replica and incarnation by its place in this store's origin_table. Never leaves the store: two
/// stores number the same replica differently. Strongly typed so that it is not taken for a count.
enum class origin : std::uint32_t {};

/// One transaction (Almeida et al. 2014). `sequence` counts from 1.
struct dot {
    origin writer{};
    std::uint64_t sequence = 0;

    auto operator<=>(const dot&) const = default;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(writer, sequence);
    }
};

/// Which transactions are known: for each origin all up to a sequence. Sorted by origin, without zeros,
/// so that equal vectors have equal representations.
class version_vector {
  public:
    using entry = std::pair<origin, std::uint64_t>;

    std::uint64_t at(origin writer) const {
        const auto it = find(writer);
        return it != entries_.end() && it->first == writer ? it->second : 0;
    }
    bool covers(const dot& d) const { return d.sequence <= at(d.writer); }
    bool covers(const version_vector& other) const {
        return std::ranges::all_of(other.entries_, [&](const entry& e) { return e.second <= at(e.first); });
    }
    /// The least vector that covers both this and the dot.
    void join(const dot& d) {
        if (d.sequence == 0) return;
        const auto it = find(d.writer);
        if (it == entries_.end() || it->first != d.writer) {
            entries_.insert(it, {d.writer, d.sequence});
        } else {
            it->second = std::max(it->second, d.sequence);
        }
    }
    void join(const version_vector& other) {
        for (const auto& [writer, sequence] : other.entries_) join(dot{writer, sequence});
    }

    /// What both cover.
    version_vector meet(const version_vector& other) const {
        version_vector both;
        for (const auto& [writer, sequence] : entries_) both.join(dot{writer, std::min(sequence, other.at(writer))});
        return both;
    }

    /// What this covers beyond `other`.
    version_vector beyond(const version_vector& other) const {
        version_vector rest;
        for (const auto& e : entries_) {
            if (e.second > other.at(e.first)) rest.entries_.push_back(e);
        }
        return rest;
    }

    bool empty() const { return entries_.empty(); }
    auto begin() const { return entries_.begin(); }
    auto end() const { return entries_.end(); }
    std::size_t size() const { return entries_.size(); }
    bool operator==(const version_vector&) const = default;

    template <class Archive>
    void serialize(Archive& archive) {
        if constexpr (Archive::is_loading) {
            entries_.clear();
            for (auto n = archive.count(2); n > 0 && archive.ok(); --n) {
                dot d;
                archive(d);
                if (d.sequence == 0) archive.fail();
                join(d);
            }
        } else {
            archive.varint(entries_.size());
            for (const auto& [writer, sequence] : entries_) archive(dot{writer, sequence});
        }
    }

  private:
    using entries = boost::container::small_vector<entry, 2>;
    entries::iterator find(origin writer) {
        return std::ranges::lower_bound(entries_, writer, {}, &entry::first);
    }
    entries::const_iterator find(origin writer) const {
        return std::ranges::lower_bound(entries_, writer, {}, &entry::first);
    }

    entries entries_;
};

inline version_vector vector_of(const dot& d) {
    version_vector v;
    v.join(d);
    return v;
}

}  // namespace anabranch
