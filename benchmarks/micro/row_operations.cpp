// What a commit and an arriving transaction are made of: joins, encodings, fingerprints.
#include <benchmark/benchmark.h>

#include "crdt/changes.hpp"
#include "crdt/edit.hpp"
#include "micro/measurements.hpp"
#include "oplog/record.hpp"

namespace bench::micro {

namespace {

namespace crdt = anabranch::crdt;
using anabranch::dot;
using anabranch::origin;

/// A counter that that many replicas have added to.
crdt::row counter_of(std::int64_t replicas) {
    crdt::row counter = crdt::bottom(crdt::row_kind::counter);
    for (std::int64_t i = 0; i < replicas; ++i) {
        crdt::edit one(counter);
        one.add({static_cast<origin>(i), 1}, 100 + i, 0);
        counter = one.now();
    }
    return counter;
}

/// What one transaction does to one counter.
crdt::changes addition() {
    crdt::edit one(crdt::bottom(crdt::row_kind::counter));
    one.add({origin{0}, 1}, 7, 0);
    return {{}, {{"product/17/stock", one.change()}}, {}};
}

void join_counter(benchmark::State& state) {
    const auto replicas = state.range(0);
    auto counter = counter_of(replicas);
    anabranch::version_vector have;
    for (std::int64_t i = 0; i < replicas; ++i) have.join(dot{static_cast<origin>(i), 1});
    std::uint64_t sequence = 1;
    for (auto _ : state) {
        crdt::counter_row::total next{origin{0}, 0, 0, ++sequence, static_cast<std::int64_t>(sequence)};
        const crdt::delta arriving{{}, crdt::counter_row{{next}, {}}};
        benchmark::DoNotOptimize(crdt::join(counter, arriving, have));
    }
}

void encode_changes(benchmark::State& state) {
    const auto all = addition();
    std::vector<origin> mentioned;
    for (auto _ : state) {
        mentioned.clear();
        benchmark::DoNotOptimize(crdt::encode_changes(all, {{origin{0}, 1}, anabranch::timestamp{1}}, mentioned));
    }
}

void decode_changes(benchmark::State& state) {
    std::vector<origin> mentioned;
    const auto payload = crdt::encode_changes(addition(), {{origin{0}, 1}, anabranch::timestamp{1}}, mentioned);
    for (auto _ : state) benchmark::DoNotOptimize(crdt::decode_changes(payload, {{origin{0}, 1}, anabranch::timestamp{1}}, mentioned));
}

void encode_row(benchmark::State& state) {
    const auto counter = counter_of(state.range(0));
    for (auto _ : state) benchmark::DoNotOptimize(crdt::encode_row(counter));
}

void decode_row(benchmark::State& state) {
    const auto bytes = crdt::encode_row(counter_of(state.range(0)));
    for (auto _ : state) benchmark::DoNotOptimize(crdt::decode_row(bytes));
}

void fingerprint(benchmark::State& state) {
    anabranch::origin_table origins;
    for (std::int64_t i = 0; i < state.range(0); ++i) {
        anabranch::replica_id id;
        id.value[0] = static_cast<std::uint8_t>(i);
        origins.intern(id);
    }
    const auto counter = counter_of(state.range(0));
    for (auto _ : state) benchmark::DoNotOptimize(crdt::fingerprint("product/17/stock", counter, origins));
}

void chain(benchmark::State& state) {
    std::vector<origin> mentioned;
    const auto payload = crdt::encode_changes(addition(), {{origin{0}, 1}, anabranch::timestamp{1}}, mentioned);
    const auto body = anabranch::oplog::encode_record({anabranch::timestamp{1}, {}, payload});
    anabranch::hash128 head{};
    for (auto _ : state) benchmark::DoNotOptimize(head = anabranch::oplog::chain_next(head, body));
}

}  // namespace

void register_row_operations() {
    const auto by_replicas = [](auto* made) { made->Arg(2)->Arg(10)->Arg(100); };
    by_replicas(benchmark::RegisterBenchmark("join/counter-by-replicas", join_counter));
    by_replicas(benchmark::RegisterBenchmark("encode/row-by-replicas", encode_row));
    by_replicas(benchmark::RegisterBenchmark("decode/row-by-replicas", decode_row));
    by_replicas(benchmark::RegisterBenchmark("fingerprint/row-by-replicas", fingerprint));
    benchmark::RegisterBenchmark("encode/changes", encode_changes);
    benchmark::RegisterBenchmark("decode/changes", decode_changes);
    benchmark::RegisterBenchmark("chain/record", chain);
}

}  // namespace bench::micro
