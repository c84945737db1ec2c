#include "simulation/specification.hpp"

#include "support/catch.hpp"

using namespace anabranch;
using namespace anabranch::simulation;

namespace {

constexpr auto mirror = request_role::mirror;
constexpr auto primary = request_role::primary;
constexpr heirs own_rights = {0, 1, 2, 3, 4};

schema one_field(field_type type) {
    schema s;
    s.nodes = {{-1, "", field_type::map}, {0, "f", type}};
    s.leaves = {{type, 1, is_set(type) ? "e" : "", 3}};
    s.maps = {0};
    return s;
}

/// Replicas that write to one field, and meet when they are told to.
class story {
  public:
    explicit story(field_type type) : fields_(one_field(type)), history_(fields_) {}

    birth_dot commit(std::size_t replica, std::vector<operation> operations) {
        return append(replica, std::move(operations), {});
    }
    birth_dot run(std::size_t request, std::size_t replica, request_role role, std::vector<operation> operations) {
        return append(replica, std::move(operations), request_execution{request, role});
    }
    birth_dot refuse(std::size_t request, std::size_t replica, request_role role) {
        return append(replica, {}, request_execution{request, role, request_outcome::refused});
    }
    birth_dot confirm(std::size_t request, std::size_t replica, birth_dot content) {
        return append(replica, {}, request_execution{request, primary, request_outcome::committed, content});
    }
    /// The next transaction's.
    void set_time(std::uint64_t at) { time_ = at - 1; }
    void meet(std::size_t a, std::size_t b) { has_[a] = has_[b] = joined(has_[a], has_[b]); }
    /// `to` hears of what `from` has.
    void tell(std::size_t from, std::size_t to) { has_[to] = joined(has_[to], has_[from]); }

    field_value at(std::size_t replica, const fixed_requests& fixed = {}) const {
        return evaluate(history_, 0, has_[replica], own_rights, nullptr, fixed);
    }
    bool exists(std::size_t replica) const { return at(replica).exists; }
    std::int64_t sum(std::size_t replica) const { return at(replica).sum; }
    /// Of a register.
    std::vector<std::string> values(std::size_t replica) const {
        std::vector<std::string> found;
        for (const auto& e : at(replica).entries) found.push_back(e.value);
        return found;
    }
    std::string state(std::size_t replica) const { return live_state(history_, has_[replica]); }
    const transaction_record* winner(std::size_t request, std::size_t replica) const {
        return winner_of(history_, request, has_[replica]);
    }
    const transaction_record* content(std::size_t request, std::size_t replica) const {
        return content_of(history_, request, has_[replica]);
    }

  private:
    birth_dot append(std::size_t replica, std::vector<operation> operations, std::optional<request_execution> execution) {
        const auto sequence = has_[replica][replica] + 1;
        history_.append({replica, sequence, timestamp{++time_}, has_[replica], std::move(operations), {}, std::move(execution)});
        has_[replica][replica] = sequence;
        return {replica, sequence};
    }

    schema fields_;
    history history_;
    std::array<cut, most_replicas> has_{};
    std::uint64_t time_ = 0;
};

operation assign(std::string value) { return {action::assign, 0, 0, std::move(value)}; }
operation erase() { return {action::erase, 0}; }
operation insert() { return {action::insert, 0}; }
operation remove() { return {action::remove, 0}; }
operation clear() { return {action::clear, 0}; }
operation add(std::int64_t amount) { return {action::add, 0, amount}; }
operation reset() { return {action::reset, 0}; }
operation rights(action what, birth_dot of, std::int64_t amount, std::size_t to = 0) {
    return {what, 0, amount, {}, to, {{of, amount}}};
}

using strings = std::vector<std::string>;

}  // namespace

