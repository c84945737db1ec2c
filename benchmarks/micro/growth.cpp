// What one operation costs when what it is done to has grown: elements, history, replicas.
#include <benchmark/benchmark.h>

#include "measure/cost.hpp"
#include "micro/measurements.hpp"
#include "micro/objects.hpp"
#include "retail_reconnect/exchange.hpp"

namespace bench::micro {

namespace {

/// Takes an element away and adds it again, at places all over the set.
void toggle_by_elements(benchmark::State& state) {
    replica one;
    fill_set(one.bucket, state.range(0));
    std::int64_t i = 0;
    for (auto _ : state) {
        i = (i + 7'919) % state.range(0);
        const auto name = element(i);
        expect(one.bucket.commit([&](anabranch::transaction& tx) { tx.add_wins_set("set").remove(name); }));
        expect(one.bucket.commit([&](anabranch::transaction& tx) { tx.add_wins_set("set").add(name); }));
    }
    state.SetItemsProcessed(2 * state.iterations());
}

void contains_by_elements(benchmark::State& state) {
    replica one;
    fill_set(one.bucket, state.range(0));
    std::int64_t i = 0;
    for (auto _ : state) {
        i = (i + 7'919) % state.range(0);
        benchmark::DoNotOptimize(expect(one.bucket.read(
            [&](const anabranch::map_view& view) { return view.add_wins_set("set").contains(element(i)); })));
    }
    state.SetItemsProcessed(state.iterations());
}

/// After that many commits to the same thousand counters.
void add_by_history(benchmark::State& state) {
    replica one;
    std::int64_t i = 0;
    const auto add = [&] {
        const auto name = element(++i % 1'000);
        expect(one.bucket.commit([&](anabranch::transaction& tx) { tx.counter(name).add(1); }));
    };
    while (i < state.range(0)) add();
    for (auto _ : state) add();
    state.SetItemsProcessed(state.iterations());
}

/// To a counter that that many replicas have added to.
void add_by_replicas(benchmark::State& state) {
    replica one;
    const auto add = [](anabranch::bucket& bucket) {
        expect(bucket.commit([](anabranch::transaction& tx) { tx.counter("counter").add(1); }));
    };
    add(one.bucket);
    expect(one.store.sync());
    for (std::int64_t i = 1; i < state.range(0); ++i) {
        auto other = expect(anabranch::store::in_memory());
        auto bucket = expect(other.bucket("b"));
        retail::reconnect(one.store, other, {});
        add(bucket);
        retail::reconnect(one.store, other, {});
    }
    for (auto _ : state) add(one.bucket);
    state.SetItemsProcessed(state.iterations());
}

}  // namespace

void register_growth(std::int64_t most) {
    const auto by_size = [most](auto* made) { made->RangeMultiplier(10)->Range(10, most); };
    by_size(benchmark::RegisterBenchmark("growth/write-by-elements", toggle_by_elements));
    by_size(benchmark::RegisterBenchmark("growth/read-by-elements", contains_by_elements));
    by_size(benchmark::RegisterBenchmark("growth/write-by-history", add_by_history));
    benchmark::RegisterBenchmark("growth/write-by-replicas", add_by_replicas)->Arg(2)->Arg(10)->Arg(50)->Arg(100);
}

}  // namespace bench::micro
