// Networks of this program's own: nothing reaches it from outside, and nothing of it gets out.
#pragma once

#include <stdexcept>
#include <string>

namespace retail {

/// This machine does not let it make networks, or lacks `ip`.
struct no_network : std::runtime_error {
    using runtime_error::runtime_error;
};

/// Two network namespaces with a link between them: here (edges, gateway and whoever drives them) and the
/// cloud. They need no names, and end with the last process in them. Made by the main thread before all
/// others, and used by it.
class network {
  public:
    // Addresses of the cloud: on the link, and on one of the driver's own, which is never cut.
    static constexpr auto cloud_address = "10.77.0.2";
    static constexpr auto control_address = "10.77.1.2";
    /// The other end of that one.
    static constexpr auto driver_address = "10.77.1.1";

    /// As root, or where users may make namespaces. Throws no_network.
    network();
    ~network();
    network(const network&) = delete;
    network& operator=(const network&) = delete;

    /// What `fn` opens or starts is in the cloud.
    template <class Function>
    void in_cloud(Function fn) {
        enter(cloud_);
        try {
            fn();
        } catch (...) {
            enter(here_);
            throw;
        }
        enter(here_);
    }

    /// The link down, as when a cable is pulled: what is under way is lost without a word to either side.
    void cut();
    void heal();

  private:
    static void enter(int network);

    int here_ = -1;
    int cloud_ = -1;
};

}  // namespace retail
