// Writing: the handles of views.hpp with the operations that change things, inside a transaction.
#pragma once

#include <anabranch/views.hpp>

namespace anabranch {

// Writes return nothing. The first one that fails (a limit, an overflow, the disk) makes the transaction
// fail: later writes do nothing, and commit() returns that error and applies nothing.

class counter_ref : public counter_view {
  public:
    using counter_view::counter_view;
    void add(std::int64_t amount = 1) const;
    /// Takes away exactly what this transaction sees; additions made elsewhere meanwhile stay.
    void reset() const;
};

/// Why rights were not taken, and who has some. An error, so that a closure that cannot do without them returns it:
/// `return fail(refused.error())`.
struct refusal : error {
    std::int64_t asked = 0;
    std::int64_t here = 0;                    ///< what could have been taken
    std::vector<replica_rights> elsewhere{};  ///< as far as is known here; the most first
    /// There is enough, with what others have.
    bool is_elsewhere() const;
};
template <class T = void>
using granted = tl::expected<T, refusal>;

/// Too few rights (errc::insufficient_rights) are an answer and not a failure: the transaction goes on, with nothing taken.
class bounded_counter_ref : public bounded_counter_view {
  public:
    using bounded_counter_view::bounded_counter_view;
    /// Raises the value; the rights are this replica's. Where there is no counter this creates it. The transaction fails
    /// with errc::invalid_argument below zero, and with errc::overflow where this replica's total leaves int64.
    void add(std::int64_t amount = 1) const;
    /// Lowers the value by so much, or not at all. Returns what may still be spent here. Where others have rights they are
    /// asked for some, so that it may succeed later (store_options::rights_window).
    granted<std::int64_t> spend(std::int64_t amount = 1) const;
    /// Moves the bound to `bound`, as this transaction sees it: upwards it takes rights, downwards it makes some. Moves that
    /// were made elsewhere meanwhile add up with it. Refused where the value is below.
    granted<> set_bound(std::int64_t bound) const;
    /// Gives rights away. The transaction fails with errc::not_a_member where the other is none, as far as is known here.
    granted<> transfer(const replica_id& to, std::int64_t amount) const;
    /// Reserves so many rights: asks the others for what is missing here, and whoever can spare some sends it when it hears
    /// of it; and gives none of them away to others. What is sold is taken off the reserve; 0 ends it, and so does the end
    /// of the process. Where there is no counter it does nothing.
    void request(std::int64_t rights) const;
};

template <class T>
class last_writer_ref : public last_writer_view<T> {
  public:
    using last_writer_view<T>::last_writer_view;
    void set(const T& value) const { this->assign(value_codec<T>::encode(value)); }
    /// Unsets what this transaction sees; a write made elsewhere meanwhile stays.
    void clear() const { this->erase(); }
};

template <class T>
class multi_value_ref : public multi_value_view<T> {
  public:
    using multi_value_view<T>::multi_value_view;
    void set(const T& value) const { this->assign(value_codec<T>::encode(value)); }
    void clear() const { this->erase(); }
};

/// Enable-wins: of a concurrent enable and disable the enable stands. Disable-wins: the other way round.
class flag_ref : public flag_view {
  public:
    using flag_view::flag_view;
    void enable() const;
    void disable() const;
};

/// Add-wins: of a concurrent add and remove of an element the add stands. Remove-wins: the other way round.
class set_ref : public set_view {
  public:
    using set_view::set_view;
    void add(std::string_view element) const;
    void remove(std::string_view element) const;
};

class map_ref : public map_view {
  public:
    using map_view::map_view;

    map_ref map(std::string_view name) const { return {*source_, child_path(name, field_type::map)}; }
    counter_ref counter(std::string_view name) const { return {*source_, child_path(name, field_type::counter)}; }
    bounded_counter_ref bounded_counter(std::string_view name) const {
        return {*source_, child_path(name, field_type::bounded_counter)};
    }
    template <class T>
    last_writer_ref<T> last_writer(std::string_view name) const {
        return {*source_, child_path(name, field_type::last_writer)};
    }
    template <class T>
    multi_value_ref<T> multi_value(std::string_view name) const {
        return {*source_, child_path(name, field_type::multi_value)};
    }
    flag_ref enable_wins_flag(std::string_view name) const {
        return {*source_, child_path(name, field_type::enable_wins_flag)};
    }
    flag_ref disable_wins_flag(std::string_view name) const {
        return {*source_, child_path(name, field_type::disable_wins_flag)};
    }
    set_ref add_wins_set(std::string_view name) const {
        return {*source_, child_path(name, field_type::add_wins_set)};
    }
    set_ref remove_wins_set(std::string_view name) const {
        return {*source_, child_path(name, field_type::remove_wins_set)};
    }

    /// Removes what this transaction sees in this map, nested fields and all (observed-remove): additions
    /// and writes made elsewhere meanwhile stay, and keep the map in existence (update-wins). One record
    /// that grows only with the counters in the map.
    void clear() const;
    /// Removes one field, all of it that this transaction sees.
    void remove(std::string_view name, field_type type) const;
};

/// A transaction in progress: the bucket as a map. Reads see its own writes. Exists only inside the
/// closure given to bucket::commit, on that thread.
class transaction : public map_ref {
  public:
    transaction(detail::access& source, transaction_id id, timestamp at)
        : map_ref(source, {}), id_(id), at_(at) {}
    transaction(const transaction&) = delete;
    transaction& operator=(const transaction&) = delete;

    /// The dot it gets if it commits with at least one change; otherwise there is no such transaction, or another one gets it.
    const transaction_id& id() const { return id_; }
    timestamp at() const { return at_; }

    /// Makes it a refusal: nothing that the closure does is kept, and `answer` is remembered as what became of the request.
    /// `return tx.refuse("out of stock")`. errc::invalid_argument, and nothing refused, where the transaction has no request.
    result<std::string> refuse(std::string answer);

  private:
    transaction_id id_;
    timestamp at_;
};

}  // namespace anabranch
