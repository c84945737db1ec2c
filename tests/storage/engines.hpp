// The engines under test, and short words to use them in tests.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "storage/engine.hpp"
#include "storage/memory/memory_engine.hpp"
#include "storage/rocksdb/rocksdb_engine.hpp"
#include "storage/scratch_directory.hpp"
#include "support/catch.hpp"
#include "support/crashable_engine.hpp"

namespace anabranch::test {

using storage::batch;
using storage::space;

inline constexpr space all_spaces[] = {space::meta, space::rows, space::log};

/// The value, or a failed test that says what went wrong.
template <class T>
T ok(result<T> r) {
    INFO((r ? std::string() : r.error().message));
    REQUIRE(r.has_value());
    if constexpr (!std::is_void_v<T>) return std::move(*r);
}

template <class T>
errc code_of(const result<T>& r) {
    REQUIRE_FALSE(r.has_value());
    CHECK_FALSE(r.error().message.empty());
    return r.error().code;
}

struct memory_kind {
    std::unique_ptr<storage::engine> engine = storage::open_memory();
};

struct rocksdb_kind {
    scratch_directory directory;
    std::unique_ptr<storage::engine> engine = ok(storage::open_rocksdb(directory.store()));
};

struct crashable_kind {
    std::shared_ptr<simulated_disk> disk = std::make_shared<simulated_disk>();
    std::unique_ptr<storage::engine> engine = ok(crashable_engine::open(disk));
};

using entries = std::vector<std::pair<std::string, std::string>>;

inline void put(storage::engine& e, space where, std::string key, std::string value) {
    batch one;
    one.put(where, std::move(key), std::move(value));
    ok(e.write(one));
}

inline std::optional<std::string> get(const storage::engine& e, space where, std::string_view key,
                                      const storage::snapshot* at = nullptr) {
    return ok(e.get(where, key, at));
}

/// What a cursor has yet to show.
inline entries rest(storage::cursor& from) {
    entries all;
    for (; from.valid(); from.next()) all.emplace_back(from.key(), from.value());
    ok(from.status());
    return all;
}

inline entries everything(const storage::engine& e, space where, const storage::snapshot* at = nullptr) {
    return rest(*e.scan(where, {}, at));
}

}  // namespace anabranch::test
