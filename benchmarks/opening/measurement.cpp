#include <signal.h>

#include <algorithm>
#include <anabranch/store.hpp>
#include <optional>

#include "measure/cost.hpp"
#include "measure/statistics.hpp"
#include "opening/measurements.hpp"
#include "opening/process.hpp"
#include "retail_reconnect/workload.hpp"

namespace bench::opening {

namespace {

constexpr const char* bucket_name = "b";

std::string element(std::uint64_t i) { return "element/" + std::to_string(i); }

struct replica {
    anabranch::store store;
    anabranch::bucket bucket;
};

replica open(const std::filesystem::path& directory) {
    auto store = expect(anabranch::store::open(directory));
    auto bucket = expect(store.bucket(bucket_name));
    return {store, bucket};
}

/// A set of that many elements, each of which is a row.
void fill(const std::filesystem::path& directory, std::uint64_t elements) {
    constexpr std::uint64_t at_a_time = 1'000;
    auto store = expect(anabranch::store::open(directory));
    auto bucket = expect(store.create_bucket(bucket_name));
    for (std::uint64_t first = 0; first < elements; first += at_a_time) {
        expect(bucket.commit([&](anabranch::transaction& tx) {
            const auto set = tx.add_wins_set("set");
            for (auto i = first; i < std::min(first + at_a_time, elements); ++i) set.add(element(i));
        }));
    }
}

void add(replica& to, std::uint64_t commits, std::uint64_t elements) {
    expect(to.bucket.snapshot());  // writes the watermark: these commits come after it
    retail::splitmix64 random(commits);
    for (std::uint64_t i = 0; i < commits; ++i) {
        const auto name = element(random.next() % elements);
        expect(to.bucket.commit([&](anabranch::transaction& tx) {
            tx.add_wins_set("set").add(name);
            tx.counter("commits").add(1);
        }));
    }
}

struct state {
    std::int64_t commits = 0;
    bool has_last = false;
};

state read(const replica& from, std::uint64_t elements) {
    return expect(from.bucket.read([&](const anabranch::map_view& view) {
        return state{expect(view.counter("commits").value()),
                     expect(view.add_wins_set("set").contains(element(elements - 1)))};
    }));
}

/// It has all that was committed.
row time_opening(const std::filesystem::path& directory, std::uint64_t elements, std::uint64_t commits) {
    std::optional<replica> opened;
    state found;
    const cost spent = time_of([&] {
        opened.emplace(open(directory));
        found = read(*opened, elements);
    });
    return {{"open_s", spent.wall},
            {"open_cpu_s", spent.cpu},
            {"peak_rss_mib", peak_rss_mib()},
            {"values_ok", found.has_last && found.commits == static_cast<std::int64_t>(commits)}};
}

row median_of_times(const std::vector<row>& all) {
    row result;
    for (const char* field : {"open_s", "open_cpu_s", "peak_rss_mib"}) {
        std::vector<double> values;
        for (const auto& each : all) values.push_back(each.at(field).to_number<double>());
        result[field] = median(values);
    }
    result["values_ok"] = std::ranges::all_of(all, [](const row& each) { return each.at("values_ok").as_bool(); });
    return result;
}

class experiment {
  public:
    explicit experiment(const json::object& parameters)
        : elements_(number_in(parameters, "rows")),
          times_(number_in(parameters, "times")),
          directory_(scratch_in(parameters) / "store") {
        run_to_end([&] { fill(directory_, elements_); });
    }

    /// Each time it has been used before, so that there is something for the end to leave behind.
    row open_after(bool is_killed, std::uint64_t commits) {
        const auto use = [&] {
            auto one = open(directory_);
            add(one, commits, elements_);
            if (is_killed) ::raise(SIGKILL);
        };
        std::vector<row> measured;
        for (std::uint64_t i = 0; i < times_; ++i) {
            is_killed ? run_and_kill(use) : run_to_end(use);
            committed_ += commits;
            measured.push_back(run_apart([&] { return time_opening(directory_, elements_, committed_); }));
        }
        auto result = median_of_times(measured);
        result["system"] = "anabranch";
        result["engine"] = "rocksdb";
        result["rows"] = elements_;
        result["after"] = is_killed ? "kill" : "close";
        result["commits"] = commits;
        return result;
    }

  private:
    const std::uint64_t elements_;
    const std::uint64_t times_;
    const std::filesystem::path directory_;
    std::uint64_t committed_ = 0;
};

}  // namespace

rows measure_opening(const json::object& parameters) {
    experiment one(parameters);
    const auto& commits = parameters.at("commits").as_array();
    rows results{one.open_after(false, commits.back().to_number<std::uint64_t>())};
    for (const auto& each : commits) results.push_back(one.open_after(true, each.to_number<std::uint64_t>()));
    return results;
}

}  // namespace bench::opening
