#include "store/request_table.hpp"

#include <cstring>
#include <map>

#include "codec/archive.hpp"

namespace anabranch::detail {
namespace {

using storage::space;

tl::unexpected<error> unusable() { return fail(errc::corrupt, "what is known of a request cannot be decoded"); }

}  // namespace

std::size_t request_table::hash::operator()(const hash128& identity) const {
    std::size_t h = 0;
    std::memcpy(&h, identity.data(), sizeof h);
    return h;
}

result<std::optional<known_request>> request_table::find(const hash128& identity) const {
    {
        const std::lock_guard lock(mutex_);
        if (const auto it = changed_.find(identity); it != changed_.end()) return it->second;
    }
    const auto stored = engine_.get(space::rows, store_keys::request_key(bucket_, identity));
    if (!stored) return fail(stored.error());
    if (!*stored) return std::optional<known_request>{};
    auto known = codec::decode<known_request>(**stored);
    if (!known) return unusable();
    return known;
}

void request_table::count(std::uint64_t issued) {
    ++size_;
    ++issued_[issued >> second];
}

void request_table::discount(std::uint64_t issued) {
    --size_;
    const auto it = issued_.find(issued >> second);
    if (--it->second == 0) issued_.erase(it);
}

void request_table::put(const hash128& identity, known_request what, const known_request* before) {
    if (before != nullptr) discount(before->issued);
    count(what.issued);
    const std::lock_guard lock(mutex_);
    changed_[identity] = std::move(what);
}

void request_table::erase(const hash128& identity, std::uint64_t issued) {
    discount(issued);
    const std::lock_guard lock(mutex_);
    changed_[identity] = std::nullopt;
}

result<void> request_table::load(const std::function<void(const known_request&)>& visit_each) {
    return visit([&](const hash128&, const known_request& known) {
        count(known.issued);
        visit_each(known);
        return true;
    });
}

result<void> request_table::visit(const std::function<bool(const hash128&, const known_request&)>& each) const {
    std::map<hash128, std::optional<known_request>> waiting;
    {
        const std::lock_guard lock(mutex_);
        waiting.insert(changed_.begin(), changed_.end());
    }
    auto next = waiting.begin();
    const auto visit_waiting = [&](const hash128* before) {
        for (; next != waiting.end() && (before == nullptr || next->first < *before); ++next) {
            if (next->second && !each(next->first, *next->second)) return false;
        }
        return true;
    };
    const auto prefix = store_keys::request_prefix(bucket_);
    const auto cursor = engine_.scan(space::rows, prefix);
    for (; cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
        if (cursor->key().size() != store_keys::row_key_prefix + sizeof(hash128)) return unusable();
        const auto identity = store_keys::identity_in(cursor->key());
        if (!visit_waiting(&identity)) return {};
        if (waiting.contains(identity)) continue;
        const auto known = codec::decode<known_request>(cursor->value());
        if (!known) return unusable();
        if (!each(identity, *known)) return {};
    }
    if (auto status = cursor->status(); !status) return status;
    visit_waiting(nullptr);
    return {};
}

void request_table::add_changed(storage::batch& to) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [identity, known] : changed_) {
        auto key = store_keys::request_key(bucket_, identity);
        if (known) {
            to.put(space::rows, std::move(key), codec::encode(*known));
        } else {
            to.erase(space::rows, std::move(key));
        }
    }
}

}  // namespace anabranch::detail
