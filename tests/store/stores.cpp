#include "store/stores.hpp"

#include <stdlib.h>

#include <anabranch/session.hpp>
#include <tuple>

#include "storage/memory/memory_engine.hpp"
#include "store/bucket_state.hpp"
#include "store/store_state.hpp"
#include "support/catch.hpp"

namespace anabranch::test {
namespace {

using storage::space;

class watched_cursor final : public storage::cursor {
  public:
    watched_cursor(std::shared_ptr<engine_use> use, std::unique_ptr<cursor> inner) : use_(std::move(use)), inner_(std::move(inner)) {}
    bool valid() const override { return inner_->valid(); }
    std::string_view key() const override { return inner_->key(); }
    std::string_view value() const override { return inner_->value(); }
    void next() override {
        ++use_->steps;
        inner_->next();
    }
    void seek(std::string_view key) override {
        ++use_->steps;
        inner_->seek(key);
    }
    result<void> status() const override { return inner_->status(); }

  private:
    std::shared_ptr<engine_use> use_;
    std::unique_ptr<cursor> inner_;
};

class watched final : public storage::engine {
  public:
    watched(std::shared_ptr<engine_use> use, std::unique_ptr<engine> inner) : use_(std::move(use)), inner_(std::move(inner)) {}
    result<std::optional<std::string>> get(space where, std::string_view key, const storage::snapshot* at) const override {
        ++use_->gets;
        return inner_->get(where, key, at);
    }
    std::unique_ptr<storage::cursor> scan(space where, std::string_view from, const storage::snapshot* at) const override {
        ++use_->scans;
        if (const auto called = use_->on_scan) called();
        return std::make_unique<watched_cursor>(use_, inner_->scan(where, from, at));
    }
    result<std::optional<std::pair<std::string, std::string>>> last(space where, std::string_view key) const override {
        ++use_->gets;
        return inner_->last(where, key);
    }
    std::unique_ptr<storage::snapshot> take_snapshot() const override { return inner_->take_snapshot(); }
    result<void> write(const storage::batch& changes) override {
        if (use_->is_full || use_->writes_left == 0) return fail(errc::storage_full, "no space left (test)");
        ++use_->writes;
        --use_->writes_left;
        use_->changes += changes.changes().size();
        for (const auto& c : changes.changes()) {
            if (c.where == space::log) use_->log_bytes += c.value.size();
        }
        return inner_->write(changes);
    }
    result<void> sync() override {
        if (use_->is_full) return fail(errc::storage_full, "no space left (test)");
        ++use_->syncs;
        return inner_->sync();
    }

