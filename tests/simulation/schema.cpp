#include "simulation/schema.hpp"

#include <algorithm>

#include "store/keys.hpp"

namespace anabranch::simulation {
namespace {

using namespace std::string_literals;

constexpr field_type leaf_types[] = {field_type::counter,           field_type::last_writer,
                                     field_type::multi_value,       field_type::enable_wins_flag,
                                     field_type::disable_wins_flag, field_type::add_wins_set,
                                     field_type::remove_wins_set,   field_type::bounded_counter};

// Whose rows keep what is gone until all have seen that.
constexpr field_type hard_types[] = {field_type::disable_wins_flag, field_type::remove_wins_set, field_type::bounded_counter};

// Names that are hard on an encoding that orders paths, too.
const std::string names[] = {"a", "a", "a", "b", "", "\0"s, "a\0"s, "\xff"s, "a\x01"s, "\0\xff"s};

int add_node(schema& s, int parent, std::string name, field_type type) {
    s.nodes.push_back({parent, std::move(name), type});
    return static_cast<int>(s.nodes.size()) - 1;
}

std::uint64_t path_bits(const schema& s, int at) {
    std::uint64_t bits = 0;
    for (; at >= 0; at = s.nodes[static_cast<std::size_t>(at)].parent) bits |= std::uint64_t{1} << at;
    return bits;
}

bool has_child(const schema& s, int parent, const std::string& name, field_type type) {
    return std::ranges::any_of(
        s.nodes, [&](const node& n) { return n.parent == parent && n.name == name && n.type == type; });
}

void add_field(schema& s, random_source& chance, int map, field_type type) {
    const auto& name = chance.pick(names);
    if (has_child(s, map, name, type)) return;
    const int at = add_node(s, map, name, type);
    const auto above = path_bits(s, at);
    if (!is_set(type)) {
        s.leaves.push_back({type, at, {}, above});
        return;
    }
    const auto first = chance.below(std::size(names));
    const auto elements = 1 + chance.below(3);
    for (std::size_t i = 0; i < elements; ++i) {
        const auto& element = names[(first + i * 3) % std::size(names)];
        const bool is_known =
            std::ranges::any_of(s.leaves, [&](const leaf& l) { return l.at == at && l.element == element; });
        if (!is_known) s.leaves.push_back({type, at, element, above});
    }
}

template <class Map>
Map descend(const schema& s, const Map& bucket, int at) {
    const auto& n = s.nodes[static_cast<std::size_t>(at)];
    if (n.parent < 0) return bucket;
    return descend(s, bucket, n.parent).map(n.name);
}

std::string readable(const std::string& name) {
    std::string text;
    for (const char c : name)
        text +=
            c >= 'a' && c <= 'z' ? std::string(1, c) : '%' + std::to_string(static_cast<unsigned char>(c));
    return text;
}

}  // namespace

bool is_set(field_type type) {
    return type == field_type::add_wins_set || type == field_type::remove_wins_set;
}

std::string path_of(const schema& s, const leaf& l) {
    std::string path = is_set(l.type) ? store_keys::segment(l.element, store_keys::element_type) : std::string();
    for (int at = l.at; at > 0; at = s.nodes[static_cast<std::size_t>(at)].parent) {
        const auto& n = s.nodes[static_cast<std::size_t>(at)];
        path = store_keys::segment(n.name, static_cast<char>(n.type)) + path;
    }
    return path;
}

schema schema::random(random_source& chance, bool is_crowded) {
    schema s;
    s.maps.push_back(add_node(s, -1, {}, field_type::map));
    const auto maps = chance.below(is_crowded ? 2 : 4);
    for (std::size_t i = 0; i < maps; ++i) {
        const int parent = chance.pick(s.maps);
        const auto& name = chance.pick(names);
        if (!has_child(s, parent, name, field_type::map))
            s.maps.push_back(add_node(s, parent, name, field_type::map));
    }
    // Some histories have a little of everything, others much of one type; and some hardly more than one place to fight for.
    s.is_narrow = is_crowded || chance.chance(15);
    const auto fields = is_crowded ? 1 + chance.below(2) : s.is_narrow ? 1 : 1 + chance.below(12);
    const bool is_mixed = is_crowded || (!s.is_narrow && chance.chance(70));
    const auto only = s.is_narrow && chance.chance(60) ? chance.pick(hard_types) : chance.pick(leaf_types);
    for (std::size_t i = 0; i < fields; ++i) {
        auto type = is_mixed ? chance.pick(leaf_types) : only;
        // Requests do nothing to those yet.
        if (is_crowded && type == field_type::bounded_counter) type = field_type::counter;
        add_field(s, chance, chance.pick(s.maps), type);
    }
    if (s.leaves.empty()) add_field(s, chance, 0, only);
    return s;
}

std::string schema::describe(int at) const {
    const auto& n = nodes[static_cast<std::size_t>(at)];
    if (n.parent < 0) return "";
    return describe(n.parent) + '/' + readable(n.name) + ':' + static_cast<char>(n.type);
}

std::string schema::describe(const leaf& l) const {
    return is_set(l.type) ? describe(l.at) + '.' + readable(l.element) : describe(l.at);
}

map_view find_map(const schema& s, const map_view& bucket, int at) { return descend(s, bucket, at); }
map_ref find_map(const schema& s, const map_ref& bucket, int at) { return descend(s, bucket, at); }

}  // namespace anabranch::simulation
