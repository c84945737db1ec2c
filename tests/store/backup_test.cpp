// Copies of a replica: restored backups, cloned disks, older states put back. None issues a dot again.
#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "store/bucket_state.hpp"
#include "store/store_state.hpp"
#include "store/stores.hpp"
#include "support/catch.hpp"
#include "support/crashable_engine.hpp"
#include "support/simulated_host.hpp"

using namespace anabranch;
using test::add;
using test::count;
using test::talk;
namespace fs = std::filesystem;

namespace {

std::optional<member_stage> stage_of(const bucket& at, const replica_id& id) {
    for (const auto& m : at.members()) {
        if (m.id == id) return m.stage;
    }
    return std::nullopt;
}

/// A founder in memory, and a member in a directory.
struct pair_of_stores {
    pair_of_stores() : options(test::options(world)), ada(test::memory_store(world)), a(ada.create_bucket("b").value()) {
        auto bob = open(live());
        CHECK_FALSE(talk(ada, bob).one);
        REQUIRE(add(bob.bucket("b").value(), 1) == errc{});
    }

    fs::path live() const { return directory.path() / "live"; }
    store open(const fs::path& at) const {
        auto s = store::open(at, options).value();
        REQUIRE(s.bucket("b"));
        return s;
    }
    /// It, and a copy of its directory. Nothing tells them apart: there is no host file.
    std::pair<store, store> clone() const {
        const auto copy = directory.path() / "clone";
        fs::copy(live(), copy, fs::copy_options::recursive);
        return {open(live()), open(copy)};
    }
    void meet(store other) const {
        REQUIRE(ada.sync());
        REQUIRE(other.sync());
        const auto id = other.id();
        const auto ended = talk(ada, other);
        // Under another name it comes again.
        CHECK(ended.one.has_value() == (other.id() != id));
        CHECK(ended.other.has_value() == (other.id() != id));
    }

    test::temp_directory directory;
    std::shared_ptr<test::world> world = std::make_shared<test::world>();
    store_options options;
    mutable store ada;
    bucket a;
};

/// A host with its disk, in memory.
struct simulated_machine {
    std::shared_ptr<test::simulated_host> host = std::make_shared<test::simulated_host>();
    std::shared_ptr<test::simulated_disk> disk = std::make_shared<test::simulated_disk>();
    std::shared_ptr<test::world> world = std::make_shared<test::world>();

    result<store> open() const {
        return store::on(test::crashable_engine::open(disk).value(), std::make_unique<test::simulated_host_files>(host), test::options(world));
    }
    /// It dies there; of a write to the host's file so many bytes arrive.
    void open_until(const std::string& crash, std::size_t arrive) const {
        int writes = 0;
        host->arrives = [&](std::string_view content) {
            const bool dies = crash == (writes++ == 0 ? "host first" : "host second");
            return dies ? arrive : content.size();
        };
        if (crash == "write") disk->fail_write(errc::storage_failure);
        if (crash == "first sync") disk->fail_sync();
        if (crash == "sync") disk->fail_sync(1);
        if (crash == "last sync") disk->fail_sync(2);
        CHECK_FALSE(open());
        host->arrives = nullptr;
    }
};

}  // namespace

TEST_CASE("a restored backup goes on as a new incarnation, and gets its own past back") {
    pair_of_stores s;
    const auto backup = s.directory.path() / "backup";
    replica_id old;
    {
        auto bob = s.open(s.live());
        auto b = bob.bucket("b").value();
        old = bob.id();
        REQUIRE(add(b, 2) == errc{});
        REQUIRE(bob.backup(backup));
        REQUIRE(add(b, 4) == errc{});
        s.meet(bob);
        REQUIRE(add(b, 8) == errc{});  // and this one nobody gets
    }
    fs::remove_all(s.live());
    REQUIRE(store::restore(backup, s.live()));
    auto bob = s.open(s.live());
    auto b = bob.bucket("b").value();
    const auto id = bob.id();
    CHECK(id.value == old.value);
    CHECK(id.incarnation > old.incarnation);
    CHECK(count(b) == 3);
    CHECK(add(b, 16) == errc::not_a_member);
    s.meet(bob);
    CHECK(bob.id() == id);
    CHECK(count(b) == 7);
    for (int i = 0; i < 3; ++i) s.meet(bob);
    REQUIRE(b.commit([&](transaction& tx) {
        CHECK(tx.id().origin == id);
        tx.counter("c").add(16);
    }));
    s.meet(bob);
    CHECK(count(s.a) == 23);
    CHECK(b.digest().value() == s.a.digest().value());
    CHECK(stage_of(s.a, id) == member_stage::joined);
    CHECK(stage_of(s.a, old) == member_stage::retired);
}

