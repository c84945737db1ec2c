// Random transactions, done through the public handles and recorded for the oracle as they were asked for.
#include <algorithm>
#include <anabranch/limits.hpp>

#include "simulation/world.hpp"
#include "store/store_state.hpp"

namespace anabranch::simulation {
namespace {

action draw_action(field_type type, random_source& draw) {
    switch (type) {
        case field_type::counter:
            return draw.chance(75) ? action::add : action::reset;
        case field_type::last_writer:
        case field_type::multi_value:
            return draw.chance(75) ? action::assign : action::erase;
        case field_type::bounded_counter: {
            constexpr action actions[] = {action::deposit,  action::deposit,  action::spend,      action::spend,  action::spend,
                                          action::spend,    action::transfer, action::move_bound, action::request};
            return draw.pick(actions);
        }
        default:
            return draw.chance(60) ? action::insert : action::remove;
    }
}

std::string random_bytes(std::size_t n, random_source& draw) {
    std::string bytes(n, '\0');
    for (std::size_t i = 0; i + 8 <= n; i += 8) {
        const auto word = draw.next();
        for (std::size_t k = 0; k < 8; ++k) bytes[i + k] = static_cast<char>(word >> k * 8);
    }
    return bytes;
}

flag_ref flag(const map_ref& map, const node& n) {
    return n.type == field_type::enable_wins_flag ? map.enable_wins_flag(n.name)
                                                  : map.disable_wins_flag(n.name);
}

set_ref set(const map_ref& map, const node& n) {
    return n.type == field_type::add_wins_set ? map.add_wins_set(n.name) : map.remove_wins_set(n.name);
}

}  // namespace

operation world::draw_operation(random_source& draw) {
    if (draw.chance(9)) return {action::clear, static_cast<int>(draw.below(fields_.nodes.size())), 0, {}};
    const auto target = draw.below(fields_.leaves.size());
    operation op{draw_action(fields_.leaves[target].type, draw), static_cast<int>(target), 0, {}};
    if (op.what == action::add) op.amount = draw.between(-3, 9);
    if (op.what >= action::deposit) op.amount = draw.between(0, 6);
    if (op.what == action::move_bound) op.amount = draw.between(-4, 5);  // to where it is moved
    if (op.what == action::transfer) op.to = static_cast<std::size_t>(draw.below(replicas_.size()));
    if (op.what == action::assign) {
        op.value = "v" + std::to_string(++values_);
        if (draw.one_in(50)) op.value += std::string(static_cast<std::size_t>(draw.between(400, 900)), 'x');
        if (draw.one_in(6000)) op.value += random_bytes(limits::frame + draw.below(1000), draw);
        if (op.value.size() > limits::frame) counts_.count(covered::large_commits);
    }
    return op;
}

void world::apply(const transaction& tx, const operation& op) {
    const auto target = static_cast<std::size_t>(op.target);
    if (op.what == action::clear) {
        const auto& n = fields_.nodes[target];
        // A map inside another one can be emptied or removed from it; that is the same.
        if (n.type == field_type::map && (n.parent < 0 || op.target % 2 == 0)) {
            find_map(fields_, tx, op.target).clear();
        } else {
            find_map(fields_, tx, n.parent).remove(n.name, n.type);
        }
        return;
    }
    const auto& l = fields_.leaves[target];
    const auto& n = fields_.nodes[static_cast<std::size_t>(l.at)];
    const auto map = find_map(fields_, static_cast<const map_ref&>(tx), n.parent);
    switch (l.type) {
        case field_type::counter:
            op.what == action::add ? map.counter(n.name).add(op.amount) : map.counter(n.name).reset();
            break;
        case field_type::last_writer: {
            const auto field = map.last_writer<std::string>(n.name);
            op.what == action::assign ? field.set(op.value) : field.clear();
            break;
        }
        case field_type::multi_value: {
            const auto field = map.multi_value<std::string>(n.name);
            op.what == action::assign ? field.set(op.value) : field.clear();
            break;
        }
        case field_type::enable_wins_flag:
        case field_type::disable_wins_flag:
            op.what == action::insert ? flag(map, n).enable() : flag(map, n).disable();
            break;
        case field_type::add_wins_set:
        case field_type::remove_wins_set:
            op.what == action::insert ? set(map, n).add(l.element) : set(map, n).remove(l.element);
            break;
        case field_type::bounded_counter:
        case field_type::map:
            break;
    }
}

/// An operation on a bounded counter: it is granted iff the model says so, and takes what the model says.
void world::change_rights(replica& r, std::size_t b, const transaction& tx, operation op, transaction_record& record) {
    const auto& who = r.shares[b].who;
    const auto& l = fields_.leaves[static_cast<std::size_t>(op.target)];
    const auto& n = fields_.nodes[static_cast<std::size_t>(l.at)];
    const auto counter = find_map(fields_, static_cast<const map_ref&>(tx), n.parent).bounded_counter(n.name);
    auto there = escrow_generations(histories_[b], static_cast<std::size_t>(op.target), r.shares[b].has, &record, r.shares[b].fixed);
    std::erase_if(there, [](const escrow_generation& g) { return !g.is_live; });
    if (there.size() > 1) counts_.count(covered::counters_of_two_births);
    // In the order in which the store knows those who created them.
    std::ranges::sort(there, {}, [&](const escrow_generation& g) {
        return std::pair(*r.open->state()->origins().find(*replicas_[g.birth.origin]->id), g.birth.sequence);
    });
    const auto first = there.empty() ? birth_dot{r.index, record.sequence} : there.front().birth;
    std::int64_t bound = 0;
    std::int64_t here = 0;
    for (const auto& g : there) {
        bound += g.bound;
        here += g.rights_of(r.index, who);
    }
    const auto takes = op.what == action::move_bound ? op.amount - bound : op.amount;
    const auto take = [&] {
        auto missing = takes;
        for (const auto& g : there) {
            const auto part = std::min(missing, g.rights_of(r.index, who));
            if (part > g.rights[r.index]) counts_.count(covered::rights_inherited);
            if (part > 0) op.parts.push_back({g.birth, part});
            missing -= part;
        }
    };
    const auto expect = [&](bool is_granted, std::int64_t said_to_be_here, errc why) {
        if (!is_granted && why != errc::insufficient_rights) return;  // the transaction has failed before
        if (is_granted != (takes <= here)) {
            trace_operations(record);
            violate("replica " + std::to_string(r.index) + (is_granted ? " granted " : " refused ") + std::to_string(takes) + " of " +
                    fields_.describe(l) + ", and has " + std::to_string(here));
        }
        if (said_to_be_here != (is_granted ? here - takes : here)) violate("a replica is wrong about its rights");
        counts_.count(is_granted ? covered::rights_granted : covered::rights_refused);
        if (is_granted) take();
    };
    const auto ask = [&] {
        if (!there.empty()) record.operations.push_back({action::request, op.target, 0, {}, 0, {{first, 0}}});
    };
    switch (op.what) {
        case action::deposit:
            counter.add(op.amount);
            op.parts.push_back({first, op.amount});
            break;
        case action::spend: {
            const auto answer = counter.spend(op.amount);
            expect(answer.has_value(), answer ? *answer : answer.error().here, answer ? errc{} : answer.error().code);
            if (answer && op.amount > 0) ask();
            break;
        }
        case action::move_bound:
            if (const auto answer = counter.set_bound(op.amount); takes > 0) {
                expect(answer.has_value(), answer ? here - takes : answer.error().here, answer ? errc{} : answer.error().code);
            } else if (!answer && answer.error().code == errc::insufficient_rights) {
                violate("a bound was not moved down");
            } else if (takes < 0) {
                op.parts.push_back({first, takes});
            }
            break;
        case action::transfer: {
            const auto answer = counter.transfer(*replicas_[op.to]->id, op.amount);
            if (op.to == r.index) return;
            expect(answer.has_value(), answer ? here - takes : answer.error().here, answer ? errc{} : answer.error().code);
            break;
        }
        default:
            counter.request(op.amount);
            ask();
            return;
    }
    record.operations.push_back(std::move(op));
}

/// Where some do not know requests, these keep to what they may change, and who does not know them keeps away from that: its writes
/// have not seen what stands in them. Of bounded counters it may not change any.
bool world::may_change(const replica& r, const operation& op, bool in_request) const {
    if (!has_later_records_) return true;
    std::uint64_t leaves = 0;
    for (std::size_t leaf = 0; leaf < fields_.leaves.size(); ++leaf) {
        const bool is_meant = op.what == action::clear ? fields_.is_below(fields_.leaves[leaf], op.target) : leaf == static_cast<std::size_t>(op.target);
        if (is_meant) leaves |= std::uint64_t{1} << leaf;
    }
    if (in_request) return (leaves & ~later_leaves_) == 0;
    return !r.is_old || ((leaves & later_leaves_) == 0 && op.what < action::deposit);
}

void world::apply(replica& r, std::size_t b, const transaction& tx, operation op, transaction_record& record,
                  const std::vector<std::size_t>& members) {
    if (!may_change(r, op, record.execution.has_value())) return;
    const auto target = static_cast<std::size_t>(op.target);
    const auto knows = [&](const simulation::leaf& l) { return !is_hidden(r, static_cast<std::size_t>(&l - fields_.leaves.data())); };
    // Of a field that its build does not know an application does not speak.
    const bool is_spoken_of = op.what != action::clear ? !is_hidden(r, target)
                                                       : fields_.nodes[target].type == field_type::map ||
                                                             std::ranges::any_of(fields_.leaves, [&](const auto& l) { return l.at == op.target && knows(l); });
    if (!is_spoken_of) return;
    if (op.what == action::transfer && std::ranges::find(members, op.to) == members.end()) op.to = r.index;
    if (op.what >= action::deposit) {
        change_rights(r, b, tx, std::move(op), record);
    } else {
        apply(tx, op);
        record.operations.push_back(std::move(op));
    }
}

std::vector<std::size_t> world::joined_members(const share& s) const {
    std::vector<std::size_t> members;
    for (const auto& m : s.handle->members()) {
        if (m.stage == member_stage::joined) members.push_back(index_of(m.id));
    }
    return members;
}

/// Whatever the transaction does, it could not be committed then.
bool world::is_hindered(const replica& r, std::size_t b, errc code, bool was_member) {
    if (code == errc::not_a_member && !was_member) {
        counts_.count(covered::commits_before_joining);
    } else if (code == errc::retired && (r.shares[b].is_retired || r.shares[b].handle->state()->has_orphans())) {
        counts_.count(covered::commits_after_retirement);
    } else if ((code == errc::storage_full || code == errc::storage_failure) && r.storage->is_full()) {
        counts_.count(covered::failed_writes);
    } else {
        return false;
    }
    return true;
}

void world::trace_operations(const transaction_record& t) const {
    for (const auto& op : t.operations) {
        if (!options_.is_traced) return;
        const auto target = static_cast<std::size_t>(op.target);
        std::printf("%21s%d %s %lld %s\n", "", static_cast<int>(op.what),
                    (op.what == action::clear ? fields_.describe(op.target) : fields_.describe(fields_.leaves[target])).c_str(),
                    static_cast<long long>(op.amount), op.value.substr(0, 12).c_str());
    }
}

void world::note_committed(replica& r, std::size_t b, transaction_record record, bool is_on_disk) {
    auto& s = r.shares[b];
    counts_.count(covered::commits);
    if (is_on_disk) counts_.count(covered::commits_to_disk);
    for (std::size_t o = 0; o < replicas_.size(); ++o) {
        const auto* before = histories_[b].find(o, s.has[o]);
        if (before != nullptr && before->at >= record.at)
            violate("a transaction is not later than what it has seen");
    }
    record.head = logged(r, b, record.sequence).head;
    auto allowed = s.has;
    allowed[r.index] = record.sequence;
    histories_[b].append(std::move(record));
    observe(r, b, allowed);
    if (!covers(s.has, allowed)) violate("a commit is missing from its own replica's progress");
    if (is_on_disk && !covers(s.durable, allowed)) violate("a commit to disk is not on disk");
}

void world::commit(replica& r, std::size_t b) {
    auto& s = r.shares[b];
    const auto wait_for = chance_.chance(25) ? durability::disk : durability::os;
    const bool is_refused = chance_.one_in(25);
    const bool passes_limit = chance_.one_in(40);
    const auto reads_at_all = chance_.chance(30);
    // A listing in a transaction writes the waiting rows first, so it needs a disk that works.
    const bool has_good_disk =
        !r.dies_in && !options_.dies_at && !r.storage->is_full() && !r.storage->is_filling();
    const bool lists = chance_.chance(20) && has_good_disk;
    const auto draw_from = chance_.split();
    const auto size = 1 + (chance_.chance(40) ? 0 : chance_.below(largest_transaction_));

    transaction_record record;
    record.origin = r.index;
    record.sequence = s.has[r.index] + 1;
    record.context = s.has;
    const bool is_member = s.handle->is_member();
    const auto members = joined_members(s);
    note_fixed(r, b);
    const auto done = s.handle->commit(
        [&](transaction& tx) -> result<void> {
            auto draw = draw_from;
            record.operations.clear();
            record.at = tx.at();
            if (tx.id() != transaction_id{*r.id, record.sequence}) violate("a transaction has the wrong dot");
            for (std::size_t i = 0; i < size; ++i) {
                apply(r, b, tx, draw_operation(draw), record, members);
                // Where the disk has failed the transaction may have, too, and does nothing any more.
                if (!reads_at_all || !draw.chance(50) || r.storage->is_dead() || r.storage->is_full())
                    continue;
                counts_.count(covered::own_writes_read);
                const auto leaf = draw.below(fields_.leaves.size());
                check_leaf(tx, b, leaf, evaluate(histories_[b], leaf, s.has, s.who, &record, s.fixed), r.index,
                           "in a transaction");
                if (lists && i + 1 == size) check_scans(tx, b, s.has, r, &record);
            }
            if (passes_limit) tx.counter(std::string(limits::name + 1, 'n')).add(1);
            if (is_refused) return fail(errc::refused, "as the history wants it");
            return {};
        },
        wait_for);

    const bool is_dead = r.storage->is_dead();
    trace("commit", {{"replica", r.index},
                     {"bucket", b},
                     {"sequence", record.sequence},
                     {"operations", size},
                     {"at", record.at.value},
                     {"disk", wait_for == durability::disk},
                     {"ok", done.has_value()},
                     {"dead", is_dead}});
    trace_operations(record);
    if (options_.is_traced && !done) std::printf("%21s%s\n", "", done.error().message.c_str());
    if (is_dead) {
        s.may_have[r.index] = record.sequence;
        r.unconfirmed = std::pair(b, std::move(record));
        return;
    }

    const auto now = s.handle->progress();
    const auto mine = std::ranges::find(now, *r.id, &progress_entry::origin);
    const bool is_committed = mine != now.end() && mine->sequence >= record.sequence;
    if (!done) {
        const auto code = done.error().code;
        const bool is_storage = code == errc::storage_full || code == errc::storage_failure;
        if (passes_limit && code == errc::limit_exceeded) {
            counts_.count(covered::limits_passed);
        } else if (is_refused && code == errc::refused) {
            counts_.count(covered::refused_closures);
        } else if (!is_hindered(r, b, code, is_member)) {
            violate("a commit failed: " + done.error().message);
        }
        // Only waiting for the disk can fail after the transaction has been taken.
        if (is_committed && !(is_storage && wait_for == durability::disk))
            violate("a commit failed and left something");
    } else if (is_refused || passes_limit) {
        violate("a commit succeeded that had to fail");
    }
    if (is_committed) {
        note_committed(r, b, record, done && wait_for == durability::disk);
    } else {
        observe(r, b, s.has);
        if (done) {
            counts_.count(covered::commits_without_effect);
            for (std::size_t leaf = 0; leaf < fields_.leaves.size(); ++leaf) {
                if ((histories_[b].touched_by(record) >> leaf & 1) == 0 || is_hidden(r, leaf)) continue;
                if (evaluate(histories_[b], leaf, s.has, s.who) != evaluate(histories_[b], leaf, s.has, s.who, &record)) {
                    violate("a transaction with an effect left no trace");
                }
            }
        }
        check_values(r, b, histories_[b].touched_by(record));
    }
    observe(r);  // the other bucket may have become durable, too
    wake(r);
}

}  // namespace anabranch::simulation
