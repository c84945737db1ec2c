// Of bounded counters: how many rights are wanted here, and who else has asked for some.
#pragma once

#include <boost/container/flat_set.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "causality/version_vector.hpp"

namespace anabranch::detail {

/// Forgets whatever is old or too much: then a counter's rights move when somebody is refused again.
///
/// Not thread-safe: under its bucket's lock.
class rebalancing {
  public:
    /// `window`: how long ago counts as recent, about. 0: nothing does.
    explicit rebalancing(std::chrono::milliseconds window) : window_(window) {}

    bool is_automatic() const { return window_.count() > 0; }
    /// So many rights were wanted here lately; `now` is the wall clock.
    std::int64_t lately(std::string_view path, std::chrono::milliseconds now) const;
    /// So many were asked for by call, and not spent since.
    std::int64_t reserve(std::string_view path) const;
    void spent(std::string_view path, std::int64_t amount, std::chrono::milliseconds now);
    /// Others have enough: then this replica is to ask for some.
    void refused(std::string_view path, std::int64_t amount, std::chrono::milliseconds now);
    void reserved(std::string_view path, std::int64_t rights, std::chrono::milliseconds now);
    /// The replica has written something to the counter, which may be that it wants rights.
    void heard(std::string_view path, origin from);

    /// By the counter's path: what is to be done about it. Afterwards it is not any more.
    struct errand {
        std::int64_t asks_for = 0;
        boost::container::flat_set<origin> asked_by;
    };
    std::map<std::string, errand, std::less<>> take_errands() { return std::exchange(errands_, {}); }
    bool has_errands() const { return !errands_.empty(); }

  private:
    static constexpr std::size_t most_counters = 4096;

    struct amounts {
        std::int64_t spent = 0;
        std::int64_t refused = 0;  ///< the greatest: who is refused tries again
    };
    struct record {
        std::chrono::milliseconds begin{0};  ///< of the present window
        amounts present;
        amounts previous;
        std::int64_t reserve = 0;
        std::chrono::milliseconds asked{0};
    };
    bool is_old(const record& r, std::chrono::milliseconds now) const;
    void roll(record& r, std::chrono::milliseconds now) const;
    errand* find_or_make_errand(std::string_view path);
    record* find_or_make(std::string_view path, std::chrono::milliseconds now);

    std::chrono::milliseconds window_;
    std::map<std::string, record, std::less<>> records_;
    std::chrono::milliseconds swept_{0};
    std::map<std::string, errand, std::less<>> errands_;
};

}  // namespace anabranch::detail
