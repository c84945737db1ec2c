// How far back a log reaches, as far as that can be told from outside.
#pragma once

#include <anabranch/store.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace retail {

/// Notes places in a bucket's log, and asks later which of them are still in it: a change feed can go on from those.
class log_reach {
  public:
    explicit log_reach(anabranch::bucket bucket) : bucket_(std::move(bucket)) {}

    /// Where the log is now, after so many orders. Throws std::runtime_error, as all of these.
    void note(std::size_t orders);
    /// At the first place that is still in the log; nothing where there is none.
    std::optional<std::size_t> first_in_log() const;

  private:
    struct place {
        std::size_t orders;
        std::string token;
    };
    bool is_in_log(const place& noted) const;

    anabranch::bucket bucket_;
    std::vector<place> places_;
};

}  // namespace retail
