#include "store/store_state.hpp"

#include <anabranch/limits.hpp>
#include <algorithm>

#include "base/random.hpp"
#include "codec/archive.hpp"

namespace anabranch::detail {
namespace {

using storage::space;

std::string origin_key(std::size_t number) {
    return store_keys::origin_prefix + store_keys::big_endian32(static_cast<std::uint32_t>(number));
}

std::string bucket_entry(store_keys::bucket_number number, participation as) {
    return store_keys::big_endian32(static_cast<std::uint32_t>(number)) + static_cast<char>(as);
}

/// Of several copies of one disk each becomes a new incarnation by itself, and two of them must not become the same one:
/// not counted up, but made of time, so that later ones are greater, and chance.
replica_id after(replica_id id, const environment& env) {
    constexpr unsigned random_bits = 20;
    const auto now = static_cast<std::uint64_t>(std::max(env.now(), std::chrono::milliseconds{0}).count());
    const auto since = std::max(now, (id.incarnation >> random_bits) + 1);
    id.incarnation = since << random_bits | env.random() >> (64 - random_bits);
    return id;
}

std::optional<std::uint32_t> parse_number(std::string_view bytes) {
    if (bytes.size() != 4) return std::nullopt;
    return static_cast<std::uint32_t>(store_keys::read_big_endian(bytes));
}

}  // namespace

store_state::store_state(std::unique_ptr<storage::engine> engine, std::unique_ptr<storage::host_files> host, store_options options)
    : engine_(std::move(engine)), options_(std::move(options)), clock_(options_.env.now) {
    if (host != nullptr) host_.emplace(std::move(host));
}

store_state::~store_state() {
    // So that nothing is left to replay. Where it fails the log still has everything.
    for (const auto& [name, bucket] : buckets_) (void)bucket->flush();
}

result<std::shared_ptr<store_state>> store_state::open(std::unique_ptr<storage::engine> engine, std::unique_ptr<storage::host_files> host,
                                                       store_options options) {
    std::shared_ptr<store_state> store(new store_state(std::move(engine), std::move(host), std::move(options)));
    if (auto loaded = store->load(); !loaded) return fail(loaded.error());
    return store;
}

result<void> store_state::load() {
    kept_identity kept;
    std::map<std::string, std::pair<store_keys::bucket_number, participation>> found;
    auto cursor = engine_->scan(space::meta, {});
    for (; cursor->valid(); cursor->next()) {
        const auto key = cursor->key();
        const auto unusable = [&] { return fail(errc::corrupt, "the store's entry \"" + std::string(key) + "\" cannot be decoded"); };
        if (key == store_keys::identity_key) {
            kept.id = codec::decode<replica_id>(cursor->value());
            if (!kept.id) return unusable();
        } else if (key == store_keys::host_key) {
            kept.host = codec::decode<host_entry>(cursor->value());
            if (!kept.host) return unusable();
        } else if (key == store_keys::restored_key) {
            kept.is_restored = true;
        } else if (key == store_keys::accepted_key) {
            const auto at = codec::decode<std::uint64_t>(cursor->value());
            if (!at) return unusable();
            accepted_ = *at;
        } else if (key.front() == store_keys::origin_prefix) {
            const auto id = codec::decode<replica_id>(cursor->value());
            if (!id || key != origin_key(static_cast<std::size_t>(origins_.intern(*id)))) return unusable();
        } else if (key.front() == store_keys::bucket_prefix) {
            const auto number = parse_number(cursor->value().substr(0, 4));
            if (!number || cursor->value().size() != 5) return unusable();
            found.emplace(key.substr(1), std::pair(store_keys::bucket_number{*number},
                                                   static_cast<participation>(cursor->value()[4])));
            next_bucket_ = std::max(next_bucket_, *number + 1);
        }
    }
    if (auto status = cursor->status(); !status) return status;
    persisted_origins_ = origins_.size();
    if (auto taken = take_identity(kept); !taken) return taken;
    opening_ = options_.env.random();
    for (const auto& [name, entry] : found) {
        if (auto added = add_bucket(name, entry.first, entry.second); !added) return added;
    }
    // What the dead process had written may still be in the system's cache only.
    wrote();
    return sync_log();
}

result<void> store_state::take_identity(const kept_identity& kept) {
    auto self = kept.id.value_or(replica_id{});
    bool is_same = kept.id && !kept.is_restored;
    if (is_same && host_) {
        const auto recognised = host_->recognise(self, kept.host);
        if (!recognised) return fail(recognised.error());
        is_same = *recognised;
    }
    if (!is_same) self = kept.id ? after(self, options_.env) : replica_id{random_bytes(options_.env), 1};
    take_incarnation(origins_.intern(self));
    if (is_same && !host_) return {};
    storage::batch batch;
    batch.put(space::meta, std::string(store_keys::identity_key), codec::encode(self));
    if (kept.is_restored) batch.erase(space::meta, std::string(store_keys::restored_key));
    if (host_) {
        // A process that died may have left the token in the system's cache only, and the host is about to forget the one before.
        if (auto synced = engine_->sync(); !synced) return synced;
        const auto next = host_->renew(self, options_.env);
        if (!next) return fail(next.error());
        batch.put(space::meta, std::string(store_keys::host_key), codec::encode(*next));
    }
    persist_origins(batch);
    if (auto written = engine_->write(batch); !written) return written;
    origins_persisted(origins_.size());
    auto is_on_disk = engine_->sync();
    if (!is_on_disk || !host_) return is_on_disk;
    return host_->confirm();
}

result<void> store_state::add_bucket(std::string name, store_keys::bucket_number number, participation as) {
    auto bucket = std::make_unique<bucket_state>(*this, number, name, as);
    if (auto recovered = bucket->recover(); !recovered) return recovered;
    buckets_.emplace(std::move(name), std::move(bucket));
    return {};
}

result<std::shared_ptr<bucket_state>> store_state::bucket(std::string_view name, participation as, std::optional<part> below) {
    if (auto found = find_bucket(name)) {
        if (auto wanted = found->want(std::move(below)); !wanted) return fail(wanted.error());
        if (found->participates() == as) return found;
        storage::batch batch;
        batch.put(space::meta, store_keys::bucket_prefix + std::string(name), bucket_entry(found->number(), as));
        if (auto written = engine_->write(batch); !written) return fail(written.error());
        found->participate(as);
        notify();
        return found;
    }
    if (name.empty() || name.size() > limits::bucket_name) {
        return fail(errc::invalid_argument, "a bucket's name has 1 to " + std::to_string(limits::bucket_name) + " bytes, this one " +
                                                std::to_string(name.size()));
    }
    const std::unique_lock lock(buckets_mutex_);
    auto it = buckets_.find(name);
    if (it == buckets_.end()) {
        if (buckets_.size() == limits::buckets) {
            return fail(errc::limit_exceeded, "a store has at most " + std::to_string(limits::buckets) + " buckets");
        }
        const store_keys::bucket_number number{next_bucket_++};
        storage::batch batch;
        batch.put(space::meta, store_keys::bucket_prefix + std::string(name), bucket_entry(number, as));
        if (auto written = engine_->write(batch); !written) return fail(written.error());
        if (auto added = add_bucket(std::string(name), number, as); !added) return fail(added.error());
        it = buckets_.find(name);
        // A process that dies here has a bucket of which nothing has come: it may still become either.
        if (auto wanted = it->second->want(std::move(below)); !wanted) return fail(wanted.error());
    }
    return std::shared_ptr<bucket_state>(shared_from_this(), it->second.get());
}

std::shared_ptr<bucket_state> store_state::find_bucket(std::string_view name) {
    const std::shared_lock lock(buckets_mutex_);
    const auto it = buckets_.find(name);
    if (it == buckets_.end()) return nullptr;
    return {shared_from_this(), it->second.get()};
}

std::vector<std::string> store_state::bucket_names() const {
    const std::shared_lock lock(buckets_mutex_);
    std::vector<std::string> names;
    for (const auto& [name, bucket] : buckets_) names.push_back(name);
    return names;
}

timestamp store_state::horizon() const {
    // Half of what the clock can count, so that nobody can make it run over.
    constexpr timestamp end_of_time{UINT64_MAX / 2};
    const auto wall = std::max(options_.env.now(), timestamp{accepted_.load()}.wall());
    if (wall > end_of_time.wall() - options_.max_clock_drift) return end_of_time;
    return timestamp::from(wall + options_.max_clock_drift, UINT16_MAX);
}

result<void> store_state::accept_until(timestamp at) {
    const std::lock_guard lock(identity_mutex_);
    if (at.value <= accepted_) return {};
    storage::batch batch;
    batch.put(space::meta, std::string(store_keys::accepted_key), codec::encode(at.value));
    if (auto written = engine_->write(batch); !written) return written;
    accepted_ = at.value;
    wrote();
    notify();
    return {};
}

void store_state::persist_origins(storage::batch& batch) const {
    for (auto i = persisted_origins_.load(); i < origins_.size(); ++i) {
        batch.put(space::meta, origin_key(i), codec::encode(origins_.id(origin{static_cast<std::uint32_t>(i)})));
    }
}

result<void> store_state::persist_origins() {
    const auto count = origins_.size();
    if (persisted_origins_ == count) return {};
    storage::batch batch;
    persist_origins(batch);
    auto written = engine_->write(batch);
    if (written) origins_persisted(count);
    return written;
}

void store_state::origins_persisted(std::size_t count) {
    auto known = persisted_origins_.load();
    while (known < count && !persisted_origins_.compare_exchange_weak(known, count)) {
    }
}

origin store_state::next_incarnation(storage::batch& batch) {
    const std::lock_guard lock(identity_mutex_);
    const auto id = after(self().id, options_.env);
    const auto next = origins_.intern(id);
    batch.put(space::meta, std::string(store_keys::identity_key), codec::encode(id));
    persist_origins(batch);
    return next;
}

void store_state::take_incarnation(origin next) {
    const std::lock_guard lock(identity_mutex_);
    self_ = &incarnations_.emplace_back(incarnation{next, origins_.id(next)});
}

std::uint64_t store_state::subscribe(std::function<void()> woken) {
    const std::unique_lock lock(subscribers_mutex_);
    subscribers_.emplace(next_subscription_, std::move(woken));
    has_subscribers_ = true;
    return next_subscription_++;
}

void store_state::unsubscribe(std::uint64_t subscription) {
    const std::unique_lock lock(subscribers_mutex_);
    subscribers_.erase(subscription);
    has_subscribers_ = !subscribers_.empty();
}

void store_state::notify() const {
    if (!has_subscribers_) return;
    const std::shared_lock lock(subscribers_mutex_);
    for (const auto& [id, woken] : subscribers_) woken();
}

bool store_state::has_duties() const {
    const std::shared_lock lock(buckets_mutex_);
    return std::ranges::any_of(buckets_, [](const auto& entry) { return entry.second->has_duties(); });
}

result<void> store_state::sync() {
    // What this sync makes durable may bring more of them: for the next one. What fails of them is not the caller's to mend.
    if (has_duties()) {
        std::vector<bucket_state*> all;
        {
            const std::shared_lock lock(buckets_mutex_);
            for (const auto& [name, bucket] : buckets_) all.push_back(bucket.get());
        }
        for (auto* bucket : all) bucket->perform_duties();
    }
    return sync_log();
}

result<void> store_state::backup(const std::filesystem::path& to) {
    const std::lock_guard lock(backup_mutex_);
    return engine_->backup(to);
}

result<void> store_state::sync_log() {
    const auto target = written_.load();
    std::unique_lock lock(sync_mutex_);
    while (synced_ < target) {
        if (syncing_) {
            sync_done_.wait(lock);
            continue;
        }
        syncing_ = true;
        lock.unlock();
        auto reached = sync_engine();
        lock.lock();
        syncing_ = false;
        if (reached) synced_ = *reached;
        sync_done_.notify_all();
        if (!reached) return fail(reached.error());
        lock.unlock();
        notify();
        lock.lock();
    }
    return {};
}

result<std::uint64_t> store_state::sync_engine() {
    // In this order: what is counted has been captured, and what is captured will be on disk.
    const auto counted = written_.load();
    std::vector<std::pair<bucket_state*, bucket_state::tails>> captured;
    {
        const std::shared_lock lock(buckets_mutex_);
        for (const auto& [name, bucket] : buckets_) captured.emplace_back(bucket.get(), bucket->capture());
    }
    if (auto synced = engine_->sync(); !synced) return fail(synced.error());
    for (auto& [bucket, tails] : captured) bucket->publish(std::move(tails));
    return counted;
}

}  // namespace anabranch::detail