TEST_CASE("of a request's executions the least counts, by role, outcome, time and replica") {
    story s(field_type::counter);
    SECTION("a primary's before a mirror's that was earlier") {
        s.run(1, 0, mirror, {add(5)});
        s.run(1, 1, primary, {add(7)});
    }
    SECTION("a committed one before a refused one that was earlier") {
        s.refuse(1, 0, primary);
        s.run(1, 1, primary, {add(7)});
    }
    SECTION("a refused primary's before a mirror's that committed") {
        s.run(1, 0, mirror, {add(5)});
        s.refuse(1, 1, primary);
    }
    SECTION("the earlier one") {
        s.set_time(20);
        s.run(1, 0, primary, {add(5)});
        s.set_time(10);
        s.run(1, 1, primary, {add(7)});
    }
    s.meet(0, 1);
    CHECK(s.winner(1, 0)->origin == 1);
    CHECK(s.winner(1, 1)->origin == 1);
    CHECK(s.sum(0) == (s.winner(1, 0)->execution->outcome == request_outcome::refused ? 0 : 7));
    CHECK(s.state(0) == s.state(1));
}

TEST_CASE("as late as each other, the lesser replica's counts") {
    story s(field_type::counter);
    s.set_time(10);
    s.run(1, 1, mirror, {add(7)});
    s.set_time(10);
    s.run(1, 0, mirror, {add(5)});
    s.meet(0, 1);
    CHECK(s.sum(0) == 5);
}

TEST_CASE("a confirming execution counts, and does what the mirror's did") {
    story s(field_type::counter);
    const auto content = s.run(1, 0, mirror, {add(5)});
    s.meet(0, 1);
    s.confirm(1, 1, content);
    CHECK(s.winner(1, 1)->origin == 1);
    CHECK(s.content(1, 1)->origin == 0);
    CHECK(s.sum(1) == 5);
    // The confirmed one stands against another mirror's that was earlier, and falls with an earlier primary's.
    s.set_time(1);
    s.run(1, 2, mirror, {add(6)});
    s.meet(1, 2);
    CHECK(s.sum(1) == 5);
    s.set_time(1);
    s.run(1, 3, primary, {add(7)});
    s.meet(1, 3);
    CHECK(s.sum(1) == 7);
}

TEST_CASE("a counter counts a request once, and what it does elsewhere besides") {
    story s(field_type::counter);
    s.run(1, 0, primary, {add(5), add(2)});
    s.commit(1, {add(100)});
    s.run(1, 1, mirror, {add(9)});
    s.meet(0, 1);
    CHECK(s.sum(0) == 107);
    CHECK(s.state(0) == s.state(1));
}

TEST_CASE("a reset that has seen a suppressed addition has seen the request's") {
    story s(field_type::counter);
    s.run(1, 0, primary, {add(5)});
    s.run(1, 1, mirror, {add(9)});
    SECTION("a plain one") { s.commit(1, {reset()}); }
    SECTION("a request's") { s.run(2, 1, primary, {reset()}); }
    SECTION("a request's, whose suppressed execution has seen it") {
        s.run(2, 1, mirror, {reset()});
        s.run(2, 2, primary, {reset()});
        s.meet(1, 2);
    }
    SECTION("a removal of the map above") { s.commit(1, {clear()}); }
    CHECK(s.sum(1) == 0);
    s.meet(0, 1);
    CHECK(s.sum(0) == 0);
    CHECK_FALSE(s.exists(0));
}

TEST_CASE("a suppressed reset takes nothing") {
    story s(field_type::counter);
    s.commit(0, {add(5)});
    s.meet(0, 1);
    s.run(1, 1, mirror, {reset(), add(1)});
    CHECK(s.sum(1) == 1);
    s.run(1, 0, primary, {add(2)});
    s.meet(0, 1);
    CHECK(s.sum(0) == 7);
}

TEST_CASE("a twin that arrives after the other's removal stays removed") {
    for (const auto type : {field_type::add_wins_set, field_type::remove_wins_set, field_type::enable_wins_flag,
                            field_type::disable_wins_flag}) {
        CAPTURE(static_cast<char>(type));
        story s(type);
        s.run(1, 0, primary, {insert()});
        s.run(1, 1, mirror, {insert()});
        s.commit(1, {remove()});
        CHECK_FALSE(s.exists(1));
        s.meet(0, 1);
        CHECK_FALSE(s.exists(1));
    }
    story s(field_type::last_writer);
    s.run(1, 0, primary, {assign("primary's")});
    s.run(1, 1, mirror, {assign("mirror's")});
    s.commit(1, {erase()});
    s.meet(0, 1);
    CHECK_FALSE(s.exists(1));
}

