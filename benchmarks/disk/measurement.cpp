#include "disk/directory.hpp"
#include "disk/measurements.hpp"
#include "disk/members.hpp"
#include "measure/cost.hpp"

namespace bench::disk {

namespace {

// A look at the directory takes some system calls; memory is written to tables less often than this.
constexpr std::uint64_t look_every = 1'000;

class experiment {
  public:
    explicit experiment(const json::object& parameters)
        : n_(number_in(parameters, "n")),
          keys_(static_cast<std::uint32_t>(number_in(parameters, "keys"))),
          sync_every_(number_in(parameters, "sync_every")),
          scratch_(scratch_in(parameters)) {}

    row run() {
        row result{{"system", "anabranch"}, {"version", ANABRANCH_VERSION}, {"engine", "rocksdb"},
                   {"n", n_},               {"keys", keys_},                {"sync_every", sync_every_}};
        members both(used());
        const cost spent = time_of([&] { work(both); });
        result["operations_per_s"] = static_cast<double>(n_) / spent.wall;
        result["cpu_s"] = spent.cpu;
        both.settle();
        const auto shown_here = read_all(both.edge(), keys_);
        const bool are_equal = expect(both.edge().digest()) == expect(both.cloud().digest()) &&
                               shown_here == read_all(both.cloud(), keys_);
        both.close();
        const auto closed = sizes_in(used() / "edge").total();
        const auto left = compact(used() / "edge");
        const auto end = sizes_in(used() / "edge").total();
        compact(used() / "cloud");
        const auto fresh = copy(shown_here);

        result["peak_bytes"] = peak_.total();
        result["peak_write_ahead_bytes"] = peak_.write_ahead;
        result["peak_tables_bytes"] = peak_.tables;
        result["closed_bytes"] = closed;
        result["end_bytes"] = end;
        result["end_bytes_cloud"] = sizes_in(used() / "cloud").total();
        result["end_rows"] = left.rows;
        result["end_marks"] = left.marks;
        result["end_log_records"] = left.log_records;
        result["fresh_bytes"] = fresh;
        result["fresh_rows"] = fresh_.rows;
        result["end_of_fresh"] = static_cast<double>(end) / static_cast<double>(fresh);
        result["log_limit_bytes"] = log_limit;
        result["write_buffer_bytes"] = left.write_buffer;
        result["bound_bytes"] = 2 * fresh + log_limit + 2 * left.write_buffer;
        result["values_ok"] = are_equal && is_copy_right_;
        return result;
    }

  private:
    std::filesystem::path used() const { return scratch_ / "used"; }

    /// Both write, in turns of as many operations as there are between two meetings.
    void work(members& both) {
        worker at_edge(retail::edge_seed, keys_);
        worker at_cloud(retail::cloud_seed, keys_);
        bool is_edge = true;
        for (std::uint64_t done = 0; done < n_;) {
            (is_edge ? at_edge : at_cloud).commit_one(is_edge ? both.edge() : both.cloud());
            ++done;
            if (done % look_every == 0) look();
            if (done % sync_every_ != 0 && done != n_) continue;
            both.meet();
            look();
            is_edge = !is_edge;
        }
    }

    void look() {
        for (const char* side : {"edge", "cloud"}) {
            const auto now = sizes_in(used() / side);
            if (now.total() > peak_.total()) peak_ = now;
        }
    }

    /// What the state takes that has no history: two other members that have written what is shown.
    std::uint64_t copy(const std::vector<shown>& all) {
        members both(scratch_ / "fresh");
        write_all(both.edge(), both.cloud(), all);
        both.settle();
        auto copied = all;
        for (auto& each : copied) each.candidates.resize(std::min<std::size_t>(each.candidates.size(), 1));
        is_copy_right_ = read_all(both.edge(), keys_) == copied;
        both.close();
        fresh_ = compact(scratch_ / "fresh" / "edge");
        return sizes_in(scratch_ / "fresh" / "edge").total();
    }

    const std::uint64_t n_;
    const std::uint32_t keys_;
    const std::uint64_t sync_every_;
    const std::filesystem::path scratch_;
    file_sizes peak_;
    contents fresh_;
    bool is_copy_right_ = false;
};

}  // namespace

rows measure_disk(const json::object& parameters) { return {experiment(parameters).run()}; }

}  // namespace bench::disk
