#include "metamorphic/telling.hpp"

#include "store/bucket_state.hpp"
#include "store/store_state.hpp"
#include "store/stores.hpp"
#include "support/catch.hpp"

namespace anabranch::test {
namespace {

constexpr std::int64_t beginning = 1'700'000'000'000;

class stage {
  public:
    stage(const story& s, const telling& how) : story_(s), how_(how) {
        for (std::size_t i = 0; i < replica_count; ++i) stores_.push_back(store::in_memory(options_of(i)).value());
        share(stores_[0], {&stores_[1], &stores_[2]});
        const auto filled = on(0).commit([&](transaction& tx) -> result<void> {
            const auto stock = tx.map("common").bounded_counter("stock");
            stock.add(30'000);
            for (std::size_t i = 1; i < replica_count; ++i) REQUIRE(stock.transfer(stores_[i].id(), 10'000));
            return {};
        });
        REQUIRE(filled);
        for (std::size_t i = 1; i < replica_count; ++i) exchange(stores_[0], stores_[i]);
    }

    outcome perform() {
        for (const auto& e : story_.events) {
            *now_ = how_.does_time_pass ? e.at : 0;
            if (const auto* c = std::get_if<copy>(&e.what)) {
                if (how_.has_copies || c->is_first()) execute(*c);
            } else {
                const auto& v = std::get<visit>(e.what);
                exchange(stores_[v.one], stores_[v.other]);
            }
        }
        meet_all();
        outcome_.shown = shown(on(0));
        check_agreement();
        forget();
        check_agreement();
        return std::move(outcome_);
    }

  private:
    store_options options_of(std::size_t replica) {
        store_options o;
        o.rights_window = std::chrono::milliseconds{0};  // there is enough everywhere
        o.env.now = [now = now_, skew = how_.skews[replica]] { return std::chrono::milliseconds{beginning + *now + skew}; };
        // Its id is what is drawn first.
        o.env.random = [state = std::uint64_t{how_.ranks[replica]}]() mutable { return std::exchange(state, state + 0x9e37'79b9'7f4a'7c00); };
        return o;
    }

    bucket on(std::size_t replica) { return stores_[replica].bucket("b").value(); }

    void execute(const copy& c) {
        const auto& told = story_.requests[c.request];
        const auto& by = story_.customers[told.by];
        const request r{.tenant = "shop",
                        .principal = by.name,
                        .key = told.key,
                        .issued = std::chrono::milliseconds{beginning + told.issued},
                        .role = c.role,
                        .attempt = c.attempt};
        const auto done = on(c.replica).commit(r, [&](transaction& tx) -> result<std::string> {
            const auto name = run_program(r, by, tx, how_.programs);
            if (!name.empty() && !times_[name].insert(tx.at()).second) outcome_.tied.insert(name);
            return r.id();
        });
        REQUIRE(done);
        CHECK(done->result == r.id());
        ++(done->is_repeat ? outcome_.repeats : outcome_.executions);
    }

    void meet_all() { meet({&stores_[0], &stores_[1], &stores_[2]}); }

    void check_agreement() {
        for (std::size_t i = 0; i < replica_count; ++i) {
            CHECK(difference(outcome_.shown, shown(on(i))) == shown_state{});
            CHECK(on(i).digest().value() == on(0).digest().value());
        }
    }

    void forget() {
        const auto is_over = [&] {
            for (const auto& s : stores_) {
                if (s.state()->find_bucket("b")->requests() > 0) return false;
            }
            return true;
        };
        for (int n = 0; n < 4 && !is_over(); ++n) {
            *now_ += 40 * 60'000;
            meet_all();
        }
        CHECK(is_over());
    }

    const story& story_;
    const telling& how_;
    std::shared_ptr<std::int64_t> now_ = std::make_shared<std::int64_t>(0);
    std::vector<store> stores_;
    std::map<std::string, std::set<timestamp>> times_;
    outcome outcome_;
};

}  // namespace

outcome tell(const story& s, const telling& how) { return stage(s, how).perform(); }

}  // namespace anabranch::test
