// The workload `retail-reconnect`, apart from any library: what each side does and what has to come out. The same
// draws as in peers/src/workload.rs; README.md defines it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace bench::retail {

inline constexpr std::size_t product_count = 10'000;
inline constexpr std::uint32_t tag_count = 32;
inline constexpr std::uint64_t edge_seed = 1001;
inline constexpr std::uint64_t cloud_seed = 2002;
inline constexpr std::uint64_t extra_seed = 3003;

/// splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
class splitmix64 {
  public:
    explicit splitmix64(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() {
        std::uint64_t z = state_ += 0x9e37'79b9'7f4a'7c15;
        z = (z ^ z >> 30) * 0xbf58'476d'1ce4'e5b9;
        z = (z ^ z >> 27) * 0x94d0'49bb'1331'11eb;
        return z ^ z >> 31;
    }
    std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(next() % bound); }

  private:
    std::uint64_t state_;
};

/// Bit i for tag i.
using tag_set = std::uint32_t;

struct product {
    std::int64_t stock = 0;
    std::int64_t price = 0;
    tag_set tags = 0;
    bool operator==(const product&) const = default;
};

struct operation {
    enum class kind : std::uint8_t { add_stock, set_price, add_tag, remove_tag };
    std::uint32_t product = 0;
    kind what{};
    std::int32_t amount = 0;  // what is added, the price, or the tag
};

std::vector<product> initial_products();

/// "product/17", and tags of two digits, so that the order of the strings is that of the numbers. Made once:
/// formatting them is no part of what a library costs.
const std::string& key_of(std::size_t product);
const std::string& name_of_tag(std::uint32_t tag);

/// What one side has done to one product since it was disconnected.
struct product_history {
    product now;
    bool is_priced = false;
    tag_set added = 0;  // present because of an add of this side, which a remove elsewhere cannot have seen
    tag_set removed = 0;
};

/// One side while it is alone. It can be drawn without any library, because its view is the same in all of them.
class solo {
  public:
    solo(const std::vector<product>& before, std::uint64_t seed);

    /// The next operations, and the view moves on.
    std::vector<operation> draw(std::size_t count);
    const std::vector<product_history>& products() const { return products_; }

  private:
    operation draw_one();
    void record(const operation& op);

    splitmix64 random_;
    std::vector<product_history> products_;
};

/// Every counter is 100 and all deltas, every price one of the last written, every tag set the add-wins result.
bool is_right(const std::vector<product>& initial, const solo& edge, const solo& cloud,
              const std::vector<product>& merged);

}  // namespace bench::retail
