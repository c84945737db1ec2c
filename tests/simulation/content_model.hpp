// What executions of requests are to each other, as docs/change-feed.md has it: which of them did the same, and what a reader is
// told when one comes after others.
#pragma once

#include <anabranch/feed.hpp>
#include <optional>
#include <string>
#include <vector>

#include "simulation/request_model.hpp"

namespace anabranch::simulation {

/// What a transaction did to a leaf or, where it emptied it, to a node; whatever had been there.
struct deed {
    enum class kind : std::uint8_t { written = 1, removed = 2, emptied = 3 };
    std::string path;
    kind what{};
    std::string value{};
    std::int64_t amount = 0;
    std::int64_t bound = 0;

    bool operator==(const deed&) const = default;
};
/// Emptied nodes first, then by path; what only moved rights is none.
std::vector<deed> deeds_of(const schema& fields, const transaction_record& t);

std::string path_of(const schema& s, int node);
std::string path_of(const field_change& c);

/// The execution that says what this one did and answered.
const transaction_record& content_of(const history& h, const transaction_record& execution);
bool is_same_content(const history& h, const transaction_record& a, const transaction_record& b);

struct supersession {
    const transaction_record* loser;
    const transaction_record* winner;

    bool operator==(const supersession&) const = default;
};
/// What there is to be told of when `next` comes after the others.
std::optional<supersession> superseded_by(const history& h, const std::vector<const transaction_record*>& earlier, const transaction_record& next);

/// They have to be known together, as long as the log has any of them.
bool are_rivals(const history& h, const std::vector<const transaction_record*>& executions);

}  // namespace anabranch::simulation
