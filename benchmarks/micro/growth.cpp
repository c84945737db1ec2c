// What one operation costs when what it is done to has grown: elements, history, replicas.
//
// Elements are taken in two ways. The same ten again and again: what a larger object costs by itself. At random: then ever
// fewer are in the processor's caches and among the rows that the store keeps in memory, as in use. What of that is the
// hardware says a plain hash table of the same keys; what it is not to be among those rows, reading from a snapshot, which
// always asks the storage engine.
#include <benchmark/benchmark.h>

#include <unordered_map>

#include "micro/measurements.hpp"
#include "micro/objects.hpp"
#include "retail_reconnect/exchange.hpp"
#include "retail_reconnect/workload.hpp"

namespace bench::micro {

namespace {

enum class choice { same_ten, random };

/// Numbers of elements.
class chooser {
  public:
    chooser(choice how, std::int64_t elements) : how_(how), elements_(static_cast<std::uint64_t>(elements)) {}
    std::uint64_t next() {
        if (how_ == choice::random) return random_.next() % elements_;
        turn_ = (turn_ + 1) % 10;
        return turn_ * (elements_ / 10);
    }

  private:
    choice how_;
    std::uint64_t elements_;
    std::uint64_t turn_ = 0;
    retail::splitmix64 random_{1};
};

/// Takes an element away and adds it again.
void write_by_elements(benchmark::State& state, workshop& shop, choice how) {
    auto& one = shop.with_set(state.range(0));
    chooser choose(how, state.range(0));
    for (auto _ : state) {
        const auto name = element(choose.next());
        expect(one.bucket.commit([&](anabranch::transaction& tx) { tx.add_wins_set("set").remove(name); }));
        expect(one.bucket.commit([&](anabranch::transaction& tx) { tx.add_wins_set("set").add(name); }));
    }
    state.SetItemsProcessed(2 * state.iterations());
}

void read_by_elements(benchmark::State& state, workshop& shop, choice how) {
    auto& one = shop.with_set(state.range(0));
    chooser choose(how, state.range(0));
    for (auto _ : state) {
        const auto name = element(choose.next());
        benchmark::DoNotOptimize(expect(one.bucket.read(
            [&](const anabranch::map_view& view) { return view.add_wins_set("set").contains(name); })));
    }
}

void snapshot_by_elements(benchmark::State& state, workshop& shop, choice how) {
    auto& one = shop.with_set(state.range(0));
    const auto snapshot = expect(one.bucket.snapshot());
    const auto set = snapshot.add_wins_set("set");
    chooser choose(how, state.range(0));
    for (auto _ : state) benchmark::DoNotOptimize(expect(set.contains(element(choose.next()))));
}

/// The hardware's part: no structure with strings for keys does with much less.
void hash_table_by_elements(benchmark::State& state) {
    static std::unordered_map<std::string, std::uint64_t> table;
    const auto elements = static_cast<std::uint64_t>(state.range(0));
    if (table.size() != elements) {
        table.clear();
        for (std::uint64_t i = 0; i < elements; ++i) table[element(i)] = i;
    }
    chooser choose(choice::random, state.range(0));
    for (auto _ : state) benchmark::DoNotOptimize(table.find(element(choose.next()))->second);
}

void add(anabranch::bucket& bucket, const std::string& counter) {
    expect(bucket.commit([&](anabranch::transaction& tx) { tx.counter(counter).add(1); }));
}

/// After at least that many commits to the same thousand counters. All are in the log: nobody else has them.
void write_by_history(benchmark::State& state, workshop& shop) {
    std::uint64_t i = 0;
    auto& one = shop.keep("history", state.range(0), [&](replica& made) {
        while (i < static_cast<std::uint64_t>(state.range(0))) add(made.bucket, element(++i % 1'000));
    });
    for (auto _ : state) add(one.bucket, element(++i % 1'000));
}

/// A counter that that many replicas have added to.
replica& counter_of(workshop& shop, std::int64_t replicas) {
    return shop.keep("counter", replicas, [replicas](replica& made) {
        add(made.bucket, "counter");
        expect(made.store.sync());
        for (std::int64_t i = 1; i < replicas; ++i) {
            auto other = expect(anabranch::store::in_memory());
            auto bucket = expect(other.bucket("b"));
            retail::reconnect(made.store, other, {});
            add(bucket, "counter");
            retail::reconnect(made.store, other, {});
        }
    });
}

void write_by_replicas(benchmark::State& state, workshop& shop) {
    auto& one = counter_of(shop, state.range(0));
    for (auto _ : state) add(one.bucket, "counter");
}

void read_by_replicas(benchmark::State& state, workshop& shop) {
    auto& one = counter_of(shop, state.range(0));
    for (auto _ : state) {
        benchmark::DoNotOptimize(
            expect(one.bucket.read([](const anabranch::map_view& view) { return view.counter("counter").value(); })));
    }
}

}  // namespace

void register_growth(workshop& shop, std::int64_t most) {
    // Size by size, so that each object is made once.
    for (std::int64_t size = 10; size <= most; size *= 10) {
        const auto by_elements = [&](const char* name, auto function, choice how) {
            benchmark::RegisterBenchmark(name, [&shop, function, how](auto& state) { function(state, shop, how); })->Arg(size);
        };
        by_elements("growth/write-same-by-elements", write_by_elements, choice::same_ten);
        by_elements("growth/write-random-by-elements", write_by_elements, choice::random);
        by_elements("growth/read-same-by-elements", read_by_elements, choice::same_ten);
        by_elements("growth/read-random-by-elements", read_by_elements, choice::random);
        by_elements("growth/snapshot-same-by-elements", snapshot_by_elements, choice::same_ten);
        by_elements("growth/snapshot-random-by-elements", snapshot_by_elements, choice::random);
    }
    if (!shop.is_in_memory()) return;
    for (std::int64_t size = 10; size <= most; size *= 10) {
        benchmark::RegisterBenchmark("growth/hash-table-by-elements", hash_table_by_elements)->Arg(size);
    }
    for (std::int64_t size = 10; size <= most; size *= 10) {
        benchmark::RegisterBenchmark("growth/write-by-history", [&shop](auto& state) { write_by_history(state, shop); })
            ->Arg(size);
    }
    for (const std::int64_t size : {2, 10, 50, 100}) {
        benchmark::RegisterBenchmark("growth/write-by-replicas", [&shop](auto& state) { write_by_replicas(state, shop); })
            ->Arg(size);
        benchmark::RegisterBenchmark("growth/read-by-replicas", [&shop](auto& state) { read_by_replicas(state, shop); })
            ->Arg(size);
    }
}

}  // namespace bench::micro
