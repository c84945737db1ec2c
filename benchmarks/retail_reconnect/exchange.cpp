#include "retail_reconnect/exchange.hpp"

#include <stdexcept>

#include "measure/cost.hpp"
#include "measure/measurement.hpp"

namespace bench::retail {

connection::side::side(const anabranch::store& store, const anabranch::session_options& options)
    : store_(store), session_(store, options, steady_now()) {}

void connection::side::look() { session_.poll(steady_now()); }

std::string connection::side::speak() {
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

void connection::side::hear(const std::string& bytes) {
    if (!bytes.empty()) session_.receive(bytes, steady_now());
    if (session_.failure()) throw std::runtime_error("the session ended: " + session_.failure()->message);
}

connection::connection(const anabranch::store& edge, const anabranch::store& cloud,
                       const anabranch::session_options& options)
    : edge_(edge, options), cloud_(cloud, options) {}

traffic connection::exchange() {
    edge_.look();
    cloud_.look();
    traffic total;
    while (true) {
        const std::string from_edge = edge_.speak();
        const std::string from_cloud = cloud_.speak();
        if (from_edge.empty() && from_cloud.empty()) break;
        total.edge_to_cloud += from_edge.size();
        total.cloud_to_edge += from_cloud.size();
        ++total.flights;
        cloud_.hear(from_edge);
        edge_.hear(from_cloud);
    }
    if (!edge_.in_sync() || !cloud_.in_sync()) throw std::runtime_error("the sessions stopped before both were equal");
    return total;
}

traffic reconnect(const anabranch::store& edge, const anabranch::store& cloud,
                  const anabranch::session_options& options) {
    return connection(edge, cloud, options).exchange();
}

}  // namespace bench::retail
