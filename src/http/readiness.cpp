#include <anabranch/http.hpp>

#include <algorithm>

namespace anabranch::http {
namespace {

std::string body_of(const std::vector<std::string_view>& reasons, std::uint64_t behind) {
    std::string body = reasons.empty() ? R"({"ready":true,"reasons":[)" : R"({"ready":false,"reasons":[)";
    for (const auto reason : reasons) {
        if (reason != reasons.front()) body += ',';
        body.append("\"").append(reason).append("\"");  // names of ours: nothing to escape
    }
    return body + "],\"behind\":" + std::to_string(behind) + "}\n";
}

}  // namespace

readiness check_readiness(const instance_state& state, const readiness_options& options) {
    const bool may_serve = state.is_member || !options.must_be_member;
    const bool is_behind = state.behind > options.max_behind;

    readiness found;
    if (state.is_draining) found.reasons.push_back("draining");
    if (!state.can_write) found.reasons.push_back("storage");
    if (!may_serve) found.reasons.push_back("not_a_member");
    if (is_behind && !state.has_caught_up) found.reasons.push_back("behind");
    if (state.connected_peers < options.min_connected_peers) found.reasons.push_back("too_few_peers");

    // Only who has met somebody knows how far behind it is.
    found.has_caught_up = state.has_caught_up || (may_serve && state.live_peers > 0 && !is_behind);
    found.body = body_of(found.reasons, state.behind);
    if (!found.is_ready()) {
        found.status = 503;
        found.retry_after = std::chrono::seconds{1};
    }
    return found;
}

readiness check_readiness(const bucket& of, std::span<const peer_status> peers, instance_state known,
                          const readiness_options& options) {
    known.is_member = of.is_member();
    known.connected_peers = known.live_peers = 0;
    known.behind = 0;
    for (const auto& peer : peers) {
        // What is known of others is of their last session.
        if (!peer.connected) continue;
        ++known.connected_peers;
        if (peer.phase == session_phase::live) ++known.live_peers;
        known.behind = std::max(known.behind, peer.totals.transactions_to_receive);
    }
    return check_readiness(known, options);
}

}  // namespace anabranch::http
