// The few fields that a history works on: few, so that replicas get into each other's way.
#pragma once

#include <anabranch/transaction.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "simulation/random.hpp"

namespace anabranch::simulation {

/// A map or a field; node 0 is the bucket itself.
struct node {
    int parent;
    std::string name;
    field_type type;
};

/// What has a value of its own: a counter, register or flag, or one element of a set.
struct leaf {
    field_type type;
    int at;               ///< the field's node
    std::string element;  ///< of a set
    std::uint64_t above;  ///< the nodes on the way from the bucket to it, its own included, as bits
};

struct schema {
    std::vector<node> nodes;
    std::vector<leaf> leaves;
    std::vector<int> maps;
    bool is_narrow = false;  ///< one field, or two

    /// `is_crowded`: one or two fields of any type.
    static schema random(random_source& chance, bool is_crowded = false);

    bool is_below(const leaf& l, int ancestor) const { return (l.above >> ancestor & 1) != 0; }
    std::string describe(int at) const;
    std::string describe(const leaf& l) const;
};

bool is_set(field_type type);

/// Under which key its row stands.
std::string path_of(const schema& s, const leaf& l);

/// The handle of a map: of a view, or of a transaction.
map_view find_map(const schema& s, const map_view& bucket, int at);
map_ref find_map(const schema& s, const map_ref& bucket, int at);

}  // namespace anabranch::simulation
