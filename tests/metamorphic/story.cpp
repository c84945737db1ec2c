#include "metamorphic/story.hpp"

#include <deque>

#include "simulation/random.hpp"
#include "support/catch.hpp"

namespace anabranch::test {
namespace {

using simulation::random_source;

constexpr std::size_t event_count = 120;

class teller {
  public:
    teller(std::uint64_t seed, const story_options& options) : chance_(random_source::scramble(seed ^ 0x6d657461)), options_(options) {
        constexpr customer_kind kinds[] = {customer_kind::ordered, customer_kind::ordered, customer_kind::loose, customer_kind::loose,
                                           customer_kind::contending, customer_kind::contending};
        for (std::size_t i = 0; i < (options.has_contending ? 6 : 4); ++i) {
            const auto home = chance_.below(replica_count);
            // Now and then it is the very same one.
            const auto further = chance_.chance(10) ? 0 : 1 + chance_.below(replica_count - 1);
            told_.customers.push_back({"c" + std::to_string(i), kinds[i], home, (home + further) % replica_count});
        }
        queues_.resize(told_.customers.size());
    }

    story tell() && {
        while (told_.events.size() < event_count) {
            const auto what = chance_.below(100);
            if (what < 25) {
                ask();
            } else if (what < 55) {
                deliver_next(queues_[chance_.below(queues_.size())]);
            } else if (what < 92) {
                deliver_any();
            } else {
                const auto one = chance_.below(replica_count);
                happens(visit{one, (one + 1 + chance_.below(replica_count - 1)) % replica_count});
            }
        }
        return std::move(told_);
    }

  private:
    void happens(std::variant<copy, visit> what) {
        now_ += chance_.between(1, 40);
        told_.events.push_back({now_, what});
    }

    void ask() {
        const auto by = chance_.below(told_.customers.size());
        const auto& who = told_.customers[by];
        const auto number = told_.requests.size();
        told_.requests.push_back({by, "key " + std::to_string(number), now_ + 1});
        const auto anywhere = [&] { return chance_.below(replica_count); };
        happens(copy{number, who.kind == customer_kind::contending ? anywhere() : who.home, request_role::primary, 1});
        const bool keeps_order = who.kind == customer_kind::ordered && !options_.is_disorderly;
        const auto send = [&](request_role role, std::uint32_t attempt) {
            if (chance_.chance(10)) return;  // lost
            if (keeps_order) {
                queues_[by].push_back({number, who.mirror, role, attempt});
            } else {
                bag_.push_back({number, chance_.chance(50) ? who.mirror : anywhere(), role, attempt});
            }
        };
        if (chance_.chance(85)) send(request_role::mirror, 1);
        for (std::uint32_t attempt = 2; attempt < 4 && chance_.chance(35); ++attempt) send(request_role::primary, attempt);
    }

    void deliver_next(std::deque<copy>& queue) {
        if (queue.empty()) return;
        happens(queue.front());
        queue.pop_front();
    }

    void deliver_any() {
        if (bag_.empty()) return;
        std::swap(chance_.pick(bag_), bag_.back());
        happens(bag_.back());
        bag_.pop_back();
    }

    random_source chance_;
    const story_options options_;
    story told_;
    std::vector<std::deque<copy>> queues_;
    std::vector<copy> bag_;
    std::int64_t now_ = 0;
};

/// What all customers do to: only what commutes, whatever the executions have seen.
void change_common(const request& r, const map_ref& common, random_source& draw, std::int64_t amount) {
    switch (draw.below(8)) {
        case 0: common.counter("sold").add(amount); break;
        case 1: common.add_wins_set("ids").add(r.id(static_cast<std::uint32_t>(draw.below(3)))); break;
        case 2: common.remove_wins_set("tags").add(std::string(1, static_cast<char>('x' + draw.below(3)))); break;
        case 3: common.enable_wins_flag("open").enable(); break;
        case 4: common.disable_wins_flag("known").enable(); break;
        case 5: {
            const auto order = common.map("orders").map(r.id());
            order.last_writer<std::string>("head").set(r.id(1) + " at " + std::to_string(r.time().count()));
            order.multi_value<std::string>("note").set(std::to_string(amount));
            order.counter("lines").add(amount);
            break;
        }
        case 6: common.bounded_counter("stock").add(draw.between(1, 5)); break;
        default: REQUIRE(common.bounded_counter("stock").spend(draw.between(1, 3))); break;
    }
}

/// Anything. Bounded counters are in what is common.
void change_own(const request& r, const map_ref& bucket, const std::string& name, random_source& draw, std::int64_t amount) {
    const auto own = bucket.map("ordered").map(name);
    const auto set_or_clear = [&](const auto& field) { draw.chance(70) ? field.set(r.id(0)) : field.clear(); };
    const auto flip = [&](const flag_ref& flag) { draw.chance(60) ? flag.enable() : flag.disable(); };
    const auto add_or_remove = [&](const set_ref& set) {
        const std::string element(1, static_cast<char>('x' + draw.below(3)));
        draw.chance(60) ? set.add(element) : set.remove(element);
    };
    const auto add_or_reset = [&](const counter_ref& counter) { draw.chance(75) ? counter.add(amount) : counter.reset(); };
    const auto inner = own.map("inner");
    switch (draw.below(12)) {
        case 0: add_or_reset(own.counter("n")); break;
        case 1: set_or_clear(own.last_writer<std::string>("l")); break;
        case 2: set_or_clear(own.multi_value<std::string>("m")); break;
        case 3: flip(own.enable_wins_flag("e")); break;
        case 4: flip(own.disable_wins_flag("d")); break;
        case 5: add_or_remove(own.add_wins_set("a")); break;
        case 6: add_or_remove(own.remove_wins_set("r")); break;
        case 7: add_or_reset(inner.counter("n")); break;
        case 8: set_or_clear(inner.last_writer<std::string>("l")); break;
        case 9: add_or_remove(inner.remove_wins_set("r")); break;
        case 10: draw.chance(50) ? inner.clear() : own.remove("r", field_type::remove_wins_set); break;
        default: draw.chance(30) ? bucket.map("ordered").remove(name, field_type::map) : add_or_reset(own.counter("n")); break;
    }
}

}  // namespace

story random_story(std::uint64_t seed, const story_options& options) { return teller(seed, options).tell(); }

std::string run_program(const request& r, const customer& by, transaction& tx, const program_options& options) {
    auto seed = r.rng()();
    if (options.branches) seed += static_cast<std::uint64_t>(tx.map("common").counter("sold").value().value()) % 3;
    random_source draw(seed);
    const auto amount = options.reads_its_clock ? static_cast<std::int64_t>(tx.at().value % 7) : draw.between(-3, 9);
    if (draw.chance(70)) change_common(r, tx.map("common"), draw, amount);
    if (by.kind == customer_kind::ordered) {
        const auto changes = 1 + draw.below(3);
        for (std::size_t i = 0; i < changes; ++i) change_own(r, tx, by.name, draw, amount);
        return {};
    }
    const auto shared = std::string(1, static_cast<char>('p' + draw.below(2)));
    const auto name = by.kind == customer_kind::loose ? by.name : shared;
    const auto where = tx.map(by.kind == customer_kind::loose ? "loose" : "contended");
    where.last_writer<std::string>(name).set(r.id());
    where.multi_value<std::string>(name).set(r.id());
    return name;
}

}  // namespace anabranch::test
