#include <algorithm>
#include <optional>

#include "measure/cost.hpp"
#include "measure/disk.hpp"
#include "retail_reconnect/catalogue.hpp"
#include "retail_reconnect/exchange.hpp"
#include "retail_reconnect/measurements.hpp"

namespace bench::retail {

namespace {

constexpr std::size_t extra_operations = 100;
// Drawn apart from what is measured, and not all at once, so that they do not count as the library's memory.
constexpr std::size_t operations_at_a_time = 10'000;

struct replica {
    anabranch::store store;
    anabranch::bucket bucket;
};

class experiment {
  public:
    explicit experiment(const json::object& parameters)
        : n_(number_in(parameters, "n")), is_folded_(parameters.at("folded").as_bool()) {
        if (text_in(parameters, "engine") == "rocksdb") directory_ = scratch_in(parameters);
        if (!is_folded_) options_.fold_above = UINT64_MAX;
    }

    row run() {
        connect();
        result_["start_rss_mib"] = peak_rss_mib();
        disconnected();
        result_["alone_rss_mib"] = peak_rss_mib();
        reconnect_all();
        result_["peak_rss_mib"] = peak_rss_mib();  // of the workload itself: what follows would add to it
        reopen();
        result_["values_ok"] = are_values_ok_;
        return result_;
    }

  private:
    anabranch::store open(const char* name) const {
        const anabranch::store_options options{.log_limit_bytes = log_limit()};
        return expect(directory_ ? anabranch::store::open(*directory_ / name, options)
                                 : anabranch::store::in_memory(options));
    }

    /// About twice what a side writes while it is alone: less, and it would fall behind the cut, and there would be nothing
    /// to measure.
    std::uint64_t log_limit() const {
        constexpr std::uint64_t least = 16 * 1024 * 1024;
        constexpr std::uint64_t bytes_a_commit = 128;
        return std::max(least, bytes_a_commit * n_);
    }

    bool is_laggard_named() const {
        return std::ranges::any_of(edge_->bucket.members(), &anabranch::member_status::is_laggard);
    }

    /// The initial state is made at the edge and reaches the cloud as it would in use: over the wire.
    void connect() {
        auto at_edge = open("edge");
        auto founded = expect(at_edge.create_bucket(bucket_name));
        edge_.emplace(replica{at_edge, founded});
        populate(edge_->bucket, initial_);
        // What is not on disk is not shown: two sides that show nothing would find nothing to talk about.
        expect(at_edge.sync());
        auto at_cloud = open("cloud");
        auto joining = expect(at_cloud.bucket(bucket_name));
        cloud_.emplace(replica{at_cloud, joining});
        meet();
        if (!cloud_->bucket.is_member()) throw std::runtime_error("the cloud was not let in");
    }

    void disconnected() {
        const cost both = commit_alone(edge_->bucket, at_edge_) + commit_alone(cloud_->bucket, at_cloud_);
        const auto n = static_cast<double>(n_);
        result_["system"] = is_folded_ ? "anabranch" : "anabranch-unfolded";
        result_["version"] = ANABRANCH_VERSION;
        result_["engine"] = directory_ ? "rocksdb" : "memory";
        result_["n"] = n_;
        result_["log_limit_bytes"] = log_limit();
        result_["commits_per_s"] = 2 * n / both.wall;
        result_["commit_cpu_s"] = both.cpu / 2;
    }

    cost commit_alone(anabranch::bucket& bucket, solo& alone) const {
        cost total;
        for (std::uint64_t left = n_; left > 0;) {
            const auto count = std::min<std::uint64_t>(left, operations_at_a_time);
            const auto operations = alone.draw(count);
            total += time_of([&] { commit_each(bucket, operations); });
            left -= count;
        }
        return total;
    }

    void reconnect_all() {
        traffic crossed;
        const cost first = time_of([&] { crossed = meet(); });
        result_["reconnect_wall_s"] = first.wall;
        result_["reconnect_cpu_s"] = first.cpu;
        result_["bytes_edge_to_cloud"] = crossed.edge_to_cloud;
        result_["bytes_cloud_to_edge"] = crossed.cloud_to_edge;
        result_["round_trips"] = crossed.round_trips();
        const auto merged = read_all(edge_->bucket);
        are_values_ok_ = merged == read_all(cloud_->bucket) && is_right(initial_, at_edge_, at_cloud_, merged);
        if (is_laggard_named()) throw std::runtime_error("the log limit is too small for this many operations");

        const cost nothing_new = time_of([&] { crossed = meet(); });
        result_["nothing_new_bytes"] = crossed.bytes();
        result_["nothing_new_cpu_s"] = nothing_new.cpu;

        // Nothing is concurrent to these, so all values are determined.
        solo extra(merged, extra_seed);
        commit_each(edge_->bucket, extra.draw(extra_operations));
        const cost hundred_more = time_of([&] { crossed = meet(); });
        result_["hundred_more_bytes"] = crossed.bytes();
        result_["hundred_more_cpu_s"] = hundred_more.cpu;
        for (const auto* side : {&*edge_, &*cloud_}) {
            are_values_ok_ = are_values_ok_ && std::ranges::equal(read_all(side->bucket), extra.products(), {}, {},
                                                                  &product_history::now);
        }
    }

    /// After a clean close, with the first read. Nothing where there is no disk.
    void reopen() {
        result_["open_s"] = nullptr;
        result_["disk_bytes"] = nullptr;
        if (!directory_) return;
        const auto before = read_one(edge_->bucket, 0);
        edge_.reset();
        cloud_.reset();
        result_["disk_bytes"] = bytes_of_files_in(*directory_ / "edge");
        const cost opening = time_of([&] {
            auto store = open("edge");
            edge_.emplace(replica{store, expect(store.bucket(bucket_name))});
            are_values_ok_ = are_values_ok_ && read_one(edge_->bucket, 0) == before;
        });
        result_["open_s"] = opening.wall;
    }

    traffic meet() const { return reconnect(edge_->store, cloud_->store, options_); }

    const std::uint64_t n_;
    const bool is_folded_;
    std::optional<std::filesystem::path> directory_;
    anabranch::session_options options_;
    const std::vector<product> initial_ = initial_products();
    solo at_edge_{initial_, edge_seed};
    solo at_cloud_{initial_, cloud_seed};
    std::optional<replica> edge_;
    std::optional<replica> cloud_;
    bool are_values_ok_ = false;
    row result_;
};

}  // namespace

rows measure_reconnect(const json::object& parameters) { return {experiment(parameters).run()}; }

}  // namespace bench::retail
