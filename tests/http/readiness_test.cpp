// When an instance may get requests.
#include <anabranch/http.hpp>

#include "support/catch.hpp"

using namespace anabranch;
using http::check_readiness;

namespace {

using reasons = std::vector<std::string_view>;

/// One that has been running beside its peers for a while.
constexpr http::instance_state healthy{.is_member = true, .has_caught_up = true, .connected_peers = 1, .live_peers = 1};

http::instance_state starting(std::uint64_t behind) {
    auto state = healthy;
    state.has_caught_up = false;
    state.live_peers = 0;
    state.behind = behind;
    return state;
}

peer_status peer(bool connected, session_phase phase, std::uint64_t to_receive) {
    peer_status made;
    made.connected = connected;
    made.phase = phase;
    made.totals.transactions_to_receive = to_receive;
    return made;
}

}  // namespace

TEST_CASE("an instance that runs beside its peers is ready") {
    const auto found = check_readiness(healthy);
    CHECK(found.is_ready());
    CHECK(found.status == 200);
    CHECK(found.body == "{\"ready\":true,\"reasons\":[],\"behind\":0}\n");
    CHECK(found.retry_after.count() == 0);
}

TEST_CASE("an instance that is cut off stays ready, also over a restart") {
    auto cut_off = healthy;
    cut_off.connected_peers = cut_off.live_peers = 0;
    CHECK(check_readiness(cut_off).is_ready());
    cut_off.has_caught_up = false;
    const auto restarted = check_readiness(cut_off);
    CHECK(restarted.is_ready());
    CHECK_FALSE(restarted.has_caught_up);  // it has not heard of what it lacks
    CHECK(check_readiness(cut_off, {.min_connected_peers = 1}).reasons == reasons{"too_few_peers"});
    cut_off.connected_peers = 1;
    CHECK(check_readiness(cut_off, {.min_connected_peers = 1}).is_ready());
}

TEST_CASE("draining, a disk that takes nothing and not being a member are reasons each") {
    auto state = healthy;
    state.is_draining = true;
    CHECK(check_readiness(state).reasons == reasons{"draining"});
    state = healthy;
    state.can_write = false;
    CHECK(check_readiness(state).reasons == reasons{"storage"});
    state = healthy;
    state.is_member = false;
    CHECK(check_readiness(state).reasons == reasons{"not_a_member"});
    CHECK(check_readiness(state, {.must_be_member = false}).is_ready());

    const auto all = check_readiness({.is_draining = true, .can_write = false, .behind = 1001}, {.min_connected_peers = 1});
    CHECK(all.reasons == reasons{"draining", "storage", "not_a_member", "behind", "too_few_peers"});
    CHECK(all.status == 503);
    CHECK(all.retry_after.count() == 1);
    CHECK(all.body == R"({"ready":false,"reasons":["draining","storage","not_a_member","behind","too_few_peers"],"behind":1001})"
                      "\n");
}

TEST_CASE("an instance that starts is not ready while it lacks much, and ready whatever it lacks once it has caught up") {
    CHECK(check_readiness(starting(1001)).reasons == reasons{"behind"});
    CHECK(check_readiness(starting(1000)).is_ready());
    CHECK(check_readiness(starting(11), {.max_behind = 10}).reasons == reasons{"behind"});

    CHECK_FALSE(check_readiness(starting(1001)).has_caught_up);
    CHECK_FALSE(check_readiness(starting(0)).has_caught_up);  // the peer has not said yet what it has
    auto state = starting(5);
    state.live_peers = 1;
    const auto met = check_readiness(state);
    REQUIRE(met.has_caught_up);
    state.has_caught_up = met.has_caught_up;
    state.behind = 1'000'000;  // a link that was cut for hours is back
    CHECK(check_readiness(state).is_ready());
    CHECK(check_readiness(state).has_caught_up);
    state.has_caught_up = false;
    CHECK_FALSE(check_readiness(state).has_caught_up);
}

TEST_CASE("whoever is no member has caught up with nothing") {
    auto state = starting(0);
    state.live_peers = 1;
    state.is_member = false;
    CHECK_FALSE(check_readiness(state).has_caught_up);
    CHECK(check_readiness(state, {.must_be_member = false}).has_caught_up);
}

TEST_CASE("readiness of a bucket and its peers") {
    auto store = anabranch::store::in_memory().value();
    CHECK(check_readiness(store.bucket("elsewhere").value(), {}, {}).reasons == reasons{"not_a_member"});
    const auto bucket = store.create_bucket("b").value();
    CHECK(check_readiness(bucket, {}, {}).is_ready());
    CHECK(check_readiness(bucket, {}, {.is_draining = true}).reasons == reasons{"draining"});

    // The peer that has the most counts, and what is left of a session that has ended does not.
    const std::vector peers{peer(true, session_phase::live, 3), peer(true, session_phase::catching_up, 2000),
                            peer(true, session_phase::live, 4), peer(false, session_phase::ended, 9000),
                            peer(false, session_phase::live, 9000)};
    const auto behind = check_readiness(bucket, peers, {});
    CHECK(behind.reasons == reasons{"behind"});
    CHECK(behind.body == "{\"ready\":false,\"reasons\":[\"behind\"],\"behind\":2000}\n");
    CHECK(check_readiness(bucket, peers, {.has_caught_up = true}).is_ready());
    CHECK(check_readiness(bucket, peers, {}, {.max_behind = 2000}).has_caught_up);
    CHECK(check_readiness(bucket, peers, {}, {.max_behind = 2000, .min_connected_peers = 3}).is_ready());
    CHECK(check_readiness(bucket, peers, {}, {.max_behind = 2000, .min_connected_peers = 4}).reasons == reasons{"too_few_peers"});

    const std::vector greeting{peer(true, session_phase::greeting, 0), peer(false, session_phase::live, 0)};
    CHECK_FALSE(check_readiness(bucket, greeting, {}).has_caught_up);
}
