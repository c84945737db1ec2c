#include "disk/workload.hpp"

#include "measure/measurement.hpp"

namespace bench::disk {

namespace {

constexpr std::uint32_t elements = 8;

std::string key_of(std::size_t i) { return "key/" + std::to_string(i); }

shown read_one(const anabranch::map_view& key) {
    shown found;
    found.count = expect(key.counter("counter").value());
    found.text = expect(key.last_writer<std::string>("register").get());
    for (auto& each : expect(key.multi_value<std::string>("candidates").get())) {
        found.candidates.push_back(std::move(each.value));
    }
    found.add_wins = expect(key.add_wins_set("add wins").elements());
    found.remove_wins = expect(key.remove_wins_set("remove wins").elements());
    found.flag = expect(key.disable_wins_flag("flag").value());
    return found;
}

void write_one(const anabranch::map_ref& key, const shown& value) {
    if (value.count != 0) key.counter("counter").add(value.count);
    if (value.text) key.last_writer<std::string>("register").set(*value.text);
    // Of values that were set at the same time one writer can make only one again.
    if (!value.candidates.empty()) key.multi_value<std::string>("candidates").set(value.candidates.front());
    for (const auto& each : value.add_wins) key.add_wins_set("add wins").add(each);
    for (const auto& each : value.remove_wins) key.remove_wins_set("remove wins").add(each);
    if (value.flag) key.disable_wins_flag("flag").enable();
}

}  // namespace

void worker::commit_one(anabranch::bucket& at) {
    expect(at.commit([&](anabranch::transaction& tx) {
        const auto key = tx.map(key_of(random_.below(keys_)));
        // A map is searched when it is cleared, so that this is rare.
        random_.below(10'000) == 0 ? key.clear() : change(key);
    }));
}

void worker::change(const anabranch::map_ref& key) {
    const auto k = random_.below(100);
    const auto value = std::to_string(random_.next());
    const auto element = "element/" + std::to_string(random_.below(elements));
    if (k < 38) return key.counter("counter").add(1 + random_.below(5));
    if (k < 40) return key.counter("counter").reset();
    if (k < 58) return key.last_writer<std::string>("register").set(value);
    if (k < 60) return key.last_writer<std::string>("register").clear();
    if (k < 66) return key.multi_value<std::string>("candidates").set(value);
    if (k < 74) return key.add_wins_set("add wins").add(element);
    if (k < 82) return key.add_wins_set("add wins").remove(element);
    if (k < 89) return key.remove_wins_set("remove wins").add(element);
    if (k < 96) return key.remove_wins_set("remove wins").remove(element);
    k < 98 ? key.disable_wins_flag("flag").enable() : key.disable_wins_flag("flag").disable();
}

std::vector<shown> read_all(const anabranch::bucket& from, std::uint32_t keys) {
    const auto now = expect(from.snapshot());
    std::vector<shown> all;
    for (std::uint32_t i = 0; i < keys; ++i) all.push_back(read_one(now.map(key_of(i))));
    return all;
}

void write_all(anabranch::bucket& one, anabranch::bucket& other, const std::vector<shown>& all) {
    for (std::size_t i = 0; i < all.size(); ++i) {
        auto& writer = i % 2 == 0 ? one : other;
        expect(writer.commit([&](anabranch::transaction& tx) { write_one(tx.map(key_of(i)), all[i]); }));
    }
}

}  // namespace bench::disk
