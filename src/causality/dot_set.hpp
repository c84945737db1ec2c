// Sets of dots that lie close together: a bit each.
#pragma once

#include <boost/container/flat_map.hpp>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "causality/version_vector.hpp"

namespace anabranch {

/// Takes memory for the stretch from each origin's lowest to its greatest sequence.
class dot_set {
  public:
    bool contains(const dot& d) const {
        const auto it = lanes_.find(d.writer);
        if (it == lanes_.end()) return false;
        const auto word = d.sequence / 64;
        const auto& l = it->second;
        return word >= l.first && word - l.first < l.words.size() && (l.words[word - l.first] >> d.sequence % 64 & 1) != 0;
    }
    void insert(const dot& d) {
        auto& l = lanes_[d.writer];
        const auto word = d.sequence / 64;
        if (l.words.empty()) l.first = word;
        for (; word < l.first; --l.first) l.words.push_front(0);
        if (word - l.first >= l.words.size()) l.words.resize(word - l.first + 1);
        auto& bits = l.words[word - l.first];
        size_ += (bits >> d.sequence % 64 & 1) == 0 ? 1U : 0U;
        bits |= std::uint64_t{1} << d.sequence % 64;
    }
    void erase(const dot& d) {
        if (!contains(d)) return;
        auto& l = lanes_[d.writer];
        l.words[d.sequence / 64 - l.first] &= ~(std::uint64_t{1} << d.sequence % 64);
        --size_;
        while (!l.words.empty() && l.words.front() == 0) {
            l.words.pop_front();
            ++l.first;
        }
        while (!l.words.empty() && l.words.back() == 0) l.words.pop_back();
        if (l.words.empty()) lanes_.erase(d.writer);
    }
    /// The least sequence of that origin that is not below `from`.
    std::optional<std::uint64_t> next(origin writer, std::uint64_t from) const {
        const auto it = lanes_.find(writer);
        if (it == lanes_.end()) return std::nullopt;
        const auto& l = it->second;
        const auto begin = from / 64;
        for (auto word = std::max(begin, l.first); word - l.first < l.words.size(); ++word) {
            auto bits = l.words[word - l.first];
            if (word == begin) bits &= ~std::uint64_t{0} << from % 64;
            if (bits != 0) return word * 64 + static_cast<std::uint64_t>(std::countr_zero(bits));
        }
        return std::nullopt;
    }
    bool empty() const { return size_ == 0; }
    std::size_t size() const { return size_; }

  private:
    struct lane {
        std::uint64_t first = 0;  // the number of the first word
        std::deque<std::uint64_t> words;
    };
    boost::container::flat_map<origin, lane> lanes_;
    std::size_t size_ = 0;
};

}  // namespace anabranch