TEST_CASE("a write over a twin is one over the request's") {
    story s(field_type::multi_value);
    s.set_time(50);
    s.run(1, 0, primary, {assign("primary's")});
    s.run(1, 1, mirror, {assign("mirror's")});
    s.commit(1, {assign("later")});
    s.meet(0, 1);
    CHECK(s.values(0) == strings{"later"});
}

TEST_CASE("requests that two replicas executed in opposite orders") {
    story s(field_type::last_writer);
    s.set_time(10);
    s.run(1, 0, primary, {assign("one")});
    s.run(2, 0, primary, {assign("two")});
    s.set_time(20);
    s.run(2, 1, mirror, {assign("two, mirrored")});
    s.run(1, 1, mirror, {assign("one, mirrored")});
    CHECK(s.values(1) == strings{"one, mirrored"});
    s.meet(0, 1);
    SECTION("a register shows the later of them, whose content is 0's") { CHECK(s.values(0) == strings{"two"}); }
    SECTION("and neither, once one more write has seen one execution of each") {
        s.commit(1, {assign("three")});
        CHECK(s.values(1) == strings{"three"});
    }
}

TEST_CASE("removal and insertion in opposite orders") {
    const auto type = GENERATE(field_type::add_wins_set, field_type::remove_wins_set);
    CAPTURE(static_cast<char>(type));
    story s(type);
    s.run(1, 0, primary, {insert()});
    s.run(2, 0, primary, {remove()});
    s.run(2, 1, mirror, {remove()});
    s.run(1, 1, mirror, {insert()});
    s.meet(0, 1);
    // The removal has seen the insertion; the insertion has seen the removal.
    CHECK(s.exists(0) == (type == field_type::remove_wins_set));
    CHECK(s.state(0) == s.state(1));
}

TEST_CASE("insertions that see each other leave the element there") {
    story s(field_type::add_wins_set);
    s.run(1, 0, primary, {insert()});
    s.run(2, 0, primary, {insert()});
    s.run(2, 1, mirror, {insert()});
    s.run(1, 1, mirror, {insert()});
    s.meet(0, 1);
    CHECK(s.exists(0));
    s.commit(0, {remove()});
    CHECK_FALSE(s.exists(0));
}

TEST_CASE("a suppressed overwrite hides nothing") {
    story s(field_type::last_writer);
    s.commit(0, {assign("old")});
    s.meet(0, 1);
    s.run(1, 1, mirror, {assign("mirror's")});
    CHECK(s.values(1) == strings{"mirror's"});
    SECTION("where the request that counts does nothing to the field") {
        s.refuse(1, 0, primary);
        s.meet(0, 1);
        CHECK(s.values(1) == strings{"old"});
    }
    SECTION("but where it writes, too, it has seen what the mirror's has seen") {
        s.set_time(1);
        s.run(1, 2, primary, {assign("primary's")});
        s.meet(1, 2);
        CHECK(s.values(1) == strings{"primary's"});
    }
}

TEST_CASE("what a gone overwrite has seen does not come back") {
    story s(field_type::multi_value);
    s.commit(0, {assign("old")});
    s.meet(0, 1);
    s.run(1, 1, mirror, {assign("mirror's")});
    s.set_time(1);
    s.run(1, 2, primary, {assign("primary's")});
    // The removal has seen the primary's, and not the old value.
    s.commit(2, {erase()});
    s.meet(1, 2);
    CHECK(s.values(1).empty());
    SECTION("nor where a request's overwrote it that is suppressed in turn") {
        s.run(2, 1, mirror, {assign("another")});
        s.refuse(2, 3, primary);
        s.meet(1, 3);
        CHECK(s.values(1).empty());
    }
}

TEST_CASE("a write that only a hidden one has seen stays hidden") {
    story s(field_type::last_writer);
    s.set_time(100);
    s.commit(0, {assign("old")});
    s.set_time(10);
    s.run(1, 1, primary, {assign("one")});
    s.set_time(90);
    s.meet(0, 2);
    s.run(1, 2, mirror, {assign("one, mirrored")});
    s.set_time(50);
    s.tell(1, 3);
    s.run(2, 3, primary, {assign("two")});
    s.meet(2, 3);
    CHECK(s.values(3) == strings{"two"});
}

