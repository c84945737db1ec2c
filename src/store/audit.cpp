#include "store/audit.hpp"

#include <algorithm>

#include "base/hash.hpp"
#include "codec/archive.hpp"
#include "store/bucket_state.hpp"
#include "store/field_kind.hpp"
#include "store/store_state.hpp"

namespace anabranch::detail {
namespace {

using storage::space;

/// Into so many parts a range is split, or half as many.
constexpr std::size_t most_parts = 64;
/// Of a range that holds no more the rows are listed.
constexpr std::size_t most_listed = 64;
/// Ranges that are asked for at once, about.
constexpr std::size_t most_asked = 4 * most_parts;
constexpr std::size_t most_answer_bytes = 512 * 1024;

/// Sorted, none below another one.
void make_disjoint(std::vector<std::string>& items) {
    std::ranges::sort(items);
    std::size_t kept = 0;
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (kept > 0 && items[i].starts_with(items[kept - 1])) continue;
        if (kept != i) items[kept] = std::move(items[i]);
        ++kept;
    }
    items.resize(kept);
}

bool are_ranges(const auto& all) {
    return std::ranges::all_of(all, [](const auto& r) { return r.to.empty() || r.from < r.to; });
}

bool are_items(const std::vector<std::string>& items) {
    return std::ranges::all_of(items, [](const auto& i) { return i.empty() || store_keys::is_path(i); });
}

}  // namespace

// --- what is compared ------------------------------------------------------------------------------------

bool audit_view::is_durable() const { return of_->is_durable(reflects_); }

result<std::optional<std::vector<std::string>>> audit_view::changed_since(const positions& seen) const {
    version_vector has;
    for (const auto& [id, sequence] : seen) {
        if (const auto writer = of_->store().origins().find(id)) has.join(dot{*writer, sequence});
    }
    const auto changed = detail::changed_since(journal_, has);
    // The first entry stands for all that was before it.
    if (!changed.empty() && changed.size() == journal_.size()) return std::optional<std::vector<std::string>>{};
    std::vector<std::string> items;
    std::size_t bytes = 0;
    change_journal::reader at(of_->store().engine(), of_->number(), at_.at.get(), changed, {});
    for (; at.valid(); at.next()) {
        bytes += at.item().size() + 1;
        if (at.item().empty() || bytes > most_touched) return std::optional<std::vector<std::string>>{};
        items.emplace_back(at.item());
    }
    if (!at.status()) return fail(at.status().error());
    return std::optional(std::move(items));
}

void audit_view::leave_out(std::vector<std::string> items) {
    std::ranges::move(items, std::back_inserter(left_out_));
    make_disjoint(left_out_);
}

bool audit_view::is_left_out(std::string_view path) const {
    const auto after = std::ranges::upper_bound(left_out_, path, {}, [](const std::string& s) { return std::string_view(s); });
    return after != left_out_.begin() && path.starts_with(*std::prev(after));
}

/// What cannot be decoded, or is not as it is written here, is a row like no other.
hash128 audit_view::fingerprint(std::string_view path, std::string_view encoded) const {
    const auto& origins = of_->store().origins();
    const auto size = origins.size();
    const auto row = crdt::decode_row(encoded, [&](std::uint64_t number) {
        return number < size ? std::optional(origin{static_cast<std::uint32_t>(number)}) : std::nullopt;
    });
    const auto kind = row_kind_at(path);
    const bool is_sound = row && (!kind || *kind == crdt::kind_of(*row)) && crdt::encode_row(*row) == encoded;
    if (is_sound) return crdt::fingerprint(path, *row, origins);
    return sha256_128({"damaged", path, encoded});
}

result<hash128> audit_view::fingerprint(const std::string& path) const {
    const auto bytes = of_->store().engine().get(space::rows, store_keys::row_key(at_.rows, path), at_.at.get());
    if (!bytes) return fail(bytes.error());
    return *bytes ? fingerprint(path, **bytes) : hash128{};
}

