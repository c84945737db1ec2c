#include <algorithm>
#include <optional>

#include "measure/cost.hpp"
#include "requests/measurements.hpp"
#include "retail_reconnect/catalogue.hpp"
#include "retail_reconnect/exchange.hpp"
#include "store/bucket_state.hpp"
#include "store/store_state.hpp"

namespace bench::requests {

namespace {

using namespace retail;

constexpr std::size_t operations_at_a_time = 10'000;

anabranch::request request_of(std::uint64_t number, std::chrono::milliseconds issued) {
    return {.tenant = "bench", .principal = "customer", .key = std::to_string(number), .issued = issued};
}

std::chrono::milliseconds wall_now() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
}

class experiment {
  public:
    explicit experiment(const json::object& parameters)
        : n_(number_in(parameters, "n")), mirrored_(number_in(parameters, "mirrored")), engine_(text_in(parameters, "engine")) {
        if (engine_ == "rocksdb") directory_ = scratch_in(parameters);
        edge_.emplace(open("edge"));
        auto founded = expect(edge_->create_bucket(bucket_name));
        populate(founded, initial_);
        expect(edge_->sync());
        cloud_.emplace(open("cloud"));
        expect(cloud_->bucket(bucket_name));
        reconnect(*edge_, *cloud_, options_);
    }

    row run() {
        cost at_edge;
        cost at_cloud;
        std::uint64_t number = 0;
        std::uint64_t mirrored = 0;
        auto edge = expect(edge_->bucket(bucket_name));
        auto cloud = expect(cloud_->bucket(bucket_name));
        for (std::uint64_t left = n_; left > 0;) {
            const auto count = std::min<std::uint64_t>(left, operations_at_a_time);
            const auto operations = alone_.draw(count);
            const auto issued = wall_now();
            const auto execute = [&](anabranch::bucket& at, std::uint64_t i, anabranch::request_role role) {
                auto r = request_of(number + i, issued);
                r.role = role;
                commit_request(at, r, operations[i]);
            };
            at_edge += time_of([&] {
                for (std::uint64_t i = 0; i < count; ++i) execute(edge, i, anabranch::request_role::primary);
            });
            at_cloud += time_of([&] {
                for (std::uint64_t i = 0; i < count; ++i) {
                    if ((number + i) % 100 >= mirrored_) continue;
                    execute(cloud, i, anabranch::request_role::mirror);
                    ++mirrored;
                }
            });
            number += count;
            left -= count;
        }
        row result{{"system", "anabranch"}, {"version", ANABRANCH_VERSION}, {"engine", engine_}, {"n", n_}, {"mirrored", mirrored}};
        result["commits_per_s"] = static_cast<double>(n_) / at_edge.wall;
        result["commit_cpu_s"] = at_edge.cpu;
        // A session begins with what is on disk.
        for (auto* s : {&*edge_, &*cloud_}) expect(s->sync());
        traffic crossed;
        const cost met = time_of([&] { crossed = reconnect(*edge_, *cloud_, options_); });
        result["reconnect_wall_s"] = met.wall;
        result["reconnect_cpu_s"] = met.cpu;
        result["bytes_edge_to_cloud"] = crossed.edge_to_cloud;
        result["bytes_cloud_to_edge"] = crossed.cloud_to_edge;
        result["round_trips"] = crossed.round_trips();
        result["identity_bytes"] = static_cast<double>(identity_bytes(edge)) / static_cast<double>(n_);
        const auto merged = read_all(edge);
        result["values_ok"] = merged == read_all(cloud) && std::ranges::equal(merged, alone_.products(), {}, {}, &product_history::now);
        return result;
    }

  private:
    anabranch::store open(const char* name) const {
        return expect(directory_ ? anabranch::store::open(*directory_ / name, {}) : anabranch::store::in_memory({}));
    }

    /// Keys and values of what is remembered of requests beside the log.
    std::size_t identity_bytes(const anabranch::bucket& at) const {
        namespace storage = anabranch::storage;
        namespace store_keys = anabranch::store_keys;
        expect(at.state()->flush());
        const auto prefix = store_keys::request_key(at.state()->number(), {}).substr(0, store_keys::row_key_prefix);
        std::size_t bytes = 0;
        const auto cursor = edge_->state()->engine().scan(storage::space::rows, prefix);
        for (; cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) bytes += cursor->key().size() + cursor->value().size();
        return bytes;
    }

    const std::uint64_t n_;
    const std::uint64_t mirrored_;
    const std::string engine_;
    std::optional<std::filesystem::path> directory_;
    anabranch::session_options options_;
    const std::vector<product> initial_ = initial_products();
    solo alone_{initial_, edge_seed};
    std::optional<anabranch::store> edge_;
    std::optional<anabranch::store> cloud_;
};

std::int64_t read_counter(const anabranch::bucket& at, const char* name) {
    return expect(at.read([&](const anabranch::map_view& v) { return v.counter(name).value(); }));
}

}  // namespace

rows measure_requests(const json::object& parameters) { return {experiment(parameters).run()}; }

rows measure_pending_reads(const json::object& parameters) {
    constexpr int reads = 100'000;
    const auto pending = number_in(parameters, "pending");
    auto store = expect(anabranch::store::in_memory({}));
    auto bucket = expect(store.create_bucket(bucket_name));
    const auto issued = wall_now();
    for (std::uint64_t i = 0; i < pending; ++i) {
        expect(bucket.commit(request_of(i, issued), [](anabranch::transaction& tx) -> anabranch::result<std::string> {
            tx.counter("pending").add(1);
            return std::string();
        }));
        expect(bucket.commit([](anabranch::transaction& tx) { tx.counter("plain").add(1); }));
    }
    const auto nanoseconds = [&](const char* name) {
        std::int64_t sum = 0;
        const auto cost = time_of([&] {
            for (int i = 0; i < reads; ++i) sum += read_counter(bucket, name);
        });
        if (sum != static_cast<std::int64_t>(pending) * reads) throw std::runtime_error("a counter is wrong");
        return cost.cpu / reads * 1e9;
    };
    // Once each before it counts.
    (void)nanoseconds("plain");
    (void)nanoseconds("pending");
    row result{{"system", "anabranch"}, {"engine", "memory"}, {"pending", pending}};
    result["read_plain_ns"] = nanoseconds("plain");
    result["read_pending_ns"] = nanoseconds("pending");
    return {result};
}

}  // namespace bench::requests
