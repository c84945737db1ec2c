// Two replicas of one bucket in one process, which meet only when they are told to. For the small examples.
#pragma once

#include <anabranch/replica.hpp>
#include <anabranch/store.hpp>
#include <string>

struct two_replicas {
    anabranch::store cloud = anabranch::store::in_memory().value();
    anabranch::store edge = anabranch::store::in_memory().value();
    anabranch::bucket at_cloud = cloud.create_bucket("shop").value();
    anabranch::bucket at_edge = edge.bucket("shop").value();
    anabranch::replica listening{cloud, {.listen = "127.0.0.1:0"}};
    anabranch::replica calling{edge, {}};

    /// False without a network. Afterwards both may write.
    bool start() {
        if (!listening.start() || !calling.start()) return false;
        while (!at_edge.is_member()) meet();
        return true;
    }
    void meet() { calling.sync_once("127.0.0.1:" + std::to_string(listening.port())).value(); }
};
