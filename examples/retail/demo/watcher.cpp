#include "demo/watcher.hpp"

namespace retail {

namespace {

constexpr auto interval = std::chrono::milliseconds(10);

/// Asks one side over a connection that is kept.
class poller {
  public:
    explicit poller(const side& watched) : side_(watched) {}

    std::optional<progress> ask() {
        const std::uint16_t port = side_.http_port();
        if (port == 0 || port != port_) client_.reset();
        if (port == 0) return {};
        try {
            port_ = port;
            if (!client_) client_ = std::make_unique<http_client>(port, std::chrono::seconds(5));
            return read_progress(*client_);
        } catch (const std::exception&) {
            client_.reset();
            return {};
        }
    }

  private:
    const side& side_;
    std::uint16_t port_ = 0;
    std::unique_ptr<http_client> client_;
};

}  // namespace

watcher::watcher(const side& edge, const side& cloud) : edge_(edge), cloud_(cloud) {
    thread_ = std::jthread([this](std::stop_token stop) { watch(stop); });
}

watcher::~watcher() = default;

double watcher::now() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

double watcher::mark(std::string label) {
    const std::lock_guard lock(mutex_);
    history_.marks.push_back({now(), std::move(label)});
    return history_.marks.back().seconds;
}

behind_sample watcher::latest() const {
    const std::lock_guard lock(mutex_);
    return history_.samples.empty() ? behind_sample{} : history_.samples.back();
}

progress watcher::edge_progress() const {
    const std::lock_guard lock(mutex_);
    return edge_progress_;
}

progress watcher::cloud_progress() const {
    const std::lock_guard lock(mutex_);
    return cloud_progress_;
}

watch_history watcher::history() const {
    const std::lock_guard lock(mutex_);
    return history_;
}

void watcher::watch(const std::stop_token& stop) {
    poller edge(edge_);
    poller cloud(cloud_);
    while (!stop.stop_requested()) {
        auto of_edge = edge.ask();
        auto of_cloud = cloud.ask();
        {
            const std::lock_guard lock(mutex_);
            if (of_edge) edge_progress_ = *of_edge;
            if (of_cloud) cloud_progress_ = *of_cloud;
            behind_sample sample{now(), {}, {}};
            if (of_edge) sample.edge = missing(edge_progress_, cloud_progress_);
            if (of_cloud) sample.cloud = missing(cloud_progress_, edge_progress_);
            history_.samples.push_back(sample);
        }
        std::this_thread::sleep_for(interval);
    }
}

}  // namespace retail
