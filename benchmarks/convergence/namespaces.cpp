// The reconnect over a real link: two processes in network namespaces of their own, joined by a veth pair that is shaped:
// by netem, or where the kernel has none by tbf, which limits the rate and delays nothing. Namespaces and link go away
// with the processes.
#include <anabranch/replica.hpp>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "convergence/measurements.hpp"
#include "driver/child.hpp"
#include "measure/cost.hpp"
#include "retail_reconnect/catalogue.hpp"
#include "retail_reconnect/exchange.hpp"

namespace bench::convergence {

namespace {

constexpr const char* here = "10.99.0.1";
constexpr const char* there = "10.99.0.2";
constexpr const char* port = "7400";

/// Why it cannot be done on this machine.
struct not_possible : std::runtime_error {
    using runtime_error::runtime_error;
};

void run(const std::vector<std::string>& command) {
    auto program = find_program(command[0]);
    if (program.empty()) program = std::filesystem::path("/usr/sbin") / command[0];
    if (::access(program.c_str(), X_OK) != 0) throw not_possible("there is no " + command[0]);
    auto with_path = command;
    with_path[0] = program;
    // What it has to say against it is told in our words.
    with_path.insert(with_path.begin(), {"/bin/sh", "-c", "exec \"$0\" \"$@\" 2>&1"});
    try {
        run_child(with_path);
    } catch (const std::runtime_error& failure) {
        std::string text;
        for (const auto& word : command) text += (text.empty() ? "" : " ") + word;
        throw not_possible(text + " failed");
    }
}

void enter_namespace() {
    if (::unshare(CLONE_NEWNET) != 0) throw not_possible(std::string("a network namespace: ") + std::strerror(errno));
}

enum class shaper { netem, tbf };

/// With what the kernel has.
shaper shape(const char* device, const std::string& address, const json::object& parameters) {
    run({"ip", "address", "add", address + "/24", "dev", device});
    run({"ip", "link", "set", device, "up"});
    const auto rate = std::to_string(number_in(parameters, "mbit_per_s")) + "mbit";
    const std::vector<std::string> root = {"tc", "qdisc", "add", "dev", device, "root"};
    const auto with = [&](std::vector<std::string> words) {
        words.insert(words.begin(), root.begin(), root.end());
        return words;
    };
    // Queues for as much as a window, so that nothing is dropped.
    try {
        // Half of the round trip each way.
        run(with({"netem", "delay", std::to_string(number_in(parameters, "rtt_ms") * 500) + "us", "rate", rate, "limit",
                  "100000"}));
        return shaper::netem;
    } catch (const not_possible&) {
        run(with({"tbf", "rate", rate, "burst", "32kb", "limit", "64mb"}));
        return shaper::tbf;
    }
}

/// The other process: waits for its end of the link, and listens until it is killed.
class listener {
  public:
    listener(anabranch::store store, const json::object& parameters) {
        int to_parent[2];
        int to_child[2];
        if (::pipe2(to_parent, O_CLOEXEC) != 0 || ::pipe2(to_child, O_CLOEXEC) != 0) throw not_possible("a pipe");
        const pid_t parent = ::getpid();
        id_ = ::fork();
        if (id_ < 0) throw not_possible("another process");
        if (id_ == 0) serve(std::move(store), parameters, to_parent[1], to_child[0], parent);
        from_child_ = to_parent[0];
        to_child_ = to_child[1];
        ::close(to_parent[1]);
        ::close(to_child[0]);
    }
    ~listener() {
        ::kill(id_, SIGKILL);
        ::waitpid(id_, nullptr, 0);
        ::close(from_child_);
        ::close(to_child_);
    }
    listener(const listener&) = delete;
    listener& operator=(const listener&) = delete;

    pid_t id() const { return id_; }
    /// It has done its next step.
    void wait() const {
        char said = 0;
        if (::read(from_child_, &said, 1) != 1) throw not_possible("the other process ended early");
    }
    void tell() const {
        if (::write(to_child_, "+", 1) != 1) throw not_possible("the other process ended early");
    }

  private:
    [[noreturn]] static void serve(anabranch::store store, const json::object& parameters, int out, int in, pid_t parent) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) ::_exit(127);
        try {
            char heard = 0;
            enter_namespace();
            if (::write(out, "+", 1) != 1 || ::read(in, &heard, 1) != 1) ::_exit(1);
            shape("bench1", there, parameters);
            anabranch::replica listening(std::move(store), {.listen = std::string(there) + ":" + port});
            expect(listening.start());
            if (::write(out, "+", 1) != 1) ::_exit(1);
            while (true) ::pause();
        } catch (...) {
            ::_exit(1);
        }
    }

    pid_t id_ = -1;
    int from_child_ = -1;
    int to_child_ = -1;
};

row run_over(const json::object& parameters) {
    // Both in this process at first, so that they meet; memory engines have no threads that a fork would lose.
    auto edge = expect(anabranch::store::in_memory());
    auto cloud = expect(anabranch::store::in_memory());
    auto at_edge = expect(edge.create_bucket(retail::bucket_name));
    expect(edge.sync());
    auto at_cloud = expect(cloud.bucket(retail::bucket_name));
    retail::reconnect(edge, cloud, {});
    const std::vector<retail::product> nothing(retail::product_count);
    const auto operations = number_in(parameters, "operations");
    retail::commit_each(at_edge, retail::solo(nothing, retail::edge_seed).draw(operations));
    retail::commit_each(at_cloud, retail::solo(nothing, retail::cloud_seed).draw(operations));

    enter_namespace();
    const listener other(cloud, parameters);
    other.wait();
    run({"ip", "link", "add", "name", "bench0", "type", "veth", "peer", "name", "bench1", "netns",
         std::to_string(other.id())});
    const auto shaped_by = shape("bench0", here, parameters);
    other.tell();
    other.wait();

    anabranch::replica calling(edge, {});
    expect(calling.start());
    const stopwatch watch;  // connecting included
    const auto report = expect(calling.sync_once(std::string(there) + ":" + port));
    const auto spent = watch.elapsed();
    return {{"converge_ms", spent.wall * 1000},
            {"bytes", report.totals.bytes_sent + report.totals.bytes_received},
            {"missed", operations},
            {"shaped_by", shaped_by == shaper::netem ? "netem" : "tbf"},
            {"rtt_ms", shaped_by == shaper::netem ? parameters.at("rtt_ms") : json::value(nullptr)},
            {"values_ok", report.totals.transactions_to_receive == 0 && report.totals.transactions_to_send == 0}};
}

}  // namespace

rows measure_namespaces(const json::object& parameters) {
    row result;
    try {
        result = run_over(parameters);
    } catch (const not_possible& why) {
        result["skipped"] = why.what();
    }
    for (const char* name : {"operations", "mbit_per_s"}) result[name] = parameters.at(name);
    result["system"] = "anabranch";
    result["engine"] = "memory";
    return {result};
}

}  // namespace bench::convergence