template <class Visit>
result<bool> audit_view::visit(std::string& from, const std::string& to, std::size_t& room, const Visit& visit) const {
    const auto all = store_keys::row_key(at_.rows, {});
    const auto rows = of_->store().engine().scan(space::rows, all + from, at_.at.get());
    for (; rows->valid() && rows->key().starts_with(all); rows->next()) {
        const auto path = rows->key().substr(all.size());
        if (!to.empty() && path >= to) break;
        if (room == 0) {
            from = path;
            return false;
        }
        room -= std::min(room, rows->key().size() + rows->value().size());
        if (is_left_out(path)) continue;
        const auto shown = fingerprint(path, rows->value());
        if (shown != hash128{}) visit(path, shown);
    }
    if (auto status = rows->status(); !status) return fail(status.error());
    return true;
}

// --- asking ----------------------------------------------------------------------------------------------

tl::unexpected<error> auditor::wrong_answer(const char* what) const {
    return fail(errc::malformed, "what a peer has answered to an audit of bucket \"" + of_->name() + "\" " + what);
}

result<std::optional<std::string>> auditor::next(std::size_t most_bytes) {
    auto asked = go_on(most_bytes);
    if (!asked) of_->note_failed_audit(peer_, asked.error());
    return asked;
}

result<std::optional<std::string>> auditor::go_on(std::size_t most_bytes) {
    if (is_waiting_ || is_done_) return std::optional<std::string>{};
    if (!is_agreed_) {
        if (!view_.is_durable()) return std::optional<std::string>{};
        question_.begin = {view_.reflects(), scope_.ranges};
        return ask();
    }
    auto room = std::max<std::size_t>(most_bytes, 1);
    if (auto worked = work(room); !worked) return fail(worked.error());
    const bool is_full = question_.ranges.size() >= most_asked && parts_.empty();
    if (!is_full && !jobs_.empty()) return std::optional<std::string>{};
    if (question_.ranges.empty()) {
        question_.is_last = is_last_ = true;
        question_.is_complete = is_complete_;
        question_.found = of_->known_rows(scope_, view_, differing_);
    }
    return ask();
}

result<std::optional<std::string>> auditor::ask() {
    is_waiting_ = true;
    return std::optional(codec::encode(question_));
}

result<void> auditor::work(std::size_t& room) {
    while (room > 0 && !jobs_.empty() && (question_.ranges.size() < most_asked || !parts_.empty())) {
        auto& now = jobs_.front();
        auto done = now.there ? compare(now, room) : split(now, room);
        if (!done) return fail(done.error());
        if (differing_.size() >= audit_book::most_findings) {
            is_complete_ = false;
            jobs_.clear();
            parts_.clear();
            question_.ranges.clear();
        } else if (*done) {
            jobs_.pop_front();
        }
    }
    return {};
}

/// Into parts of about as many rows each, which are asked for.
result<bool> auditor::split(job& now, std::size_t& room) {
    if (parts_.empty()) {
        parts_.push_back({now.from, {}, 0, {}});
        rows_in_part_ = 1;
    }
    const auto done = view_.visit(now.from, now.to, room, [&](std::string_view path, const hash128& fingerprint) {
        if (parts_.back().rows >= rows_in_part_) {
            parts_.back().to = path;
            parts_.push_back({std::string(path), {}, 0, {}});
        }
        ++parts_.back().rows;
        crdt::add_fingerprint(parts_.back().digest, fingerprint);
        if (parts_.size() <= most_parts) return;
        std::vector<audit_question::range> merged;
        for (auto& p : parts_) {
            if (merged.empty() || merged.back().rows > rows_in_part_) {
                merged.push_back(std::move(p));
                continue;
            }
            merged.back().to = std::move(p.to);
            merged.back().rows += p.rows;
            crdt::add_fingerprint(merged.back().digest, p.digest);
        }
        parts_ = std::move(merged);
        rows_in_part_ *= 2;
    });
    if (!done || !*done) return done;
    parts_.back().to = now.to;
    std::ranges::move(parts_, std::back_inserter(question_.ranges));
    parts_.clear();
    return true;
}

/// With what the peer has there.
result<bool> auditor::compare(job& now, std::size_t& room) {
    auto& there = *now.there;
    const auto upto = [&](std::string_view path) {
        for (; now.next < there.size() && there[now.next].path < path; ++now.next) differs(there[now.next].path, {}, there[now.next].fingerprint);
    };
    const auto done = view_.visit(now.from, now.to, room, [&](std::string_view path, const hash128& fingerprint) {
        upto(path);
        const bool is_there = now.next < there.size() && there[now.next].path == path;
        const auto& other = is_there ? there[now.next].fingerprint : hash128{};
        if (other != fingerprint) differs(std::string(path), fingerprint, other);
        now.next += is_there;
    });
    if (!done || !*done) return done;
    for (; now.next < there.size(); ++now.next) differs(there[now.next].path, {}, there[now.next].fingerprint);
    return true;
}

