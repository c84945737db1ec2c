// Reading: handles on the fields of a map. What they read from (the latest state, a snapshot, a
// transaction in progress) is decided by where the outermost one came from.
#pragma once

#include <anabranch/ids.hpp>
#include <anabranch/result.hpp>
#include <anabranch/value_codec.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace anabranch {

namespace detail {
class access;  // reads rows and, in a transaction, collects changes
}

/// A field is identified by its name *and* its type: two replicas that create the same name with
/// different types have two fields. The values are written in keys on disk and on the wire.
enum class field_type : char {
    counter = 'c',
    last_writer = 'l',
    multi_value = 'm',
    enable_wins_flag = 'e',
    disable_wins_flag = 'd',
    add_wins_set = 'a',
    remove_wins_set = 'r',
    bounded_counter = 'b',
    map = 'p',
};

struct field {
    std::string name;
    field_type type{};
    bool operator==(const field&) const = default;
};

/// Which names a scan returns: those that begin with `prefix` and come after `after` in byte order, at most `limit`.
struct scan_range {
    std::string prefix{};
    std::optional<std::string> after{};
    std::size_t limit = SIZE_MAX;
};

/// Why something is shown, or is not.
enum class standing : std::uint8_t {
    only = 1,             ///< shown: nothing stands beside it
    latest = 2,           ///< shown: of those that have not seen each other it has the greatest timestamp
    greater_replica = 3,  ///< shown: as late as another one, and of the greater replica
    earlier = 4,          ///< not shown: another one is later
    lesser_replica = 5,   ///< not shown: another one is as late, and of the greater replica
    together = 6,         ///< shown beside the others (multi-value registers)
    summed = 7,           ///< counts together with the others (counters)
    unremoved = 8,        ///< an addition, or an enabling, that no removal does away with
    removal = 9,          ///< a removal, or a disabling, that additions would have had to see (remove-wins, disable-wins)
};

/// One of the things that replicas did to a field without having seen each other, and that all are still there.
struct contender {
    transaction_id writer;
    std::optional<timestamp> at;  ///< nothing where it is not kept in the field, and the log is cut there
    std::string value;            ///< of a register: encoded, as value_codec<T> wrote it
    std::int64_t amount = 0;      ///< of a counter: what counts of all that this replica did to it
    bool is_shown = false;
    standing why{};

    bool operator==(const contender&) const = default;
};

namespace detail {

/// Common to all handles. Cheap to copy; valid as long as the transaction, view or snapshot it came
/// from; used by one thread at a time.
class handle {
  public:
    handle(access& source, std::string path) : source_(&source), path_(std::move(path)) {}

  protected:
    std::string element_path(std::string_view element) const;
    std::string child_path(std::string_view name, field_type type) const;

    access* source_;
    std::string path_;
};

struct register_candidate {
    std::string value;
    timestamp at;
    transaction_id writer;
};

/// Both kinds of register and both kinds of flag and set differ only in their path's type.
class register_handle : public handle {
  public:
    using handle::handle;

  protected:
    result<std::optional<std::string>> latest() const;
    result<std::vector<register_candidate>> candidates() const;
    void assign(std::string value) const;
    void erase() const;
};

}  // namespace detail

/// Counts up and down. Concurrent additions all count.
class counter_view : public detail::handle {
  public:
    using handle::handle;
    /// 0 where nothing was ever added. errc::overflow where the replicas' sum leaves int64.
    result<std::int64_t> value() const;
};

/// Who may spend how much of a bounded counter.
struct replica_rights {
    replica_id replica;
    std::int64_t amount = 0;

    bool operator==(const replica_rights&) const = default;
};

/// A counter that never falls below its bound, on no replica and not when they meet, however long they were apart: what is
/// above the bound is divided into rights, and each replica spends its own (docs/bounded-counter.md).
class bounded_counter_view : public detail::handle {
  public:
    using handle::handle;
    /// 0 where there is none. errc::overflow where the replicas' sum leaves int64.
    result<std::int64_t> value() const;
    result<std::int64_t> bound() const;
    /// What this replica may spend now; the others have the rest of value() - bound().
    result<std::int64_t> available() const;
    /// All who may spend something, as far as is known here; the most first.
    result<std::vector<replica_rights>> rights() const;
};

