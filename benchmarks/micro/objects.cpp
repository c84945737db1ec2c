#include "micro/objects.hpp"

#include <algorithm>

namespace bench::micro {

replica workshop::make() {
    auto store = expect(directory_ ? anabranch::store::open(*directory_ / std::to_string(made_++))
                                   : anabranch::store::in_memory());
    auto bucket = expect(store.create_bucket("b"));
    return {store, bucket};
}

replica& workshop::keep(const std::string& name, std::int64_t size, const std::function<void(replica&)>& fill) {
    if (kept_ && name_ == name && size_ == size) return *kept_;
    kept_.reset();
    kept_.emplace(make());
    fill(*kept_);
    // Rows that wait are written: none of the filling is left for the operations to be measured.
    expect(kept_->bucket.snapshot());
    name_ = name;
    size_ = size;
    return *kept_;
}

replica& workshop::with_set(std::int64_t elements) {
    constexpr std::int64_t at_a_time = 1'000;
    return keep("set", elements, [elements](replica& one) {
        for (std::int64_t first = 0; first < elements; first += at_a_time) {
            expect(one.bucket.commit([&](anabranch::transaction& tx) {
                const auto set = tx.add_wins_set("set");
                for (auto i = first; i < std::min(first + at_a_time, elements); ++i) {
                    set.add(element(static_cast<std::uint64_t>(i)));
                }
            }));
        }
    });
}

}  // namespace bench::micro
