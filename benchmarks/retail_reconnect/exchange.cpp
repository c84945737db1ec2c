#include "retail_reconnect/exchange.hpp"

#include <stdexcept>

#include "measure/cost.hpp"
#include "measure/measurement.hpp"

namespace bench::retail {

namespace {

class side {
  public:
    side(const anabranch::store& store, const anabranch::session_options& options)
        : store_(store), session_(store, options, steady_now()) {}

    /// All that can be said now.
    std::string speak() {
        std::string said;
        while (true) {
            while (session_.wants_sync()) {
                expect(store_.sync());
                session_.poll(steady_now());
            }
            const std::string piece = session_.take_output();
            if (piece.empty()) return said;
            said += piece;
        }
    }
    void hear(const std::string& bytes) {
        if (!bytes.empty()) session_.receive(bytes, steady_now());
        if (session_.failure()) throw std::runtime_error("the session ended: " + session_.failure()->message);
    }
    bool in_sync() const { return session_.in_sync(); }

  private:
    anabranch::store store_;
    anabranch::session session_;
};

}  // namespace

traffic reconnect(const anabranch::store& edge, const anabranch::store& cloud,
                  const anabranch::session_options& options) {
    side at_edge(edge, options);
    side at_cloud(cloud, options);
    traffic total;
    while (true) {
        const std::string from_edge = at_edge.speak();
        const std::string from_cloud = at_cloud.speak();
        if (from_edge.empty() && from_cloud.empty()) break;
        total.edge_to_cloud += from_edge.size();
        total.cloud_to_edge += from_cloud.size();
        ++total.flights;
        at_cloud.hear(from_edge);
        at_edge.hear(from_cloud);
    }
    if (!at_edge.in_sync() || !at_cloud.in_sync()) throw std::runtime_error("the sessions stopped before both were equal");
    return total;
}

}  // namespace bench::retail
