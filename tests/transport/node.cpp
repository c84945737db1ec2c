#include "transport/node.hpp"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "store/bucket_state.hpp"

namespace anabranch::test {

using namespace std::chrono_literals;

namespace {

template <class T>
void must(const result<T>& outcome) {
    if (!outcome) throw std::runtime_error(outcome.error().message);
}

}  // namespace

bool eventually(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::sleep_for(1ms);
    }
    return true;
}

bucket let_in(store& newcomer) {
    static std::mutex one_at_a_time;
    const std::lock_guard lock(one_at_a_time);
    static auto home = store::in_memory().value();
    static const auto founded = home.create_bucket("b").value();
    auto joined = newcomer.bucket("b").value();
    must(founded.state()->sponsor(newcomer.id()));
    must(home.sync());
    const auto log = founded.state()->read_log({}, {UINT64_MAX}, {});
    must(log);
    must(joined.state()->apply(*log, {UINT64_MAX}, home.id()));
    return joined;
}

node::node(replica_options options, store_options store_settings)
    : options_(std::move(options)),
      store_(store::in_memory(std::move(store_settings)).value()),
      bucket_(let_in(store_)) {
    if (options_.listen.empty()) options_.listen = "127.0.0.1:0";
    options_.backoff_min = 1ms;
    options_.backoff_max = 20ms;
    restart();
}

void node::restart() {
    replica_.reset();
    replica_ = std::make_unique<anabranch::replica>(store_, options_);
    must(replica_->start());
    port_ = replica_->port();
    options_.listen = endpoint();
}

void node::add(std::string_view element) {
    must(bucket_.commit([&](transaction& tx) { tx.add_wins_set("elements").add(element); }));
}

void node::add_many(std::string_view prefix, int count) {
    for (int i = 0; i < count; ++i) add(std::string(prefix) + std::to_string(i));
}

bool node::has(std::string_view element) const {
    return bucket_.read([&](const map_view& view) { return view.add_wins_set("elements").contains(element); })
        .value();
}

std::size_t node::size() const {
    return bucket_.read([&](const map_view& view) { return view.add_wins_set("elements").size(); }).value();
}

hash128 node::digest() const { return bucket_.digest().value(); }

peer_status node::status(std::string_view endpoint) const {
    const auto all = replica_->peers();
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const peer_status& peer) { return peer.endpoint == endpoint; });
    return found == all.end() ? peer_status{} : *found;
}

bool node::is_live(std::string_view endpoint) const {
    const auto peer = status(endpoint);
    return peer.connected && peer.phase == session_phase::live;
}

bool converge(std::initializer_list<const node*> nodes, std::size_t size) {
    return eventually([&] {
        return std::all_of(nodes.begin(), nodes.end(), [&](const node* each) {
            return each->size() == size && each->digest() == (*nodes.begin())->digest();
        });
    });
}

replica_options peers(std::initializer_list<std::string> endpoints) {
    replica_options options;
    options.peers = endpoints;
    return options;
}

}  // namespace anabranch::test
