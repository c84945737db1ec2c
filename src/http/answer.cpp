#include <anabranch/http.hpp>

namespace anabranch::http {
namespace {

struct rule {
    unsigned status;
    const char* code;
    std::chrono::seconds retry_after{0};
};

// Without a default: whoever adds an errc decides here what a client is told.
rule rule_for(errc code) {
    using std::chrono::seconds;
    switch (code) {
        // The client has to change what it sends.
        case errc::invalid_argument: return {400, "invalid_argument"};
        case errc::invalid_token: return {400, "invalid_token"};
        case errc::request_from_future: return {400, "request_from_future"};
        case errc::refused: return {409, "refused"};
        case errc::insufficient_rights: return {409, "insufficient_rights"};
        case errc::request_too_old: return {410, "request_too_old"};
        case errc::behind_cut: return {410, "behind_cut"};
        case errc::request_conflict: return {422, "request_conflict"};
        case errc::limit_exceeded: return {422, "limit_exceeded"};
        case errc::overflow: return {422, "overflow"};
        // Another instance can serve it. With a time: so will this one.
        case errc::not_a_member: return {503, "not_a_member", seconds{1}};
        case errc::too_many_requests: return {503, "too_many_requests", seconds{10}};
        case errc::retired: return {503, "retired"};
        case errc::not_held: return {503, "not_held"};
        case errc::closed: return {503, "closed"};
        case errc::storage_failure: return {503, "storage_failure"};
        // Not 507: meshes fail over on the gateway's statuses, of which 503 is one.
        case errc::storage_full: return {503, "storage_full"};
        // Nothing that a client's request should meet.
        case errc::nested_transaction: return {500, "nested_transaction"};
        case errc::undecodable: return {500, "undecodable"};
        case errc::corrupt: return {500, "corrupt"};
        case errc::locked: return {500, "locked"};
        case errc::foreign_directory: return {500, "foreign_directory"};
        case errc::newer_format: return {500, "newer_format"};
        case errc::malformed: return {500, "malformed"};
        case errc::unsupported_protocol: return {500, "unsupported_protocol"};
        case errc::diverged: return {500, "diverged"};
        case errc::self_connection: return {500, "self_connection"};
        case errc::timed_out: return {500, "timed_out"};
        case errc::network: return {500, "network"};
        case errc::cancelled: return {500, "cancelled"};
        case errc::not_the_authority: return {500, "not_the_authority"};
        case errc::foreign_bucket: return {500, "foreign_bucket"};
    }
    return {500, "unknown"};
}

}  // namespace

answer answer_to(const receipt& done, unsigned status_of_refusal) {
    if (done.outcome == request_outcome::committed) return {200, "committed", done.result};
    return {status_of_refusal, "refused", done.result};
}

answer answer_to(const error& failure) {
    const auto found = rule_for(failure.code);
    return {found.status, found.code, failure.message, found.retry_after};
}

answer answer_to_early_session(std::uint64_t missing) {
    const auto count = std::to_string(missing) + (missing == 1 ? " transaction" : " transactions");
    return {425, "behind", count + " that this session has seen or made, still to arrive here", std::chrono::seconds{1}};
}

}  // namespace anabranch::http
