#include "metamorphic/shown.hpp"

#include <algorithm>

namespace anabranch::test {
namespace {

std::string joined(std::vector<std::string> parts) {
    std::ranges::sort(parts);
    std::string text;
    for (const auto& p : parts) text += p + ' ';
    return text;
}

void show(const map_view& map, const std::string& above, shown_state& state) {
    const auto fields = map.fields().value();
    for (const auto& f : fields) {
        const auto place = above + '/' + f.name + ':' + static_cast<char>(f.type);
        switch (f.type) {
            case field_type::counter: state[place] = std::to_string(map.counter(f.name).value().value()); break;
            case field_type::bounded_counter: {
                const auto counter = map.bounded_counter(f.name);
                state[place] = std::to_string(counter.value().value()) + " above " + std::to_string(counter.bound().value());
                break;
            }
            case field_type::last_writer: state[place] = map.last_writer<std::string>(f.name).get().value().value(); break;
            case field_type::multi_value: {
                const auto candidates = map.multi_value<std::string>(f.name).get().value();
                std::vector<std::string> values;
                for (const auto& c : candidates) values.push_back(c.value);
                state[place] = joined(std::move(values));
                break;
            }
            case field_type::enable_wins_flag:
            case field_type::disable_wins_flag: state[place] = "enabled"; break;
            case field_type::add_wins_set: state[place] = joined(map.add_wins_set(f.name).elements().value()); break;
            case field_type::remove_wins_set: state[place] = joined(map.remove_wins_set(f.name).elements().value()); break;
            case field_type::map: show(map.map(f.name), place, state); break;
        }
    }
}

}  // namespace

shown_state shown(const bucket& b) {
    shown_state state;
    const auto done = b.read([&](const map_view& root) { show(root, {}, state); });
    if (!done) state["error"] = done.error().message;
    return state;
}

std::map<std::string, std::string> difference(const shown_state& one, const shown_state& other) {
    std::map<std::string, std::string> found;
    const auto value_in = [](const shown_state& s, const std::string& place) {
        const auto it = s.find(place);
        return it == s.end() ? std::string("nothing") : it->second;
    };
    for (const auto* s : {&one, &other}) {
        for (const auto& [place, value] : *s) {
            const auto a = value_in(one, place), b = value_in(other, place);
            if (a != b) found[place] = a + " | " + b;
        }
    }
    return found;
}

}  // namespace anabranch::test
