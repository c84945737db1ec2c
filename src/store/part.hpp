// Which rows of a bucket a reader holds, where that is not all of them. docs/partial-replication.md
#pragma once

#include <anabranch/limits.hpp>
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/journal.hpp"

namespace anabranch::detail {

/// The rows at and below some paths.
class part {
  public:
    part() = default;
    /// Of any paths.
    explicit part(std::vector<std::string> paths) : paths_(std::move(paths)) {
        std::ranges::sort(paths_);
        // What stands below a path follows it.
        const auto below = [](const std::string& one, const std::string& next) { return next.starts_with(one); };
        paths_.erase(std::unique(paths_.begin(), paths_.end(), below), paths_.end());
    }

    /// Sorted, none below another.
    const std::vector<std::string>& paths() const { return paths_; }
    bool holds(std::string_view path) const {
        const auto next = std::ranges::upper_bound(paths_, path);
        return next != paths_.begin() && path.starts_with(*std::prev(next));
    }
    /// By that path, not by one above it.
    bool is_made_of(std::string_view path) const { return std::ranges::binary_search(paths_, path); }
    /// The first of its paths after that one; empty: there is none.
    std::string_view next_path(std::string_view path) const {
        const auto next = std::ranges::upper_bound(paths_, path);
        return next == paths_.end() ? std::string_view() : *next;
    }
    /// Within the limits.
    bool is_small() const {
        std::size_t bytes = 0;
        for (const auto& path : paths_) bytes += path.size();
        return paths_.size() <= limits::part_paths && bytes <= limits::part_bytes;
    }
    /// Off the wire it need not be.
    bool is_sound() const {
        const auto is_wrong = [](const std::string& path) { return !store_keys::is_path(path); };
        return is_small() && !paths_.empty() && std::ranges::none_of(paths_, is_wrong) && *this == part(paths_);
    }

    bool operator==(const part&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(paths_);
    }

  private:
    std::vector<std::string> paths_;
};

/// What of a bucket a replica holds, and is to hold once that has come; nothing: all of it.
struct holding {
    std::optional<part> held;
    std::optional<part> wanted;

    bool operator==(const holding&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(held, wanted);
    }
};

/// Changed items, as far as they are in a part: those that are, and of items above them the paths that the part is made of.
class items_in_part {
  public:
    /// `of`: nullptr lets all pass.
    items_in_part(std::unique_ptr<change_journal::reader> all, std::shared_ptr<const part> of) : all_(std::move(all)), of_(std::move(of)) { find(); }

    bool valid() const { return next_ < end_ || all_->valid(); }
    std::string_view item() const { return next_ < end_ ? std::string_view(of_->paths()[next_]) : all_->item(); }
    void next() {
        if (next_ < end_ && ++next_ < end_) return;
        all_->next();
        find();
    }
    const result<void>& status() const { return all_->status(); }

  private:
    void find() {
        for (next_ = end_ = 0; of_ != nullptr && all_->valid() && !of_->holds(all_->item()); all_->next()) {
            const auto& paths = of_->paths();
            const auto first = std::ranges::lower_bound(paths, all_->item());
            const auto last = std::find_if(first, paths.end(), [&](const std::string& path) { return !path.starts_with(all_->item()); });
            next_ = static_cast<std::size_t>(first - paths.begin());
            end_ = static_cast<std::size_t>(last - paths.begin());
            if (next_ < end_) return;
        }
    }

    std::unique_ptr<change_journal::reader> all_;
    std::shared_ptr<const part> of_;
    std::size_t next_ = 0;  // of the part's paths, those below the item
    std::size_t end_ = 0;
};

}  // namespace anabranch::detail
