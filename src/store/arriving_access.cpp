#include "store/arriving_access.hpp"

#include "store/keys.hpp"

namespace anabranch::detail {
namespace {

tl::unexpected<error> not_here_yet() { return fail(errc::not_held, "that part of the bucket's state has not come yet"); }

}  // namespace

bool arriving_access::has_below(std::string_view prefix) const {
    const auto end = store_keys::prefix_end(prefix);
    return !end.empty() && end <= upto_;
}

result<crdt::row> arriving_access::read(std::string_view path, crdt::row_kind kind) {
    if (!has(path)) return not_here_yet();
    return rows_->read(path, kind);
}

result<void> arriving_access::scan(std::string_view prefix, std::string_view from, const row_visitor& visit) {
    bool is_stopped = false;
    auto scanned = rows_->scan(prefix, from, [&](std::string_view path, const crdt::row& row) {
        auto step = visit(path, row);
        is_stopped = step.stop;
        return step;
    });
    if (!scanned || is_stopped || has_below(prefix)) return scanned;
    return not_here_yet();
}

}  // namespace anabranch::detail