TEST_CASE("a remove-wins insertion has to have seen one execution of each removal that counts") {
    story s(field_type::remove_wins_set);
    s.run(1, 0, primary, {remove()});
    s.run(1, 1, mirror, {remove()});
    s.commit(1, {insert()});
    s.meet(0, 1);
    CHECK(s.exists(0));
    s.commit(2, {remove()});
    s.meet(0, 2);
    CHECK_FALSE(s.exists(0));
    SECTION("a suppressed removal that the request does not do is none") {
        story t(field_type::remove_wins_set);
        t.commit(0, {insert()});
        t.run(1, 1, mirror, {remove()});
        t.meet(0, 1);
        CHECK_FALSE(t.exists(0));
        t.refuse(1, 2, primary);
        t.meet(0, 2);
        CHECK(t.exists(0));
    }
    SECTION("one that removes and then inserts leaves both") {
        story t(field_type::remove_wins_set);
        t.run(1, 0, primary, {remove(), insert()});
        CHECK(t.exists(0));
        t.commit(1, {insert()});
        t.meet(0, 1);
        CHECK(t.exists(0));
        t.commit(0, {clear()});
        t.commit(2, {insert()});
        t.meet(0, 2);
        CHECK_FALSE(t.exists(0));
    }
}

TEST_CASE("a bounded counter gives a suppressed spend back, and lends nothing that may not count") {
    story s(field_type::bounded_counter);
    const auto birth = s.commit(0, {rights(action::deposit, {0, 1}, 10)});
    s.commit(0, {rights(action::transfer, birth, 4, 1)});
    s.meet(0, 1);
    s.run(1, 1, mirror, {rights(action::spend, birth, 3)});
    CHECK(s.at(1).rights[1] == 1);
    s.run(1, 0, primary, {rights(action::spend, birth, 3)});
    s.meet(0, 1);
    CHECK(s.sum(0) == 7);
    CHECK(s.at(0).rights[0] == 3);
    CHECK(s.at(0).rights[1] == 4);

    s.run(2, 0, primary, {rights(action::deposit, birth, 5)});
    CHECK(s.sum(0) == 12);
    CHECK(s.at(0).rights[0] == 3);
    CHECK(s.at(0, {2}).rights[0] == 8);
    s.run(3, 0, primary, {rights(action::move_bound, birth, -2)});
    CHECK(s.at(0).bound == -2);
    CHECK(s.at(0, {2}).rights[0] == 8);
    CHECK(s.at(0, {2, 3}).rights[0] == 10);

    SECTION("a transfer moves rights though its transaction is suppressed") {
        s.run(4, 1, mirror, {rights(action::transfer, birth, 2, 0)});
        s.refuse(4, 0, primary);
        s.meet(0, 1);
        CHECK(s.at(0).rights[0] == 5);
        CHECK(s.at(0).rights[1] == 2);
    }
    SECTION("a removal that has seen a use of each takes all of it") {
        s.run(5, 2, mirror, {rights(action::deposit, {2, 1}, 1)});
        s.tell(0, 2);
        s.run(5, 3, primary, {rights(action::deposit, {3, 1}, 1)});
        s.commit(2, {clear()});
        CHECK_FALSE(s.exists(2));
        s.meet(2, 3);
        CHECK_FALSE(s.exists(2));
        s.meet(0, 2);
        CHECK_FALSE(s.exists(0));
        s.run(6, 2, primary, {rights(action::deposit, {2, 3}, 1)});
        CHECK(s.exists(2));
    }
}

TEST_CASE("a transaction in progress is its request's only execution") {
    const auto fields = one_field(field_type::counter);
    history h(fields);
    transaction_record pending{0, 1, timestamp{1}, {}, {add(4)}, {}, request_execution{1, mirror}};
    CHECK(evaluate(h, 0, {}, own_rights, &pending).sum == 4);
    pending.operations.push_back(reset());
    CHECK_FALSE(evaluate(h, 0, {}, own_rights, &pending).exists);
}
