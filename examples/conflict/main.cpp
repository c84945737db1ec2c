// Two replicas set a price apart: who wrote what and when, which one is shown and why, and how it is settled.
#include <anabranch/cereal.hpp>
#include <cereal/types/string.hpp>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "../two_replicas.hpp"

using anabranch::bucket;
using anabranch::contender;
using anabranch::standing;

namespace {

bool set_price(bucket& at, const std::string& price) {
    return at.commit([&](auto& tx) { tx.map("tea").template last_writer<std::string>("price").set(price); })
        .has_value();
}

std::vector<contender> prices(const bucket& at) {
    return at
        .read([](const auto& shop) {
            return shop.map("tea").contenders("price", anabranch::field_type::last_writer);
        })
        .value();
}

const char* word_of(standing why) {  // of registers
    switch (why) {
        case standing::only:
            return "nothing stands beside it";
        case standing::latest:
            return "it is the latest";
        case standing::earlier:
            return "another one is later";
        case standing::greater_replica:
            return "as late as another one, of the greater replica";
        default:
            return "another one is as late, of the greater replica";
    }
}

void print(const std::vector<contender>& all) {
    for (const auto& one : all) {
        std::cout << (one.is_shown ? "  shown:     " : "  not shown: ")
                  << anabranch::value_codec<std::string>::decode(one.value).value() << ", transaction "
                  << one.writer.sequence << " of replica " << to_string(one.writer.origin) << ", at "
                  << (one.at ? std::to_string(one.at->wall().count()) : "?") << " ms: " << word_of(one.why)
                  << '\n';
    }
}

int give_up(const char* what) {
    std::cerr << "conflict: " << what << '\n';
    return 1;
}

}  // namespace

int main() {
    two_replicas both_sides;
    if (!both_sides.start()) return give_up("no network");
    auto& edge = both_sides.edge;
    auto& at_cloud = both_sides.at_cloud;
    auto& at_edge = both_sides.at_edge;
    const auto meet = [&] { both_sides.meet(); };

    if (!set_price(at_cloud, "4.50")) return give_up("cloud set no price");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // so that edge's is later, if clocks go on
    if (!set_price(at_edge, "3.90")) return give_up("edge set no price");
    meet();
    const auto both = prices(at_cloud);
    std::cout << "two prices of tea, set apart:\n";
    print(both);
    if (both.size() != 2 || !both[0].is_shown || both[1].is_shown) return give_up("not one of two is shown");
    if (both != prices(at_edge)) return give_up("the two see it differently");

    // Whoever has seen both and writes again settles it.
    if (!set_price(at_edge, "4.20")) return give_up("the price was not settled");
    meet();
    std::cout << "settled by edge, which had seen both:\n";
    const auto one = prices(at_cloud);
    print(one);
    if (one.size() != 1 || one[0].why != standing::only || one[0].writer.origin != edge.id()) {
        return give_up("not settled");
    }
    return 0;
}