TEST_CASE("of a backup that is restored twice each is a replica of its own, and both go on") {
    pair_of_stores s;
    const auto backup = s.directory.path() / "backup";
    REQUIRE(s.open(s.live()).backup(backup));
    REQUIRE(store::restore(backup, s.directory.path() / "one"));
    REQUIRE(store::restore(backup, s.directory.path() / "other"));
    const auto one = s.open(s.directory.path() / "one");
    const auto other = s.open(s.directory.path() / "other");
    CHECK(one.id() != other.id());
    // Opened again it is no copy any more.
    const auto id = one.id();
    REQUIRE(store::restore(backup, s.directory.path() / "third"));
    replica_id third;
    for (int i = 0; i < 3; ++i) {
        const auto again = s.open(s.directory.path() / "third");
        if (i > 0) CHECK(again.id() == third);
        third = again.id();
    }
    CHECK(third != id);
    // They meet, too: not as one replica that is connected to itself.
    CHECK_FALSE(talk(one, other).one);
}

TEST_CASE("the only member, restored, takes the place of what it was") {
    test::temp_directory directory;
    auto world = std::make_shared<test::world>();
    const auto options = test::options(world);
    replica_id old;
    {
        auto s = store::open(directory.path() / "one", options).value();
        old = s.id();
        auto b = s.create_bucket("b").value();
        REQUIRE(add(b, 1) == errc{});
        REQUIRE(s.backup(directory.path() / "backup"));
        REQUIRE(add(b, 2) == errc{});
    }
    REQUIRE(store::restore(directory.path() / "backup", directory.path() / "other"));
    auto s = store::open(directory.path() / "other", options).value();
    auto b = s.bucket("b").value();
    CHECK(add(b) == errc::not_a_member);
    REQUIRE(b.take_authority());
    CHECK(b.is_member());
    CHECK(b.authority() == s.id());
    CHECK(add(b, 4) == errc{});
    for (int i = 0; i < 3; ++i) REQUIRE(s.sync());
    CHECK(stage_of(b, old) == member_stage::retired);
    // And lets others in.
    auto newcomer = test::memory_store(world);
    auto n = newcomer.bucket("b").value();
    CHECK_FALSE(talk(s, newcomer).one);
    CHECK(add(n, 8) == errc{});
    REQUIRE(newcomer.sync());
    CHECK_FALSE(talk(s, newcomer).one);
    CHECK(count(b) == 13);
    CHECK(n.digest().value() == b.digest().value());
}

TEST_CASE("when all members are restored, one takes the authority and lets the others in") {
    pair_of_stores s;
    const auto& dir = s.directory.path();
    auto cara = s.open(dir / "cara");
    s.meet(cara);
    s.meet(s.open(s.live()));
    REQUIRE(add(cara.bucket("b").value(), 2) == errc{});
    REQUIRE(s.open(s.live()).backup(dir / "bob"));
    REQUIRE(cara.backup(dir / "backup"));
    REQUIRE(store::restore(dir / "bob", dir / "one"));
    REQUIRE(store::restore(dir / "backup", dir / "other"));
    auto one = s.open(dir / "one");
    auto other = s.open(dir / "other");
    auto o = one.bucket("b").value();
    auto p = other.bucket("b").value();
    CHECK_FALSE(talk(one, other).one);
    CHECK(o.digest().value() == p.digest().value());
    CHECK(add(o) == errc::not_a_member);
    REQUIRE(o.take_authority());
    REQUIRE(one.sync());
    for (int i = 0; i < 3; ++i) CHECK_FALSE(talk(one, other).one);
    CHECK(add(o, 4) == errc{});
    CHECK(add(p, 8) == errc{});
    REQUIRE(one.sync());
    REQUIRE(other.sync());
    CHECK_FALSE(talk(one, other).one);
    CHECK(count(o) == 15);
    CHECK(o.digest().value() == p.digest().value());
}

TEST_CASE("nobody takes a place that is not its own") {
    auto world = std::make_shared<test::world>();
    auto ada = test::memory_store(world);
    auto a = ada.create_bucket("b").value();
    REQUIRE(ada.sync());
    auto bob = test::memory_store(world);
    auto b = bob.bucket("b").value();
    REQUIRE(test::transfer(a, b));
    CHECK(b.take_authority().error().code == errc::not_a_member);
    CHECK(a.authority() == ada.id());
}

