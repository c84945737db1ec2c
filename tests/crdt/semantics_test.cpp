#include "crdt/history.hpp"
#include "support/catch_property.hpp"

using namespace anabranch;
using test::history;
using test::type;

namespace {

using steps = std::vector<history::step>;

constexpr std::pair<type, const char*> types[] = {{type::counter, "counter"},
                                                  {type::last_writer, "last-writer register"},
                                                  {type::multi_value, "multi-value register"},
                                                  {type::add_wins, "add-wins element and enable-wins flag"},
                                                  {type::remove_wins, "remove-wins element and disable-wins flag"},
                                                  {type::bounded, "bounded counter"}};

template <class Property>
void for_every_type(const std::string& what, Property property) {
    for (const auto& [t, name] : types) {
        for (const std::size_t replicas : {2U, 3U}) {
            test::check_property(std::string(name) + ", " + std::to_string(replicas) + " replicas: " + what,
                                 [&, t = t](const steps& all) { property(history(t, replicas), all); });
        }
    }
}

}  // namespace

TEST_CASE("a row shows what its specification demands, after every step") {
    for_every_type("value", [](history h, const steps& all) {
        for (const auto& s : all) {
            h.run(s);
            for (std::size_t r = 0; r < h.replicas(); ++r) RC_ASSERT(h.shown(r) == h.demanded(r));
        }
        RC_ASSERT(h.local_is_remote());
    });
}

TEST_CASE("replicas that have the same transactions are the same, whatever the order") {
    for_every_type("convergence", [](history h, const steps& all) {
        for (const auto& s : all) h.run(s);
        h.deliver_all();
        for (std::size_t r = 0; r < h.replicas(); ++r) {
            RC_ASSERT(h.shown(r) == h.demanded(r));
            RC_ASSERT(h.shown(r) == h.shown(0));
            RC_ASSERT(h.fingerprint(r) == h.fingerprint(0));
        }
    });
}

TEST_CASE("concurrent transactions commute") {
    for_every_type("commutativity", [](history h, const steps& all) {
        for (const auto& s : all) {
            h.run(s);
            if (h.transactions() > 25) break;
            for (std::size_t r = 0; r < h.replicas(); ++r) RC_ASSERT(h.commutes(r));
        }
    });
}

TEST_CASE("a transaction that comes again changes nothing") {
    for_every_type("idempotence", [](history h, const steps& all) {
        for (const auto& s : all) h.run(s);
        for (std::size_t r = 0; r < h.replicas(); ++r) {
            RC_ASSERT(h.duplicates_change_nothing(r));
        }
    });
}

TEST_CASE("forgetting what is stable changes nothing, then or later") {
    std::size_t prunings = 0;
    for_every_type("pruning", [&](history h, const steps& all) {
        history same(h.tested(), h.replicas());  // and never forgets
        const auto check = [&](std::size_t r) {
            RC_ASSERT(h.shown(r) == same.shown(r));
            RC_ASSERT(h.shown(r) == h.demanded(r));
            RC_ASSERT(h.fingerprint(r) == same.fingerprint(r));
        };
        for (const auto& s : all) {
            h.run(s);
            same.run(s);
            for (std::size_t r = 0; r < h.replicas(); ++r) {
                // Not all at once: who has forgotten something meets others that have not.
                if ((std::get<1>(s) / 4 + r) % 2 == 0 && h.prune(r)) {
                    ++prunings;
                    RC_ASSERT(!h.has_leftovers(r));
                }
                check(r);
            }
        }
        h.deliver_all();
        same.deliver_all();
        for (std::size_t r = 0; r < h.replicas(); ++r) {
            RC_ASSERT(h.prune(r));
            check(r);
            RC_ASSERT(h.fingerprint(r) == h.fingerprint(0));
        }
    });
    CHECK(prunings > 1'000);  // or nothing of this was tried
}

TEST_CASE("rows that are ahead of the watermark are the same after replay") {
    for_every_type("replay", [](history h, const steps& all) {
        for (const auto& s : all) h.run(s);
        for (std::size_t r = 0; r < h.replicas(); ++r) {
            const auto before = h.fingerprint(r);
            for (std::size_t from = 0; from < h.transactions(); from += 3) {
                h.replay(r, from);
                RC_ASSERT(h.fingerprint(r) == before);
                RC_ASSERT(h.shown(r) == h.demanded(r));
            }
        }
    });
}

TEST_CASE("after a replay a history goes on as it would have without") {
    for_every_type("replay in the middle", [](history h, const steps& all) {
        for (const auto& s : all) {
            h.run(s);
            const auto [who, what, how] = s;
            if (what % 7 == 0) h.replay(who % h.replicas(), how % 10);
            for (std::size_t r = 0; r < h.replicas(); ++r) RC_ASSERT(h.shown(r) == h.demanded(r));
        }
        h.deliver_all();
        for (std::size_t r = 0; r < h.replicas(); ++r) {
            RC_ASSERT(h.shown(r) == h.demanded(r));
            RC_ASSERT(h.fingerprint(r) == h.fingerprint(0));
        }
    });
}
