// What a catch-up is made of: transactions joined into one change for each row, and that written and read.
#include <benchmark/benchmark.h>

#include "crdt/edit.hpp"
#include "crdt/folding.hpp"
#include "micro/measurements.hpp"

namespace bench::micro {

namespace {

namespace crdt = anabranch::crdt;
using anabranch::origin;

constexpr std::uint64_t transactions = 10'000;
constexpr std::uint64_t rows_changed = 1'000;
constexpr crdt::dot_range all_of_them{origin{0}, 1, transactions};

crdt::stamp of(std::uint64_t sequence) { return {{origin{0}, sequence}, anabranch::timestamp{sequence}}; }

/// Each adds to one of a thousand counters, as the log holds it.
std::vector<std::string> payloads() {
    std::vector<crdt::row> counters(rows_changed, crdt::bottom(crdt::row_kind::counter));
    std::vector<std::string> all;
    std::vector<origin> mentioned;
    for (std::uint64_t sequence = 1; sequence <= transactions; ++sequence) {
        const auto number = sequence % rows_changed;
        crdt::edit one(counters[number]);
        one.add({origin{0}, sequence}, 7, 0);
        const crdt::changes done{{}, {{"product/" + std::to_string(number) + "/stock", one.change()}}, {}};
        all.push_back(crdt::encode_changes(done, of(sequence), mentioned));
        counters[number] = one.now();
    }
    return all;
}

crdt::changes fold(const std::vector<std::string>& all) {
    crdt::folding folded;
    for (std::uint64_t i = 0; i < all.size(); ++i) folded.add(*crdt::decode_changes(all[i], of(i + 1), {}));
    return folded.take({&all_of_them, 1});
}

/// Of one transaction, decoding included.
void fold_transactions(benchmark::State& state) {
    const auto all = payloads();
    for (auto _ : state) benchmark::DoNotOptimize(fold(all));
    state.SetItemsProcessed(static_cast<std::int64_t>(transactions) * state.iterations());
}

/// Of one row.
void encode_fold(benchmark::State& state) {
    const auto folded = fold(payloads());
    anabranch::origin_table origins;
    origins.intern({});
    for (auto _ : state) benchmark::DoNotOptimize(crdt::encode_fold(folded, {&all_of_them, 1}, origins));
    state.SetItemsProcessed(static_cast<std::int64_t>(rows_changed) * state.iterations());
}

void decode_fold(benchmark::State& state) {
    anabranch::origin_table origins;
    origins.intern({});
    const auto bytes = crdt::encode_fold(fold(payloads()), {&all_of_them, 1}, origins);
    for (auto _ : state) {
        benchmark::DoNotOptimize(
            crdt::decode_fold(bytes, {&all_of_them, 1}, [](const auto&) { return std::optional(origin{0}); }));
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(rows_changed) * state.iterations());
}

}  // namespace

void register_folds() {
    benchmark::RegisterBenchmark("fold/transaction", fold_transactions);
    benchmark::RegisterBenchmark("fold/encode-row", encode_fold);
    benchmark::RegisterBenchmark("fold/decode-row", decode_fold);
}

}  // namespace bench::micro