void auditor::differs(std::string path, const hash128& here, const hash128& there) {
    if (differing_.size() < audit_book::most_findings) differing_.try_emplace(std::move(path), here, there);
}

result<void> auditor::take(std::string_view bytes) {
    auto answer = codec::decode<audit_answer>(bytes);
    if (!answer) return wrong_answer("cannot be decoded");
    if (!is_waiting_) return wrong_answer("comes unasked");
    is_waiting_ = false;
    const auto asked = std::exchange(question_, {});
    const auto is_named = [&](const auto& row) { return store_keys::is_path(row.path) && scope_.holds(row.path) && !view_.is_left_out(row.path); };
    if (!std::ranges::all_of(answer->found, is_named)) return wrong_answer("names rows that were not compared");
    if (is_last_) return is_done_ = true, of_->note_audit({peer_, scope_, view_, is_complete_, differing_, answer->found});
    if (!is_agreed_) {
        if (!answer->begin) return is_done_ = true, result<void>{};
        if (!are_items(answer->begin->left_out)) return wrong_answer("leaves out what is none");
        auto changed = view_.changed_since(answer->begin->reflects);
        if (!changed) return fail(changed.error());
        if (!*changed) return is_done_ = true, result<void>{};
        question_.left_out = **changed;
        view_.leave_out(std::move(**changed));
        view_.leave_out(std::move(answer->begin->left_out));
        for (const auto& r : scope_.ranges) jobs_.push_back({r.from, r.to, {}, 0});
        is_agreed_ = true;
        return {};
    }
    if (answer->looked_at == 0 || answer->looked_at > asked.ranges.size()) return wrong_answer("is to something else");
    std::uint64_t least = 0;
    for (auto& r : answer->ranges) {
        if (r.place < least || r.place >= answer->looked_at) return wrong_answer("is not in its order");
        least = r.place + 1;
        const auto& of = asked.ranges[static_cast<std::size_t>(r.place)];
        if (!r.is_listed) {
            if (of.rows < 2) return wrong_answer("lists nothing where there is nothing to be split");
            jobs_.push_back({of.from, of.to, {}, 0});
            continue;
        }
        const bool is_cut = !r.upto.empty();
        if (is_cut && (r.upto <= of.from || (!of.to.empty() && r.upto >= of.to))) return wrong_answer("is of another range");
        const auto& to = is_cut ? r.upto : of.to;
        const std::string* last = nullptr;
        for (const auto& row : r.rows) {
            const bool is_inside = row.path >= of.from && (to.empty() || row.path < to) && (last == nullptr || *last < row.path);
            if (!is_inside || !store_keys::is_path(row.path) || view_.is_left_out(row.path) || row.fingerprint == hash128{}) {
                return wrong_answer("lists impossible rows");
            }
            last = &row.path;
        }
        jobs_.push_back({of.from, to, std::move(r.rows), 0});
        if (is_cut) jobs_.push_back({r.upto, of.to, {}, 0});
    }
    // The rest once more.
    for (auto i = static_cast<std::size_t>(answer->looked_at); i < asked.ranges.size(); ++i) question_.ranges.push_back(asked.ranges[i]);
    return {};
}

// --- answering -------------------------------------------------------------------------------------------

tl::unexpected<error> audit_respondent::wrong_question(const char* what) const {
    return fail(errc::malformed, "what a peer asks in an audit of bucket \"" + of_->name() + "\" " + what);
}

