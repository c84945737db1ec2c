// The one source of chance: everything in a history follows from its seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>

namespace anabranch::simulation {

/// splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
class random_source {
  public:
    explicit random_source(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() {
        state_ += 0x9e3779b97f4a7c15;
        return scramble(state_);
    }
    /// 0 .. n - 1.
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(next() % n); }
    /// from .. to, both included.
    std::int64_t between(std::int64_t from, std::int64_t to) {
        return from + static_cast<std::int64_t>(below(static_cast<std::size_t>(to - from + 1)));
    }
    bool chance(unsigned percent) { return below(100) < percent; }
    bool one_in(std::size_t n) { return below(n) == 0; }
    template <class Items>
    auto& pick(Items& items) {
        return items[below(std::size(items))];
    }
    /// A source of its own, so that what draws from it does not disturb this one.
    random_source split() { return random_source(next()); }

    static std::uint64_t scramble(std::uint64_t z) {
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }

  private:
    std::uint64_t state_;
};

}  // namespace anabranch::simulation
