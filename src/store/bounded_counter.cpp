// The handles of bounded counters.
#include <anabranch/transaction.hpp>
#include <algorithm>
#include <tuple>

#include "store/access.hpp"

namespace anabranch {
namespace {

using crdt::row_kind;
using detail::access;

result<crdt::escrow_totals> read_totals(access& source, std::string_view path) {
    return source.read(path, row_kind::escrow).map([&](const crdt::row& row) {
        return crdt::totals(std::get<crdt::escrow_row>(row), source.heirs());
    });
}

std::vector<replica_rights> rights_in(const crdt::escrow_totals& all, const origin_table& origins) {
    std::vector<replica_rights> rights;
    for (const auto& h : all.holdings) {
        if (h.rights > 0) rights.push_back({origins.id(h.owner), h.rights});
    }
    std::ranges::sort(rights, [](const auto& a, const auto& b) { return std::tie(b.amount, a.replica) < std::tie(a.amount, b.replica); });
    return rights;
}

result<std::int64_t> narrow(crdt::wide sum, const char* what) {
    if (sum < INT64_MIN || sum > INT64_MAX) {
        return fail(errc::overflow, std::string("the ") + what + " of a bounded counter, of all replicas, is more than 64 bits hold");
    }
    return static_cast<std::int64_t>(sum);
}

refusal refused(const access& source, const crdt::escrow_totals& all, std::int64_t asked) {
    refusal r{{errc::insufficient_rights, {}}, asked, all.rights_of(source.self()), rights_in(all, source.origins())};
    std::erase_if(r.elsewhere, [&](const auto& other) { return other.replica == source.origins().id(source.self()); });
    r.message = std::to_string(asked) + " asked for, " + std::to_string(r.here) + " may be spent here";
    for (const auto& other : r.elsewhere) r.message += ", " + std::to_string(other.amount) + " by replica " + to_string(other.replica);
    return r;
}

/// What an operation on a bounded counter answers: nothing has been taken, unless `apply` says so.
template <class T>
using rights_edit = std::function<granted<T>(crdt::edit&, const detail::writer&, const crdt::escrow_totals& before)>;

template <class T>
granted<T> change_rights(access& source, const std::string& path, std::int64_t asked, const rights_edit<T>& apply) {
    std::optional<granted<T>> answer;
    if (asked < 0) source.reject({errc::invalid_argument, "an amount of " + std::to_string(asked) + ", which is below zero"});
    source.edit(path, row_kind::escrow, [&](crdt::edit& e, const detail::writer& w) {
        answer = apply(e, w, crdt::totals(std::get<crdt::escrow_row>(e.now()), w.heirs));
        return result<void>{};
    });
    if (answer) return std::move(*answer);
    return tl::unexpected(refusal{source.status().error(), asked, 0, {}});
}

}  // namespace

bool refusal::is_elsewhere() const {
    auto missing = asked - here;
    for (const auto& other : elsewhere) missing -= std::min(missing, other.amount);
    return code == errc::insufficient_rights && missing <= 0;
}

result<std::int64_t> bounded_counter_view::value() const {
    return read_totals(*source_, path_).and_then([](const auto& all) { return narrow(all.value, "value"); });
}
result<std::int64_t> bounded_counter_view::bound() const {
    return read_totals(*source_, path_).and_then([](const auto& all) { return narrow(all.bound, "bound"); });
}
result<std::int64_t> bounded_counter_view::available() const {
    return read_totals(*source_, path_).map([&](const auto& all) { return all.rights_of(source_->self()); });
}
result<std::vector<replica_rights>> bounded_counter_view::rights() const {
    return read_totals(*source_, path_).map([&](const auto& all) { return rights_in(all, source_->origins()); });
}

void bounded_counter_ref::add(std::int64_t amount) const {
    (void)change_rights<void>(*source_, path_, amount, [&](crdt::edit& e, const detail::writer& w, const auto&) -> granted<> {
        if (!e.deposit(w.me, amount)) {
            source_->reject({errc::overflow, "adding " + std::to_string(amount) + " to a bounded counter leaves 64 bits"});
        }
        return {};
    });
}

granted<std::int64_t> bounded_counter_ref::spend(std::int64_t amount) const {
    using answer = granted<std::int64_t>;
    return change_rights<std::int64_t>(*source_, path_, amount, [&](crdt::edit& e, const detail::writer& w, const auto& before) -> answer {
        const auto here = before.rights_of(w.me.writer);
        if (e.spend(w.me, amount, w.heirs)) {
            const auto wanted = source_->note_spending(path_, amount);
            if (amount > 0 && wanted) e.want(w.me, *wanted);
            return here - amount;
        }
        auto no = refused(*source_, before, amount);
        // Of what nobody has nobody is asked for any: an order that cannot be filled would take the others what they have.
        if (no.is_elsewhere()) source_->note_refusal(path_, amount);
        return tl::unexpected(std::move(no));
    });
}

granted<> bounded_counter_ref::set_bound(std::int64_t bound) const {
    return change_rights<void>(*source_, path_, 0, [&](crdt::edit& e, const detail::writer& w, const auto& before) -> granted<> {
        const auto by = narrow(bound - before.bound, "bound");
        if (!by) {
            source_->reject(by.error());
            return tl::unexpected(refusal{by.error(), 0, 0, {}});
        }
        if (*by == 0 || e.move_bound(w.me, *by, w.heirs)) return {};
        if (*by < 0) source_->reject({errc::overflow, "moving a bound by " + std::to_string(*by) + " leaves 64 bits"});
        return tl::unexpected(refused(*source_, before, *by));
    });
}

granted<> bounded_counter_ref::transfer(const replica_id& to, std::int64_t amount) const {
    const auto other = source_->find_member(to);
    if (!other) source_->reject(other.error());
    return change_rights<void>(*source_, path_, amount, [&](crdt::edit& e, const detail::writer& w, const auto& before) -> granted<> {
        if (*other == w.me.writer || e.transfer(w.me, *other, amount, w.heirs)) return {};
        return tl::unexpected(refused(*source_, before, amount));
    });
}

void bounded_counter_ref::request(std::int64_t rights) const {
    (void)change_rights<void>(*source_, path_, rights, [&](crdt::edit& e, const detail::writer& w, const auto& before) -> granted<> {
        if (!before.exists) return {};
        e.want(w.me, rights);
        source_->note_request(path_, rights);
        return {};
    });
}

}  // namespace anabranch