TEST_CASE("a backup is made while commits go on") {
    pair_of_stores s;
    auto bob = s.open(s.live());
    auto b = bob.bucket("b").value();
    std::atomic<std::int64_t> committed = 0;
    std::atomic<bool> has_failed = false;
    // Only one thread may check anything.
    std::jthread writer([&](const std::stop_token& stop) {
        while (!stop.stop_requested() && !has_failed) {
            has_failed = add(b) != errc{};
            if (!has_failed) ++committed;
        }
    });
    const auto begun_at = count(b) - committed;
    for (int i = 0; i < 5; ++i) {
        const auto before = committed.load();
        while (committed < before + 20 && !has_failed) std::this_thread::yield();
        const auto name = std::to_string(i);
        const auto least = committed.load();
        REQUIRE(bob.backup(s.directory.path() / name));
        const auto most = committed + 1;
        REQUIRE(store::restore(s.directory.path() / name, s.directory.path() / ("r" + name)));
        const auto copy = s.open(s.directory.path() / ("r" + name)).bucket("b").value();
        CHECK(count(copy) - begun_at >= least - 1);
        CHECK(count(copy) - begun_at <= most + 1);
    }
    writer.request_stop();
    writer.join();
    CHECK_FALSE(has_failed);
}

TEST_CASE("what is kept in memory has no backup") {
    CHECK(test::memory_store().backup("/nowhere").error().code == errc::invalid_argument);
}

TEST_CASE("a store stays who it is on its host, and a copy of it does not") {
    pair_of_stores s;
    s.options.host_directory = s.directory.path() / "host";
    const auto id = s.open(s.live()).id();  // from before there was a host file
    for (int i = 0; i < 3; ++i) CHECK(s.open(s.live()).id() == id);
    CHECK(fs::exists(s.options.host_directory / to_string(id)));
    const auto older = s.directory.path() / "older";
    fs::copy(s.live(), older, fs::copy_options::recursive);
    CHECK(s.open(s.live()).id() == id);

    SECTION("an older state is put back") {
        fs::remove_all(s.live());
        fs::rename(older, s.live());
        const auto next = s.open(s.live()).id();
        CHECK(next > id);
        CHECK(s.open(s.live()).id() == next);
    }
    SECTION("it is opened on another host") {
        s.options.host_directory = s.directory.path() / "other";
        const auto next = s.open(older).id();
        CHECK(next > id);
        CHECK(s.open(older).id() == next);
        s.options.host_directory = s.directory.path() / "host";
        CHECK(s.open(s.live()).id() == id);
    }
    SECTION("it is opened on the same host while the original runs") {
        const auto original = s.open(s.live());
        const auto copied = s.directory.path() / "copied";
        fs::copy(s.live(), copied, fs::copy_options::recursive);
        const auto next = s.open(copied).id();
        CHECK(next > id);
        CHECK(s.open(copied).id() == next);
        CHECK(original.id() == id);
    }
    SECTION("and the original stays who it is after that") {
        {
            const auto original = s.open(s.live());
            CHECK(s.open(older).id() > id);
        }
        CHECK(s.open(s.live()).id() == id);
    }
    SECTION("it is opened on the same host while the original is closed") {
        CHECK(s.open(older).id() > id);
        CHECK(s.open(s.live()).id() == id);
    }
    SECTION("of two that are equal the first to be opened stays who it is") {
        const auto equal = s.directory.path() / "equal";
        fs::copy(s.live(), equal, fs::copy_options::recursive);
        CHECK(s.open(equal).id() == id);
        CHECK(s.open(s.live()).id() > id);
        CHECK(s.open(equal).id() == id);
    }
    SECTION("the host's file is lost") {
        fs::remove_all(s.options.host_directory);
        CHECK(s.open(s.live()).id() > id);
    }
    SECTION("the disk is lost") {
        fs::remove_all(s.live());
        const auto next = s.open(s.live()).id();
        CHECK(next.value != id.value);
        CHECK(next.incarnation == 1);
    }
    SECTION("the store is restored on its own host") {
        REQUIRE(s.open(s.live()).backup(s.directory.path() / "backup"));
        fs::remove_all(s.live());
        REQUIRE(store::restore(s.directory.path() / "backup", s.live()));
        const auto next = s.open(s.live()).id();
        CHECK(next > id);
        CHECK(s.open(s.live()).id() == next);
    }
}

TEST_CASE("data that once had a token are not taken for data from before there were any") {
    simulated_machine m;
    const auto before = [&] {
        REQUIRE(store::on(test::crashable_engine::open(m.disk).value(), test::options(m.world)));
        return m.disk->copy();
    }();
    const auto id = m.open()->id();
    m.disk = before;
    CHECK(m.open()->id() > id);
}

