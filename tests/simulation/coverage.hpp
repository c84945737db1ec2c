// How often each interesting thing happened, so that a simulation that stopped meeting it fails.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace anabranch::simulation {

// clang-format off
#define ANABRANCH_SIMULATION_EVENTS(X)                                                                      \
    X(commits) X(commits_to_disk) X(commits_without_effect) X(refused_closures) X(limits_passed)            \
    X(own_writes_read) X(large_commits) X(store_syncs) X(failed_syncs) X(failed_writes)                     \
    X(commits_durability_unknown) X(process_kills) X(power_losses) X(clean_closes)                          \
    X(crashes_inside_calls) X(crashes_while_opening) X(own_transactions_lost)                               \
    X(foreign_transactions_lost) X(writes_lost) X(replays_on_open) X(flushes)                               \
    X(connections) X(connections_broken) X(links_cut) X(sessions_timed_out) X(bytes_lost)                   \
    X(greetings_equal) X(records_messages) X(compressed_messages) X(multi_frame_messages)                   \
    X(transactions_delivered) X(duplicates_sent) X(relayed) X(holds) X(held_released_by_clock)              \
    X(held_accepted) X(streams_begun_anew) X(full_windows) X(clock_jumps) X(far_future_clocks)              \
    X(disks_full) X(snapshots_checked) X(digests_compared) X(buckets_created_late) X(scans_checked)         \
    X(conflicts_counter) X(conflicts_last_writer) X(conflicts_multi_value) X(conflicts_enable_wins)         \
    X(conflicts_disable_wins) X(conflicts_add_wins) X(conflicts_remove_wins)                                \
    X(prefix_conflicts_counter) X(prefix_conflicts_register) X(prefix_conflicts_add_wins)                   \
    X(prefix_conflicts_remove_wins) X(counters_begun_anew) X(repeated_with_equal_trace)                     \
    X(disks_filled_inside_calls) X(duties) X(commits_before_joining) X(commits_after_retirement)            \
    X(sessions_of_outsiders) X(adverts_messages) X(adverts_relayed) X(retirements_begun)                      \
    X(retirements_done) X(members_left) X(authorities_changed) X(log_cuts) X(rows_pruned) X(folds_sent)        \
    X(folds_of_several_origins) X(laggards_named) X(laggards_caught_up) X(early_cuts) X(states_entered) X(states_from_the_future)   \
    X(states_in_part) X(states_gone_on) X(arriving_read) X(arriving_read_after_break)                                                                         \
    X(chunks_brought_late) X(laggards_writes_delivered) X(concurrent_spends)               \
    X(prefix_conflicts_bounded) X(rights_granted) X(rights_refused) X(rights_sent) X(rights_requested)          \
    X(rights_inherited) X(counters_of_two_births) X(feed_steps) X(feed_catch_ups) X(feeds_resumed)              \
    X(feeds_behind_cut) X(sessions_caught_up) X(sessions_behind) X(sessions_lost) X(contenders_checked)         \
    X(requests_made) X(requests_executed) X(requests_refused) X(requests_failed) X(requests_repeated)           \
    X(requests_doubled_at_one_host) X(requests_confirmed) X(requests_in_conflict) X(requests_too_old)           \
    X(requests_from_future) X(requests_too_many) X(twins_delivered) X(executions_suppressed)                    \
    X(contents_changed_back) X(requests_fixed) X(requests_unconfirmed) X(single_primaries_checked)              \
    X(abbreviated_chunks) X(requests_forgotten_by_all) X(twins_of_what_is_gone)                                 \
    X(requests_cut_short) X(requests_fixed_beside_open)                                                         \
    X(executions_told) X(executions_told_unconfirmed) X(confirmations_told) X(superseded_told)                  \
    X(superseded_told_on_arrival) X(superseded_told_in_catch_ups) X(superseded_told_though_forgotten)           \
    X(superseded_told_of_paths) X(superseded_listed) X(twins_told_of_equal_content)                             \
    X(disks_copied) X(backups_made) X(backups_restored) X(older_states_put_back) X(disks_moved) X(clones_started)           \
    X(clones_on_the_same_host) X(copies_let_in) X(orphans_set_aside) X(replicas_relieved) X(replicas_come_back)            \
    X(audits_done) X(audits_beside_changes) X(rows_spoiled) X(spoiled_rows_found) X(rows_repaired_by_majority)             \
    X(rows_repaired_by_choice) X(repairs_made)                                                                              \
    X(replicas_upgraded) X(unknown_kinds_held) X(unknown_kinds_learned) X(states_not_whole)                     \
    X(parts_brought) X(parts_changed) X(parts_broken_off) X(parts_gone_on) X(part_reads_checked) X(parts_converged)              \
    X(unknown_records_held) X(unknown_records_learned) X(requests_not_known)                                    \
    X(budgets_exhausted) X(budgets_asked_for)                                                                               \
    /* where the process is killed: on RocksDB */                                                               \
    X(kills_in_requests)
// clang-format on

enum class covered : std::size_t {
#define X(name) name,
    ANABRANCH_SIMULATION_EVENTS(X)
#undef X
        count_
};

inline constexpr std::size_t covered_count = static_cast<std::size_t>(covered::count_);
inline constexpr std::array<const char*, covered_count> covered_names = {
#define X(name) #name,
    ANABRANCH_SIMULATION_EVENTS(X)
#undef X
};

class coverage {
  public:
    void count(covered what, std::uint64_t n = 1) { counts_[static_cast<std::size_t>(what)] += n; }
    std::uint64_t of(std::size_t what) const { return counts_[what]; }
    void join(const coverage& other) {
        for (std::size_t i = 0; i < covered_count; ++i) counts_[i] += other.counts_[i];
    }

  private:
    std::array<std::uint64_t, covered_count> counts_{};
};

}  // namespace anabranch::simulation
