#include "store/host_token.hpp"

#include <string_view>
#include <utility>

#include "base/random.hpp"

namespace anabranch::detail {
namespace {

constexpr std::string_view heading = "anabranch host 1\n";

/// Both tokens are good. A line each, so that one stays whole while the other is written over.
std::string content_of(const hash128& one, const hash128& other) {
    return std::string(heading) + to_string(one) + '\n' + to_string(other) + '\n';
}

bool holds(std::string_view content, const hash128& token) {
    const auto line = to_string(token) + '\n';
    if (!content.starts_with(heading)) return false;
    content.remove_prefix(heading.size());
    return content.size() == 2 * line.size() && (content.starts_with(line) || content.ends_with(line));
}

std::string name_of(const replica_id& self, std::uint64_t incarnation) { return to_string(replica_id{self.value, incarnation}); }

}  // namespace

result<bool> host_token::recognise(const replica_id& self, const std::optional<host_entry>& beside_data) {
    auto file = files_->open(name_of(self, beside_data ? beside_data->incarnation : self.incarnation));
    if (!file && file.error().code == errc::locked) return false;
    if (!file) return fail(file.error());
    // Data from before there were files are taken for what they say, where no later ones were here.
    if (*file == nullptr || !beside_data) return *file == nullptr && !beside_data;
    const auto content = (*file)->read();
    if (!content) return fail(content.error());
    if (!holds(*content, beside_data->token)) return false;
    held_ = std::move(*file);
    before_ = *beside_data;
    return true;
}

result<host_entry> host_token::renew(const replica_id& self, const environment& env) {
    if (held_ == nullptr) {
        auto file = files_->create(name_of(self, self.incarnation));
        if (!file) return fail(file.error());
        held_ = std::move(*file);
        before_ = {self.incarnation, random_bytes(env)};
    }
    now_ = {before_.incarnation, random_bytes(env)};
    if (auto written = held_->write(content_of(before_.token, now_.token)); !written) return fail(written.error());
    return now_;
}

result<void> host_token::confirm() { return held_->write(content_of(now_.token, now_.token)); }

}  // namespace anabranch::detail
