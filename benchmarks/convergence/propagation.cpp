// Live propagation: a commit here, seen there.
#include <anabranch/replica.hpp>

#include <atomic>
#include <thread>

#include "convergence/measurements.hpp"
#include "measure/cost.hpp"
#include "measure/statistics.hpp"
#include "replica/subscription.hpp"

namespace bench::convergence {

namespace {

constexpr const char* bucket_name = "live";
constexpr std::chrono::seconds patience{10};

anabranch::store open(const json::object& parameters, const char* name) {
    if (text_in(parameters, "engine") == "memory") return expect(anabranch::store::in_memory());
    return expect(anabranch::store::open(scratch_in(parameters) / name));
}

/// Waits, without polling, until the bucket has that many transactions of the origin.
class arrivals {
  public:
    arrivals(anabranch::store store, anabranch::bucket bucket)
        : bucket_(std::move(bucket)), subscription_(std::move(store), [this] {
              changes_.fetch_add(1);
              changes_.notify_one();
          }) {}

    void wait_for(const anabranch::replica_id& origin, std::uint64_t sequence) {
        while (true) {
            const auto seen = changes_.load();
            for (const auto& entry : bucket_.progress()) {
                if (entry.origin == origin && entry.sequence >= sequence) return;
            }
            changes_.wait(seen);
        }
    }

  private:
    anabranch::bucket bucket_;
    std::atomic<std::uint64_t> changes_ = 0;
    anabranch::replication::subscription subscription_;
};

std::uint64_t sequence_of(const anabranch::bucket& bucket, const anabranch::replica_id& origin) {
    for (const auto& entry : bucket.progress()) {
        if (entry.origin == origin) return entry.sequence;
    }
    return 0;
}

void wait_until_member(const anabranch::bucket& bucket) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!bucket.is_member()) {
        if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("the replica was not let in");
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

}  // namespace

rows measure_propagation(const json::object& parameters) {
    auto here = open(parameters, "here");
    auto there = open(parameters, "there");
    auto writes = expect(here.create_bucket(bucket_name));
    auto sees = expect(there.bucket(bucket_name));
    expect(here.sync());
    anabranch::replica listening(here, {.listen = "127.0.0.1:0"});
    expect(listening.start());
    anabranch::replica calling(there, {.peers = {"127.0.0.1:" + std::to_string(listening.port())}});
    expect(calling.start());
    wait_until_member(sees);

    arrivals seen(there, sees);
    std::vector<double> milliseconds;
    for (auto left = number_in(parameters, "samples"); left > 0; --left) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));  // live, not under load
        const stopwatch watch;
        expect(writes.commit([](anabranch::transaction& tx) { tx.counter("counter").add(1); }));
        seen.wait_for(here.id(), sequence_of(writes, here.id()));
        milliseconds.push_back(watch.elapsed().wall * 1000);
    }
    return {{{"system", "anabranch"},
             {"engine", text_in(parameters, "engine")},
             {"samples", milliseconds.size()},
             {"propagation_p50_ms", percentile(milliseconds, 0.5)},
             {"propagation_p99_ms", percentile(milliseconds, 0.99)}}};
}

}  // namespace bench::convergence
