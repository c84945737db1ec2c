// What handles read through: the latest state, a snapshot, or a transaction.
#pragma once

#include <anabranch/result.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "crdt/edit.hpp"

namespace anabranch::detail {

/// What a visitor of rows wants next: to stop, to go on, or to go on at another path below the prefix.
struct scan_step {
    bool stop = false;
    std::optional<std::string> seek;
};
using row_visitor = std::function<scan_step(std::string_view path, const crdt::row& row)>;
/// Who writes: the transaction's dot and time, and all that it has seen.
struct writer {
    dot me;
    timestamp at;
    const version_vector& have;
    const version_vector& stable;
    const crdt::succession& heirs;
};
using row_edit = std::function<result<void>(crdt::edit&, const writer&)>;

class access {
  public:
    virtual ~access() = default;

    virtual const origin_table& origins() const = 0;
    /// This replica.
    virtual origin self() const = 0;
    /// Who has the rights of those that are gone.
    virtual const crdt::succession& heirs() const = 0;
    /// When that transaction was committed, where the log still says so.
    virtual std::optional<timestamp> time_of(const dot& transaction) const = 0;
    /// `bottom(kind)` where there is none.
    virtual result<crdt::row> read(std::string_view path, crdt::row_kind kind) = 0;
    /// Rows whose path begins with `prefix`, upwards from prefix + `from`; rows that show nothing included.
    virtual result<void> scan(std::string_view prefix, std::string_view from, const row_visitor& visit) = 0;

    /// Handles that write exist only in transactions, which override these.
    virtual void edit(std::string_view path, crdt::row_kind kind, const row_edit& apply);
    virtual void clear(std::string_view prefix);
    /// The transaction fails with this error, unless it has failed already.
    virtual void reject(error reason);
    /// Why it has failed, if it has.
    virtual const result<void>& status() const;
    /// A request is refused: nothing that the closure does is kept. False where there is no request.
    virtual bool refuse();
    /// The number of another member. errc::not_a_member.
    virtual result<origin> find_member(const replica_id& id) const;
    /// Rights of a counter were spent. Returns how many the replica wants to have, to say so to the others; nothing where it
    /// does not ask by itself. The other two: refused though others have enough; asked for by call.
    virtual std::optional<std::int64_t> note_spending(std::string_view path, std::int64_t amount);
    virtual void note_refusal(std::string_view path, std::int64_t amount);
    virtual void note_request(std::string_view path, std::int64_t rights);
};

}  // namespace anabranch::detail