TEST_CASE("crashes while a store is opened lose nothing, and are no false alarm") {
    const auto places = {"host first", "host second", "write", "first sync", "sync", "last sync"};
    const auto first = GENERATE(as<std::string>{}, "host first", "host second", "write", "first sync", "sync", "last sync");
    // Of a write to the host's file: none, and what may cut a token in two.
    const auto arrive = GENERATE(as<std::size_t>{}, 0, 1, 20, 49, 60);
    for (const auto* second : places) {
        for (const bool is_power_kept : {true, false}) {
            INFO(first << ", then " << second << ", " << arrive << " bytes, power kept: " << is_power_kept);
            simulated_machine m;
            const auto id = m.open()->id();
            const auto before = m.disk->copy();
            m.open_until(first, arrive);
            m.open_until(second, arrive);
            m.disk->lose_power(is_power_kept ? m.disk->pending() : 0);
            const auto after = m.disk->copy();
            CHECK(m.open()->id() == id);
            for (const auto& older : {before, after}) {
                m.disk = older;
                CHECK(m.open()->id() > id);
            }
        }
    }
}

TEST_CASE("a crash while a copy becomes a new incarnation leaves a copy, or that incarnation") {
    const bool is_power_kept = GENERATE(true, false);
    const auto crash = GENERATE(as<std::string>{}, "host first", "host second", "write", "first sync", "sync", "last sync");
    simulated_machine m;
    const auto id = m.open()->id();
    const auto older = m.disk->copy();
    REQUIRE(m.open());
    m.disk = older;
    m.open_until(crash, 20);
    m.disk->lose_power(is_power_kept ? m.disk->pending() : 0);
    const auto next = m.open()->id();
    CHECK(next > id);
    CHECK(m.open()->id() == next);
}

TEST_CASE("two clones that both write: who meets both is told, and takes nothing of the second") {
    pair_of_stores s;
    s.meet(s.open(s.live()));
    auto [one, other] = s.clone();
    REQUIRE(one.id() == other.id());
    const bool is_longer = GENERATE(true, false);
    auto o = other.bucket("b").value();
    REQUIRE(add(one.bucket("b").value(), 10) == errc{});
    REQUIRE(add(o, 100) == errc{});
    if (is_longer) REQUIRE(add(o, 1000) == errc{});
    s.meet(one);
    const auto digest = s.a.digest().value();
    const auto progress = s.a.progress();
    const auto forked = o.digest().value();
    REQUIRE(other.sync());
    const auto ended = talk(s.ada, other);
    REQUIRE(ended.one);
    REQUIRE(ended.other);
    CHECK((ended.one->code == errc::diverged || ended.other->code == errc::diverged));
    const auto& told = ended.one->code == errc::diverged ? *ended.one : *ended.other;
    CHECK(told.message.find(to_string(one.id())) != std::string::npos);
    CHECK(told.message.find("\"b\"") != std::string::npos);
    CHECK(s.a.digest().value() == digest);
    CHECK(s.a.progress() == progress);
    CHECK(o.digest().value() == forked);
    CHECK(other.id() == one.id());
    // The one that was first goes on with everybody.
    REQUIRE(add(one.bucket("b").value(), 10) == errc{});
    s.meet(one);
    CHECK(s.a.digest().value() == one.bucket("b").value().digest().value());
}

TEST_CASE("who has met one of two clones is told by who has met the other, and both stay as they are") {
    pair_of_stores s;
    auto cara = test::memory_store(s.world);
    auto c = cara.bucket("b").value();
    s.meet(s.open(s.live()));
    s.meet(cara);
    auto [one, other] = s.clone();
    REQUIRE(add(one.bucket("b").value(), 10) == errc{});
    REQUIRE(add(other.bucket("b").value(), 100) == errc{});
    s.meet(one);
    REQUIRE(other.sync());
    REQUIRE(cara.sync());
    CHECK_FALSE(talk(cara, other).one);
    CHECK(count(c) - count(s.a) == 90);
    const auto digests = std::pair(s.a.digest().value(), c.digest().value());
    REQUIRE(s.ada.sync());
    REQUIRE(cara.sync());
    const auto ended = talk(s.ada, cara);
    REQUIRE(ended.one);
    CHECK((ended.one->code == errc::diverged || ended.other->code == errc::diverged));
    CHECK(std::pair(s.a.digest().value(), c.digest().value()) == digests);
    CHECK(add(s.a) == errc{});
    CHECK(add(c) == errc{});
}

TEST_CASE("two clones of which one has written less hear of each other's work before they write the same dot") {
    pair_of_stores s;
    s.meet(s.open(s.live()));
    auto [one, other] = s.clone();
    REQUIRE(add(one.bucket("b").value(), 10) == errc{});
    s.meet(one);
    const auto id = one.id();
    s.meet(other);
    CHECK(other.id() > id);
    CHECK(one.id() == id);
    CHECK(count(other.bucket("b").value()) == count(s.a));
    CHECK_FALSE(talk(one, other).one);
}