result<void> audit_respondent::ask(std::string_view bytes) {
    auto question = codec::decode<audit_question>(bytes);
    if (!question || question_ || is_done_) return wrong_question("cannot be decoded, or comes too early");
    if (question->begin.has_value() == !scope_.ranges.empty()) return wrong_question("does not begin with what it is about");
    const bool is_sound = question->begin ? !question->begin->ranges.empty() && are_ranges(question->begin->ranges) && question->ranges.empty()
                                          : are_ranges(question->ranges) && question->ranges.size() <= 4 * most_asked &&
                                                are_items(question->left_out) && question->is_last == question->ranges.empty();
    if (!is_sound) return wrong_question("is none");
    question_ = std::move(*question);
    answer_ = {};
    answer_bytes_ = 0;
    if (!question_->begin) {
        view_->leave_out(std::move(question_->left_out));
        return question_->is_last ? conclude() : result<void>{};
    }
    scope_.ranges = question_->begin->ranges;
    scope_.is_whole = scope_.ranges.size() == 1 && scope_.ranges.front().from.empty() && scope_.ranges.front().to.empty();
    return begin();
}

result<void> audit_respondent::begin() {
    auto view = of_->view_for_audit();
    if (!view || !*view) return is_done_ = true, result<void>{};
    view_.emplace(std::move(**view));
    auto changed = view_->changed_since(question_->begin->reflects);
    if (!changed) return fail(changed.error());
    if (!*changed) return is_done_ = true, result<void>{};
    view_->leave_out(**changed);
    answer_.begin = {view_->reflects(), std::move(**changed)};
    return {};
}

result<std::optional<std::string>> audit_respondent::next(std::size_t most_bytes) {
    auto answered = go_on(most_bytes);
    if (!answered) of_->note_failed_audit(peer_, answered.error());
    return answered;
}

result<std::optional<std::string>> audit_respondent::go_on(std::size_t most_bytes) {
    if (!question_) return std::optional<std::string>{};
    if (question_->begin) {
        if (answer_.begin && !view_->is_durable()) return std::optional<std::string>{};
    } else {
        auto room = std::max<std::size_t>(most_bytes, 1);
        const auto done = look(room);
        if (!done) return fail(done.error());
        if (!*done) return std::optional<std::string>{};
    }
    question_.reset();
    return std::optional(codec::encode(answer_));
}

result<bool> audit_respondent::look(std::size_t& room) {
    while (answer_.looked_at < question_->ranges.size()) {
        if (answer_bytes_ >= most_answer_bytes) return true;
        if (room == 0) return false;
        const auto& asked = question_->ranges[static_cast<std::size_t>(answer_.looked_at)];
        if (!std::exchange(is_in_range_, true)) {
            at_ = asked.from;
            digest_ = {};
            rows_ = 0;
            first_.clear();
            behind_first_.clear();
        }
        const auto done = view_->visit(at_, asked.to, room, [&](std::string_view path, const hash128& fingerprint) {
            crdt::add_fingerprint(digest_, fingerprint);
            ++rows_;
            if (first_.size() < most_listed) {
                first_.push_back({std::string(path), fingerprint});
            } else if (behind_first_.empty()) {
                behind_first_ = path;
            }
        });
        if (!done || !*done) return done;
        is_in_range_ = false;
        const auto place = answer_.looked_at++;
        if (digest_ == asked.digest && rows_ == asked.rows) continue;
        answer_bytes_ += 16;
        // What cannot be split at the other side is told of in parts.
        if (rows_ > most_listed && asked.rows > 1) {
            answer_.ranges.push_back({place, false, {}, {}});
            continue;
        }
        for (const auto& row : first_) answer_bytes_ += row.path.size() + row.fingerprint.size();
        answer_.ranges.push_back({place, true, std::move(first_), std::move(behind_first_)});
    }
    return true;
}

result<void> audit_respondent::conclude() {
    is_done_ = true;
    std::map<std::string, std::pair<hash128, hash128>> differing;
    for (const auto& row : question_->found) {
        if (!store_keys::is_path(row.path) || view_->is_left_out(row.path) || !scope_.holds(row.path)) return wrong_question("names rows that were not compared");
        const auto there = row.had.find(peer_);
        if (there == row.had.end()) continue;
        const auto here = view_->fingerprint(row.path);
        if (!here) return fail(here.error());
        if (*here != there->second.fingerprint) differing.try_emplace(row.path, *here, there->second.fingerprint);
    }
    if (auto noted = of_->note_audit({peer_, scope_, *view_, question_->is_complete, differing, question_->found}); !noted) return noted;
    for (const auto& row : question_->found) answer_.found.push_back({row.path, of_->known_of(row.path)});
    return {};
}

}  // namespace anabranch::detail
