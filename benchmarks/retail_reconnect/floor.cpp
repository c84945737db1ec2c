// What bare RocksDB does with records as long as those of the workload's commits: the floor under the library.
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "measure/cost.hpp"
#include "measure/disk.hpp"
#include "retail_reconnect/catalogue.hpp"
#include "retail_reconnect/log_size.hpp"
#include "retail_reconnect/measurements.hpp"

namespace bench::retail {

namespace {

using key = std::array<char, 16>;

/// Ascending, as keys of a log are.
key key_of_record(std::uint64_t number) {
    key made{};
    for (std::size_t i = made.size(); number > 0; number >>= 8) made[--i] = static_cast<char>(number & 0xff);
    return made;
}

rocksdb::Slice slice(const key& k) { return {k.data(), k.size()}; }

void check(const rocksdb::Status& status) {
    if (!status.ok()) throw std::runtime_error(status.ToString());
}

std::unique_ptr<rocksdb::DB> open_bare(const std::filesystem::path& directory) {
    rocksdb::Options options;
    options.create_if_missing = true;
    rocksdb::DB* opened = nullptr;
    check(rocksdb::DB::Open(options, directory.string(), &opened));
    return std::unique_ptr<rocksdb::DB>(opened);
}

/// Calls work(i) for i < n, on that many threads.
void spread(unsigned threads, std::uint64_t n, const std::function<void(std::uint64_t)>& work) {
    std::atomic<std::uint64_t> next = 0;
    std::vector<std::exception_ptr> failures(threads);
    {
        std::vector<std::jthread> all;
        for (auto& failure : failures) {
            all.emplace_back([&] {
                try {
                    for (auto i = next.fetch_add(1); i < n; i = next.fetch_add(1)) work(i);
                } catch (...) {
                    failure = std::current_exception();
                }
            });
        }
    }
    for (const auto& failure : failures) {
        if (failure) std::rethrow_exception(failure);
    }
}

struct run {
    std::uint64_t n;
    std::filesystem::path scratch;
};

// A disk takes some thousand syncs a second, and 16 threads share them.
constexpr std::uint64_t most_syncs_of_one = 5'000;
constexpr std::uint64_t most_syncs_of_sixteen = 50'000;

row to_row(std::uint64_t operations, const cost& spent) {
    return {{"operations", operations},
            {"commits_per_s", static_cast<double>(operations) / spent.wall},
            {"commit_cpu_s", spent.cpu}};
}

std::uint64_t synced_operations(const run& of, unsigned threads) {
    return std::min(of.n, threads == 1 ? most_syncs_of_one : most_syncs_of_sixteen);
}

/// Values that do not compress better than records do.
std::vector<std::string> draw_values(std::size_t size) {
    splitmix64 random(1);
    std::vector<std::string> values(1024, std::string(size, '\0'));
    for (auto& value : values) {
        for (char& byte : value) byte = static_cast<char>(random.next());
    }
    return values;
}

using bare_work = std::function<void(rocksdb::DB&, std::uint64_t, const std::vector<std::string>&)>;

row on_bare(const run& of, unsigned threads, std::uint64_t operations, std::uint64_t steps, const bare_work& work) {
    const auto record_bytes = log_bytes_per_commit();
    const auto values = draw_values(record_bytes - std::tuple_size_v<key>);
    auto db = open_bare(of.scratch / "bare");
    auto result = to_row(
        operations, time_of([&] { spread(threads, steps, [&](std::uint64_t i) { work(*db, i, values); }); }));
    result["record_bytes"] = record_bytes;
    check(db->Close());
    db.reset();
    result["disk_bytes"] = bytes_of_files_in(of.scratch / "bare");
    const cost opening = time_of([&] {
        db = open_bare(of.scratch / "bare");
        std::string first;
        check(db->Get({}, slice(key_of_record(0)), &first));
    });
    result["open_s"] = opening.wall;
    return result;
}

void put_one(rocksdb::DB& db, std::uint64_t i, const std::vector<std::string>& values, bool is_synced) {
    rocksdb::WriteOptions options;
    options.sync = is_synced;
    check(db.Put(options, slice(key_of_record(i)), values[i % values.size()]));
}

row put(const run& of) {
    return on_bare(of, 1, of.n, of.n, [](auto& db, auto i, const auto& values) { put_one(db, i, values, false); });
}

/// Reads one of 10,000 rows and writes it: what a store does that keeps no rows in memory.
row get_put(const run& of) {
    return on_bare(of, 1, of.n, of.n, [](auto& db, auto i, const auto& values) {
        const std::uint64_t place = i == 0 ? 0 : splitmix64(i).next() % product_count;
        std::string found;
        if (const auto status = db.Get({}, slice(key_of_record(place)), &found); !status.IsNotFound()) check(status);
        put_one(db, place, values, false);
    });
}

row batches(const run& of) {
    constexpr std::uint64_t size = 100;
    return on_bare(of, 1, of.n, (of.n + size - 1) / size, [n = of.n](auto& db, auto number, const auto& values) {
        rocksdb::WriteBatch batch;
        for (auto i = number * size; i < std::min(n, (number + 1) * size); ++i) {
            check(batch.Put(slice(key_of_record(i)), values[i % values.size()]));
        }
        check(db.Write({}, &batch));
    });
}

template <unsigned Threads>
row fsync_each(const run& of) {
    const auto n = synced_operations(of, Threads);
    return on_bare(of, Threads, n, n, [](auto& db, auto i, const auto& values) { put_one(db, i, values, true); });
}

/// The same on this library: commits of the workload that wait for the disk.
template <unsigned Threads>
row commit_durably(const run& of) {
    auto store = expect(anabranch::store::open(of.scratch / "edge"));
    auto bucket = expect(store.create_bucket(bucket_name));
    const auto initial = initial_products();
    populate(bucket, initial);
    expect(store.sync());
    solo alone(initial, edge_seed);
    const auto operations = alone.draw(synced_operations(of, Threads));
    auto result = to_row(operations.size(), time_of([&] {
        spread(Threads, operations.size(), [&](std::uint64_t i) {
            commit_each(bucket, std::span(operations).subspan(i, 1), anabranch::durability::disk);
        });
    }));
    // With several threads the order of writes to one price is open; counters are exact in any order.
    bool is_right = true;
    const auto found = read_all(bucket);
    for (std::size_t i = 0; i < product_count; ++i) is_right = is_right && found[i].stock == alone.products()[i].now.stock;
    result["values_ok"] = is_right;
    return result;
}

struct floor_system {
    std::string_view name;
    row (*run_it)(const run&);
};

constexpr floor_system systems[] = {
    {"rocksdb-put", put},
    {"rocksdb-get-put", get_put},
    {"rocksdb-batch-100", batches},
    {"rocksdb-fsync-1", fsync_each<1>},
    {"anabranch-fsync-1", commit_durably<1>},
    {"rocksdb-fsync-16", fsync_each<16>},
    {"anabranch-fsync-16", commit_durably<16>},
};

}  // namespace

std::span<const std::string_view> floor_systems() {
    static const auto names = [] {
        std::array<std::string_view, std::size(systems)> all;
        std::ranges::transform(systems, all.begin(), &floor_system::name);
        return all;
    }();
    return names;
}

rows measure_floor(const json::object& parameters) {
    const auto name = text_in(parameters, "system");
    const auto found = std::ranges::find(systems, name, &floor_system::name);
    if (found == std::end(systems)) throw std::invalid_argument("no system \"" + name + "\"");
    const auto n = number_in(parameters, "n");
    auto result = found->run_it({n, scratch_in(parameters)});
    result["n"] = n;
    result["system"] = name;
    result["engine"] = "rocksdb";
    result["version"] = name.starts_with("rocksdb") ? rocksdb::GetRocksVersionAsString() : ANABRANCH_VERSION;
    result["peak_rss_mib"] = peak_rss_mib();
    return {result};
}

}  // namespace bench::retail