/// A register that shows the write with the greatest timestamp of those that no other write has seen.
template <class T>
class last_writer_view : public detail::register_handle {
  public:
    using register_handle::register_handle;
    /// Nothing where it was never set, or was cleared. errc::undecodable where the bytes are no T.
    result<std::optional<T>> get() const {
        auto bytes = latest();
        if (!bytes) return fail(bytes.error());
        if (!*bytes) return std::optional<T>{};
        return value_codec<T>::decode(**bytes).map([](T value) { return std::optional<T>(std::move(value)); });
    }
};

/// One of the values that a multi-value register shows.
template <class T>
struct candidate {
    T value;
    timestamp at;
    transaction_id writer;
};

/// A register that shows every write that no other write has seen, latest first.
template <class T>
class multi_value_view : public detail::register_handle {
  public:
    using register_handle::register_handle;
    result<std::vector<candidate<T>>> get() const {
        auto entries = candidates();
        if (!entries) return fail(entries.error());
        std::vector<candidate<T>> values;
        for (auto& entry : *entries) {
            auto value = value_codec<T>::decode(entry.value);
            if (!value) return fail(value.error());
            values.push_back({std::move(*value), entry.at, entry.writer});
        }
        return values;
    }
};

/// True or false; false where it was never enabled.
class flag_view : public detail::handle {
  public:
    using handle::handle;
    result<bool> value() const;
};

/// A set of byte strings. Each element is a row of its own: what an operation costs does not depend on the set's size.
class set_view : public detail::handle {
  public:
    using handle::handle;
    result<bool> contains(std::string_view element) const;
    /// In byte order.
    result<std::vector<std::string>> elements(const scan_range& range = {}) const;
    /// Counts by scanning: O(elements).
    result<std::size_t> size() const;
    /// map_view::contenders() for one element.
    result<std::vector<contender>> contenders(std::string_view element) const;
};

/// A map of fields; maps nest. A field exists while something in it is set.
class map_view : public detail::handle {
  public:
    using handle::handle;

    map_view map(std::string_view name) const { return {*source_, child_path(name, field_type::map)}; }
    counter_view counter(std::string_view name) const { return {*source_, child_path(name, field_type::counter)}; }
    bounded_counter_view bounded_counter(std::string_view name) const {
        return {*source_, child_path(name, field_type::bounded_counter)};
    }
    template <class T>
    last_writer_view<T> last_writer(std::string_view name) const {
        return {*source_, child_path(name, field_type::last_writer)};
    }
    template <class T>
    multi_value_view<T> multi_value(std::string_view name) const {
        return {*source_, child_path(name, field_type::multi_value)};
    }
    flag_view enable_wins_flag(std::string_view name) const {
        return {*source_, child_path(name, field_type::enable_wins_flag)};
    }
    flag_view disable_wins_flag(std::string_view name) const {
        return {*source_, child_path(name, field_type::disable_wins_flag)};
    }
    set_view add_wins_set(std::string_view name) const {
        return {*source_, child_path(name, field_type::add_wins_set)};
    }
    set_view remove_wins_set(std::string_view name) const {
        return {*source_, child_path(name, field_type::remove_wins_set)};
    }

    /// What stands in a field: who wrote it, when, which one is shown and why; of registers the latest first. Empty where
    /// nothing was written, or all of it has been removed. errc::invalid_argument for maps and sets, which have none of
    /// their own: their fields and elements do.
    result<std::vector<contender>> contenders(std::string_view name, field_type type) const;

    /// Whether any field of this map exists.
    result<bool> exists() const;
    /// The fields that exist, in byte order of their names, then of their types. `after` skips every
    /// type of that name.
    result<std::vector<field>> fields(const scan_range& range = {}) const;
};

}  // namespace anabranch
