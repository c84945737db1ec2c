// Readers that hold a part of a bucket. docs/partial-replication.md
#include "codec/archive.hpp"
#include "store/bucket_state.hpp"
#include "store/step_writer.hpp"
#include "store/store_state.hpp"

namespace anabranch::detail {

result<void> bucket_state::find_holding() {
    const auto stored = store_.engine().get(storage::space::meta, holding_key_);
    if (!stored) return fail(stored.error());
    if (!*stored) return {};
    auto found = codec::decode<holding>(**stored);
    if (!found) return fail(errc::corrupt, "which part of bucket \"" + name_ + "\" is held cannot be decoded");
    hold(std::move(*found));
    return {};
}

void bucket_state::hold(holding what) {
    {
        const std::lock_guard lock(holding_mutex_);
        holding_ = std::move(what);
    }
    held_ = holding_.held ? std::make_shared<const part>(*holding_.held) : nullptr;
    is_partial_ = held_ != nullptr;
}

result<void> bucket_state::want(std::optional<part> below) {
    {
        // From inside a closure, too.
        const std::lock_guard lock(holding_mutex_);
        if (holding_.wanted == below) return {};
    }
    if (auto allowed = check_outside(); !allowed) return allowed;
    std::unique_lock lock(mutex_);
    const bool is_empty = capture().empty();
    if (!holding_.held && !is_empty) return fail(errc::invalid_argument, "all of bucket \"" + name_ + "\" is held here already, not a part of it");
    auto next = holding_;
    next.wanted = std::move(below);
    // Where nothing has come yet all of it is as good as held.
    if (is_empty) next.held = next.wanted ? std::optional(part()) : std::nullopt;
    storage::batch batch;
    batch.put(storage::space::meta, holding_key_, codec::encode(next));
    if (auto written = store_.engine().write(batch); !written) return written;
    hold(std::move(next));
    lock.unlock();
    store_.notify();
    return {};
}

bool bucket_state::is_filling() const {
    const std::lock_guard lock(holding_mutex_);
    return holding_.held != holding_.wanted;
}

std::vector<std::vector<field>> bucket_state::held() const {
    const std::shared_lock lock(mutex_);
    if (!held_) return {{}};
    std::vector<std::vector<field>> all;
    for (const auto& path : held_->paths()) all.push_back(change_at(path, {}).path);
    return all;
}

result<void> bucket_state::check_whole() const {
    if (!is_partial_) return {};
    return fail(errc::not_held, "of bucket \"" + name_ + "\" only a part is held here");
}

bool bucket_state::has_durable(positions all) const {
    {
        const std::shared_lock lock(mutex_);
        std::erase_if(all, [&](const auto& entry) {
            const auto* m = members_.roster().find(entry.first);
            return m != nullptr && m->at == crdt::roster::stage::retired && m->last < entry.second;
        });
    }
    return is_durable(all);
}

}  // namespace anabranch::detail
