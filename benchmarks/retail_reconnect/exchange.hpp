// Two stores meet through byte buffers.
#pragma once

#include <anabranch/session.hpp>
#include <cstdint>

namespace bench::retail {

struct traffic {
    std::uint64_t edge_to_cloud = 0;
    std::uint64_t cloud_to_edge = 0;
    unsigned flights = 0;
    std::uint64_t bytes() const { return edge_to_cloud + cloud_to_edge; }
    double round_trips() const { return flights / 2.0; }
};

/// A session of two stores that goes on.
class connection {
  public:
    connection(const anabranch::store& edge, const anabranch::store& cloud, const anabranch::session_options& options);

    /// Until both sides have the same on disk and say nothing more. In a flight each side says all that it can before it
    /// hears the other, so their number is how often the latency of a link would be paid, twice over.
    traffic exchange();

  private:
    class side {
      public:
        side(const anabranch::store& store, const anabranch::session_options& options);
        /// All that can be said now.
        std::string speak();
        void hear(const std::string& bytes);
        bool in_sync() const { return session_.in_sync(); }
        /// Sees what has been committed since.
        void look();

      private:
        anabranch::store store_;
        anabranch::session session_;
    };
    side edge_;
    side cloud_;
};

/// The first exchange of a new session.
traffic reconnect(const anabranch::store& edge, const anabranch::store& cloud,
                  const anabranch::session_options& options);

}  // namespace bench::retail
