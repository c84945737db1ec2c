#include <algorithm>
#include <anabranch/replica.hpp>
#include <anabranch/session.hpp>
#include <cstring>
#include <optional>

#include "absence/measurements.hpp"
#include "measure/cost.hpp"
#include "retail_reconnect/workload.hpp"
#include "storage/rocksdb/rocksdb_engine.hpp"
#include "store/bucket_state.hpp"
#include "store/store_state.hpp"

namespace bench::absence {

namespace {

using anabranch::transaction;
namespace storage = anabranch::storage;
namespace store_keys = anabranch::store_keys;

constexpr const char* bucket_name = "shop";
constexpr std::uint64_t at_a_time = 1'000;

std::string sku(std::uint64_t i) {
    auto digits = std::to_string(i);
    return "product/" + std::string(8 - digits.size(), '0') + digits;
}

/// Nothing that could be compressed: what crosses beside the rows shows.
void describe(transaction& tx, std::uint64_t i, std::uint64_t version) {
    constexpr std::size_t words = 8;
    retail::splitmix64 random(i * 1'000 + version);
    std::string text(words * sizeof(std::uint64_t), '\0');
    for (std::size_t k = 0; k < words; ++k) {
        const auto word = random.next();
        std::memcpy(text.data() + k * sizeof word, &word, sizeof word);
    }
    tx.map("product").map(sku(i)).last_writer<std::string>("head").set(text);
}

anabranch::store_options short_log() {
    anabranch::store_options options;
    options.log_retain_bytes = 0;
    options.log_limit_bytes = 64 * 1024;
    return options;
}

/// Its log reaches back no further than the rest of it.
void populate(anabranch::bucket& at, std::uint64_t count) {
    for (std::uint64_t first = 0; first < count; first += at_a_time) {
        expect(at.commit([&](transaction& tx) {
            for (auto i = first; i < std::min(first + at_a_time, count); ++i) describe(tx, i, 1);
        }));
    }
}

/// As bytes of keys and values.
std::uint64_t rows_below(const anabranch::store& in, const anabranch::bucket& at, std::string_view path) {
    expect(at.state()->flush());
    const auto prefix = store_keys::row_key(at.state()->number(), path);
    const auto cursor = in.state()->engine().scan(storage::space::rows, prefix);
    std::uint64_t bytes = 0;
    for (; cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) bytes += cursor->key().size() - store_keys::row_key_prefix + cursor->value().size();
    return bytes;
}

/// A side of a session, and what it costs it.
class side {
  public:
    explicit side(const anabranch::store& local) : store_(local), session_(local, {}, steady_now()) {}

    std::string speak() {
        std::string said;
        spent_ += time_of([&] {
            while (true) {
                while (session_.wants_sync()) {
                    expect(store_.sync());
                    session_.poll(steady_now());
                }
                const auto piece = session_.take_output();
                if (piece.empty()) break;
                said += piece;
            }
        });
        sent_ += said.size();
        return said;
    }
    void hear(const std::string& bytes) {
        spent_ += time_of([&] { session_.receive(bytes, steady_now()); });
        if (session_.failure()) throw std::runtime_error("the session ended: " + session_.failure()->message);
    }
    bool in_sync() const { return session_.in_sync(); }
    std::uint64_t sent() const { return sent_; }
    const cost& spent() const { return spent_; }

  private:
    anabranch::store store_;
    anabranch::session session_;
    std::uint64_t sent_ = 0;
    cost spent_;
};

unsigned meet(side& one, side& other) {
    unsigned flights = 0;
    while (true) {
        const auto from_one = one.speak();
        const auto from_other = other.speak();
        if (from_one.empty() && from_other.empty()) break;
        ++flights;
        other.hear(from_one);
        one.hear(from_other);
    }
    if (!one.in_sync() || !other.in_sync()) throw std::runtime_error("the sessions stopped before both were equal");
    return flights;
}

class experiment {
  public:
    explicit experiment(const json::object& parameters)
        : engine_(text_in(parameters, "engine")),
          rows_(number_in(parameters, "rows")),
          changed_(number_in(parameters, "changed")),
          removed_(number_in(parameters, "removed")),
          where_(text_in(parameters, "where")) {
        if (engine_ == "rocksdb") directory_ = scratch_in(parameters);
        cloud_.emplace(open("cloud"));
        edge_.emplace(open("edge"));
    }

    row run() {
        auto cloud = expect(cloud_->create_bucket(bucket_name));
        populate(cloud, rows_);
        expect(cloud_->sync());
        auto edge = expect(edge_->bucket(bucket_name));
        {
            side a(*cloud_);
            side b(*edge_);
            meet(a, b);
        }
        go_on(cloud);
        row result{{"system", "anabranch"}, {"version", ANABRANCH_VERSION}, {"engine", engine_}, {"rows", rows_},
                   {"changed", changed_}, {"removed", removed_}, {"where", where_}};
        std::uint64_t row_bytes = 0;
        for (std::uint64_t i = 0; i < changed_; ++i) row_bytes += rows_below(*cloud_, cloud, path_of(place_of(i)));
        side a(*cloud_);
        side b(*edge_);
        const auto flights = meet(a, b);
        result["bytes_of_rows"] = row_bytes;
        result["bytes_to_edge"] = a.sent();
        result["bytes_to_cloud"] = b.sent();
        result["round_trips"] = flights / 2.0;
        result["cloud_cpu_s"] = a.spent().cpu;
        result["edge_cpu_s"] = b.spent().cpu;
        result["wall_s"] = a.spent().wall + b.spent().wall;
        result["values_ok"] = expect(cloud.digest()) == expect(edge.digest());
        result["peak_rss_mib"] = peak_rss_mib();
        return result;
    }

  private:
    anabranch::store open(const char* name) const {
        return expect(directory_ ? anabranch::store::open(*directory_ / name, short_log()) : anabranch::store::in_memory(short_log()));
    }
    std::uint64_t place_of(std::uint64_t i) const {
        const auto all = std::max<std::uint64_t>(changed_ + removed_, 1);
        return where_ == "together" ? i : i * (rows_ / all);
    }
    static std::string path_of(std::uint64_t i) {
        return store_keys::segment("product", 'p') + store_keys::segment(sku(i), 'p');
    }

    /// While the edge is away, until the log has been cut without it.
    void go_on(anabranch::bucket& cloud) {
        const auto seen = cloud.state()->committed();
        for (std::uint64_t i = 0; i < changed_; ++i) {
            expect(cloud.commit([&](transaction& tx) { describe(tx, place_of(i), 2); }));
        }
        for (std::uint64_t i = changed_; i < changed_ + removed_; ++i) {
            expect(cloud.commit([&](transaction& tx) { tx.map("product").map(sku(place_of(i))).last_writer<std::string>("head").clear(); }));
        }
        const auto is_cut = [&] {
            const auto floor = cloud.state()->floor();
            const auto it = floor.find(cloud_->id());
            return it != floor.end() && it->second > seen;
        };
        while (!is_cut()) {
            for (int i = 0; i < 100; ++i) expect(cloud.commit([](transaction& tx) { tx.counter("visits").add(1); }));
            expect(cloud_->sync());
        }
    }

    const std::string engine_;
    const std::uint64_t rows_;
    const std::uint64_t changed_;
    const std::uint64_t removed_;
    const std::string where_;
    std::optional<std::filesystem::path> directory_;
    std::optional<anabranch::store> cloud_;
    std::optional<anabranch::store> edge_;
};

}  // namespace

rows measure_absence(const json::object& parameters) { return {experiment(parameters).run()}; }

rows measure_bootstrap(const json::object& parameters) {
    const auto count = number_in(parameters, "rows");
    const auto directory = scratch_in(parameters);
    auto cloud = expect(anabranch::store::open(directory / "cloud", short_log()));
    auto there = expect(cloud.create_bucket(bucket_name));
    populate(there, count);
    expect(cloud.sync());
    const auto bytes = rows_below(cloud, there, {});
    row result{{"system", "anabranch"}, {"version", ANABRANCH_VERSION}, {"engine", "rocksdb"}, {"rows", count}, {"bytes_of_rows", bytes}};
    const cost copied = time_of([&] {
        constexpr std::size_t batch_bytes = 1024 * 1024;
        const auto copy = expect(storage::open_rocksdb(directory / "copy"));
        const auto prefix = store_keys::row_key(there.state()->number(), {});
        storage::batch batch;
        const auto cursor = cloud.state()->engine().scan(storage::space::rows, prefix);
        for (; cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
            batch.put(storage::space::rows, std::string(cursor->key()), std::string(cursor->value()));
            if (batch.bytes() < batch_bytes) continue;
            expect(copy->write(batch));
            batch.clear();
        }
        expect(copy->write(batch));
        expect(copy->sync());
    });
    auto edge = expect(anabranch::store::open(directory / "edge", short_log()));
    auto here = expect(edge.bucket(bucket_name));
    anabranch::replica at_cloud(cloud, {.listen = "127.0.0.1:0"});
    anabranch::replica at_edge(edge, {});
    expect(at_cloud.start());
    expect(at_edge.start());
    anabranch::sync_report report;
    const cost came = time_of([&] { report = expect(at_edge.sync_once("127.0.0.1:" + std::to_string(at_cloud.port()))); });
    result["copy_wall_s"] = copied.wall;
    result["copy_cpu_s"] = copied.cpu;
    result["bootstrap_wall_s"] = came.wall;
    result["bootstrap_cpu_s"] = came.cpu;
    result["bytes_received"] = report.totals.bytes_received;
    result["of_copy_speed"] = copied.wall / came.wall;
    result["values_ok"] = expect(there.digest()) == expect(here.digest());
    result["peak_rss_mib"] = peak_rss_mib();
    return {result};
}

}  // namespace bench::absence
