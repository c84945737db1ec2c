// Commit, read and scan, as a user calls them.
#include <benchmark/benchmark.h>

#include "micro/measurements.hpp"
#include "micro/objects.hpp"

namespace bench::micro {

namespace {

void commit_counter(benchmark::State& state, workshop& shop) {
    auto one = shop.make();
    for (auto _ : state) {
        expect(one.bucket.commit([](anabranch::transaction& tx) { tx.counter("counter").add(1); }));
    }
}

void commit_register(benchmark::State& state, workshop& shop) {
    auto one = shop.make();
    std::int64_t value = 0;
    for (auto _ : state) {
        expect(one.bucket.commit([&](anabranch::transaction& tx) {
            tx.last_writer<std::int64_t>("register").set(++value);
        }));
    }
}

void commit_set_add(benchmark::State& state, workshop& shop) {
    auto one = shop.make();
    std::uint64_t i = 0;
    for (auto _ : state) {
        expect(one.bucket.commit([&](anabranch::transaction& tx) { tx.add_wins_set("set").add(element(++i)); }));
    }
}

void read_counter(benchmark::State& state, workshop& shop) {
    auto one = shop.make();
    expect(one.bucket.commit([](anabranch::transaction& tx) { tx.counter("counter").add(1); }));
    for (auto _ : state) {
        benchmark::DoNotOptimize(
            expect(one.bucket.read([](const anabranch::map_view& view) { return view.counter("counter").value(); })));
    }
}

/// Of sets of any size, pages of a hundred elements.
void scan_page(benchmark::State& state, workshop& shop) {
    auto& one = shop.with_set(state.range(0));
    const anabranch::scan_range page{.after = element(static_cast<std::uint64_t>(state.range(0) / 2)), .limit = 100};
    for (auto _ : state) {
        benchmark::DoNotOptimize(expect(one.bucket.read(
            [&](const anabranch::map_view& view) { return view.add_wins_set("set").elements(page); })));
    }
}

void digest(benchmark::State& state, workshop& shop) {
    auto& one = shop.with_set(state.range(0));
    for (auto _ : state) benchmark::DoNotOptimize(expect(one.bucket.digest()));
}

}  // namespace

void register_store_operations(workshop& shop, std::int64_t most) {
    const auto add = [&](const char* name, auto function) {
        return benchmark::RegisterBenchmark(name, [&shop, function](auto& state) { function(state, shop); });
    };
    add("commit/counter", commit_counter);
    add("commit/register", commit_register);
    add("commit/set-add", commit_set_add);
    add("read/counter", read_counter);
    add("scan/100-elements", scan_page)->RangeMultiplier(10)->Range(1'000, most);
    add("digest/by-elements", digest)->Arg(1'000);
}

}  // namespace bench::micro
