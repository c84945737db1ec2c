#include "network.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <system_error>

namespace retail {

namespace {

std::string reason() { return std::generic_category().message(errno); }

int open_own() {
    const int network = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (network < 0) throw no_network("a network namespace cannot be opened: " + reason());
    return network;
}

void run(const std::string& arguments) {
    const std::string command = "PATH=\"$PATH:/usr/sbin:/sbin\"; exec ip " + arguments;
    if (std::system(command.c_str()) != 0)
        throw no_network("ip " + arguments + " failed (it is in the package iproute2)");
}

/// Root of its own networks only: enough to set them up.
void become_root_inside(uid_t user, gid_t group) {
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << "0 " << user << " 1";
    std::ofstream("/proc/self/gid_map") << "0 " << group << " 1";
}

}  // namespace

network::network() {
    const uid_t user = ::geteuid();
    const gid_t group = ::getegid();
    if (::unshare(user == 0 ? CLONE_NEWNET : CLONE_NEWNET | CLONE_NEWUSER) != 0) {
        throw no_network("a network namespace cannot be made: " + reason());
    }
    if (user != 0) become_root_inside(user, group);
    here_ = open_own();
    if (::unshare(CLONE_NEWNET) != 0) throw no_network("a network namespace cannot be made: " + reason());
    cloud_ = open_own();
    enter(here_);

    const std::string cloud = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(cloud_);
    run("link set lo up");
    run("link add to-cloud type veth peer name to-mesh netns " + cloud);
    run("link add control type veth peer name control netns " + cloud);
    run("address add 10.77.0.1/24 dev to-cloud");
    run(std::string("address add ") + driver_address + "/24 dev control");
    run("link set to-cloud up");
    run("link set control up");
    in_cloud([] {
        run("link set lo up");
        run(std::string("address add ") + cloud_address + "/24 dev to-mesh");
        run(std::string("address add ") + control_address + "/24 dev control");
        run("link set to-mesh up");
        run("link set control up");
    });
}

network::~network() {
    ::close(here_);
    ::close(cloud_);
}

void network::enter(int network) {
    if (::setns(network, CLONE_NEWNET) != 0) {
        throw no_network("a network namespace cannot be entered: " + reason());
    }
}

void network::cut() {
    in_cloud([] { run("link set to-mesh down"); });
}

void network::heal() {
    in_cloud([] { run("link set to-mesh up"); });
}

}  // namespace retail
