#include "disk/members.hpp"

#include "measure/measurement.hpp"

namespace bench::disk {

namespace {

anabranch::store open(const std::filesystem::path& directory) {
    return expect(anabranch::store::open(directory, {.log_retain_bytes = 0, .log_limit_bytes = log_limit}));
}

}  // namespace

members::members(const std::filesystem::path& directory) {
    std::filesystem::create_directories(directory);
    edge_ = open(directory / "edge");
    cloud_ = open(directory / "cloud");
    at_edge_ = expect(edge_->create_bucket(bucket_name));
    expect(edge_->sync());
    at_cloud_ = expect(cloud_->bucket(bucket_name));
    // Each tells at every meeting what it has on disk: the log is cut up to the meeting before.
    anabranch::session_options options;
    options.adverts = {};
    options.timeout = std::chrono::hours(24);
    connection_.emplace(*edge_, *cloud_, options);
    meet();
    if (!at_cloud_->is_member()) throw std::runtime_error("the cloud was not let in");
}

void members::settle() {
    // What one hears in a meeting it acts on in the next sync, and tells in the next meeting.
    for (int round = 0; round < 4; ++round) {
        meet();
        for (auto* store : {&*edge_, &*cloud_}) expect(store->sync());
    }
}

void members::close() {
    connection_.reset();
    at_edge_.reset();
    at_cloud_.reset();
    edge_.reset();
    cloud_.reset();
}

}  // namespace bench::disk
