#include <anabranch/result.hpp>

namespace anabranch {
namespace {

class category final : public std::error_category {
  public:
    const char* name() const noexcept override { return "anabranch"; }
    std::string message(int code) const override {
        switch (static_cast<errc>(code)) {
            case errc::invalid_argument: return "invalid argument";
            case errc::limit_exceeded: return "limit exceeded";
            case errc::overflow: return "counter overflow";
            case errc::nested_transaction: return "transaction inside a transaction";
            case errc::undecodable: return "stored bytes are not of the type asked for";
            case errc::closed: return "closed";
            case errc::storage_failure: return "storage failure";
            case errc::storage_full: return "no space left on the device";
            case errc::corrupt: return "corrupt data";
            case errc::locked: return "directory in use by another process";
            case errc::foreign_directory: return "directory is not an anabranch store";
            case errc::newer_format: return "written by a newer version";
            case errc::malformed: return "malformed message";
            case errc::unsupported_protocol: return "no common protocol version";
            case errc::diverged: return "histories diverged";
            case errc::self_connection: return "connected to itself";
            case errc::timed_out: return "timed out";
            case errc::network: return "network failure";
            case errc::cancelled: return "cancelled";
            case errc::refused: return "refused";
            case errc::not_a_member: return "not a member of the bucket";
            case errc::not_the_authority: return "not the bucket's authority";
            case errc::retired: return "replica was retired from the bucket";
            case errc::foreign_bucket: return "another bucket of the same name";
            case errc::behind_cut: return "behind the log's cut";
            case errc::insufficient_rights: return "insufficient rights";
            case errc::invalid_token: return "invalid token";
            case errc::request_too_old: return "request too old";
            case errc::request_from_future: return "request issued in the future";
            case errc::request_conflict: return "key already used for another request";
            case errc::too_many_requests: return "too many requests to remember";
            case errc::not_held: return "not held here";
        }
        return "unknown error";
    }
};

}  // namespace

std::error_code make_error_code(errc code) noexcept {
    static const category instance;
    return {static_cast<int>(code), instance};
}

}  // namespace anabranch