  private:
    std::shared_ptr<engine_use> use_;
    std::unique_ptr<engine> inner_;
};

}  // namespace

errc add(bucket at, std::int64_t amount) {
    const auto done = at.commit([&](transaction& tx) { tx.counter("c").add(amount); });
    return done ? errc{} : done.error().code;
}

std::int64_t count(const bucket& at) {
    return at.read([](const map_view& m) { return m.counter("c").value(); }).value();
}

result<oplog::applied> transfer(const bucket& from, const bucket& to) {
    detail::positions after;
    for (const auto& entry : to.progress()) after[entry.origin] = entry.sequence;
    auto chunk = from.state()->read_log(after, {UINT64_MAX}, {});
    if (!chunk) return fail(chunk.error());
    replica_id source;
    for (const auto& m : from.members()) {
        if (m.is_self) source = m.id;
    }
    return to.state()->apply(*chunk, {UINT64_MAX}, source);
}

void exchange(store& a, store& b, std::string_view bucket) {
    for (auto* s : {&a, &b}) REQUIRE(s->sync());
    REQUIRE(transfer(a.bucket(bucket).value(), b.bucket(bucket).value()));
    REQUIRE(transfer(b.bucket(bucket).value(), a.bucket(bucket).value()));
}

void share(store& founder, std::initializer_list<store*> others, std::string_view name) {
    const auto first = founder.create_bucket(name).value();
    for (auto* joiner : others) {
        REQUIRE(joiner->bucket(name));
        REQUIRE(first.state()->sponsor(joiner->id()));
    }
    REQUIRE(founder.sync());
    for (auto* joiner : others) {
        REQUIRE(transfer(first, joiner->bucket(name).value()));
        REQUIRE(joiner->bucket(name)->is_member());
    }
}

void advertise(const store& from, const store& to, std::string_view bucket) {
    detail::positions has;
    if (from.state()->find_bucket(bucket)->holds_unread_records()) return;  // as in a session
    for (const auto& entry : from.state()->find_bucket(bucket)->durable_progress()) has[entry.origin] = entry.sequence;
    to.state()->find_bucket(bucket)->learn(from.id(), has);
}

void meet(std::initializer_list<store*> all, std::string_view name) {
    // What one does for the others is a transaction that they have to get, and answer.
    for (int round = 0; round < 4; ++round) {
        for (auto* s : all) {
            for (int i = 0; i < 2; ++i) REQUIRE(s->sync());
        }
        for (auto* from : all) {
            for (auto* to : all) {
                if (from == to) continue;
                REQUIRE(transfer(bucket(from->state()->find_bucket(name)), bucket(to->state()->find_bucket(name))));
                REQUIRE(to->sync());
                advertise(*to, *from, name);
            }
        }
    }
    for (auto* s : all) {
        REQUIRE(s->sync());
        CHECK_FALSE(s->state()->has_duties());
    }
}

std::vector<feed_step> pull_all(feed& f) {
    std::vector<feed_step> all;
    while (true) {
        auto batch = f.pull();
        REQUIRE(batch);
        for (auto& step : batch->steps) all.push_back(std::move(step));
        if (!batch->more) return all;
    }
}

ending talk(const store& one, const store& other) {
    steady_time now{0};
    session a(one, {}, now);
    session b(other, {}, now);
    for (int seconds = 0; seconds < 4; ++seconds) {
        int turns = 0;
        for (bool is_quiet = false; !is_quiet;) {
            is_quiet = true;
            REQUIRE(++turns < 1'000);  // they never come to an end
            for (auto [mine, theirs, s] : {std::tuple(&a, &b, one), std::tuple(&b, &a, other)}) {
                if (mine->wants_sync()) {
                    REQUIRE(s.sync());
                    mine->poll(now);
                    is_quiet = false;
                }
                const auto bytes = mine->take_output();
                if (bytes.empty()) continue;
                theirs->receive(bytes, now);
                is_quiet = false;
            }
        }
        now += std::chrono::seconds{1};
        a.poll(now);
        b.poll(now);
    }
    return {a.failure(), b.failure(), a.progress().bytes_sent + b.progress().bytes_sent};
}

namespace {

template <class Predicate>
std::size_t count_keys(const store& s, space where, Predicate predicate) {
    std::size_t n = 0;
    for (auto at = s.state()->engine().scan(where, {}); at->valid(); at->next()) n += predicate(at->key());
    return n;
}
bool is_leftover(std::string_view key) { return (static_cast<unsigned char>(key[0]) & 0x80) != 0; }
bool is_of_journal(std::string_view key) { return (static_cast<unsigned char>(key[0]) & 0x04) != 0; }

}  // namespace

std::size_t log_keys(const store& s) {
    return count_keys(s, space::log, [](std::string_view) { return true; });
}
std::size_t row_keys(const store& s) {
    return count_keys(s, space::rows, [](std::string_view key) { return !is_leftover(key) && !is_of_journal(key); });
}
std::size_t leftover_keys(const store& s) { return count_keys(s, space::rows, is_leftover); }

temp_directory::temp_directory() {
    auto pattern = (std::filesystem::temp_directory_path() / "anabranch-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) FAIL("no directory for temporary files");
    path_ = pattern;
}
temp_directory::~temp_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::unique_ptr<storage::engine> watched_engine(std::shared_ptr<engine_use> use, std::unique_ptr<storage::engine> engine) {
    return std::make_unique<watched>(std::move(use), engine ? std::move(engine) : storage::open_memory());
}

}  // namespace anabranch::test
