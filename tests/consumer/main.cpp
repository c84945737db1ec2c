// What somebody who uses the installed library writes first.
#include <anabranch/http.hpp>
#include <anabranch/store.hpp>

#include <cstdio>

int main() {
    auto store = anabranch::store::in_memory();
    if (!store) return 1;
    auto bucket = store->create_bucket("stock");
    if (!bucket) return 1;
    auto added = bucket->commit([](anabranch::transaction& tx) { tx.counter("apples").add(3); });
    if (!added) return 1;
    auto apples =
        bucket->read([](const anabranch::map_view& stock) { return stock.counter("apples").value(); });
    if (!apples || *apples != 3) return 1;
    if (!anabranch::http::check_readiness(*bucket, {}, {}).is_ready()) return 1;
    std::puts("3 apples");
}
