// The state of a bucket, read at one moment: as much of it as the receiver lacks. docs/reconciliation.md
#include <algorithm>

#include "codec/archive.hpp"
#include "store/bucket_state.hpp"
#include "store/log_stream.hpp"
#include "store/store_state.hpp"
#include "store/walk.hpp"
#include "store/walk_input.hpp"

namespace anabranch::detail {
namespace {

using storage::space;

/// Changed rows are often neighbours, and a few steps cost less than to find a place anew.
void go_to(storage::cursor& at, const std::string& key) {
    constexpr int near = 8;
    for (int steps = 0; steps < near && at.valid() && at.key() <= key; ++steps) {
        if (at.key() == key) return;
        at.next();
        if (at.valid() && at.key() > key) return;
    }
    at.seek(key);
}

/// An item, a row or whatever else has been added.
void spend(std::size_t& room, std::size_t bytes) { room -= std::min(room, std::max(bytes, least_entry)); }

}  // namespace

walk_source::walk_source(std::shared_ptr<const bucket_state> from, plan what) : from_(std::move(from)), plan_(std::move(what)) {
    const auto& engine = from_->store().engine();
    rows_ = engine.scan(space::rows, store_keys::row_key(plan_.at.rows, {}), plan_.at.at.get());
    requests_ = engine.scan(space::rows, store_keys::request_prefix(from_->number()), plan_.at.at.get());
    if (!plan_.begin.goes_on) return;
    auto& changed = *plan_.changed;
    const auto& upto = plan_.request.goes_on->upto;
    while (changed.valid() && changed.item() <= upto && !upto.starts_with(changed.item())) changed.next();
    if (!changed.valid() || !upto.starts_with(changed.item())) return;
    open_.emplace(changed.item(), upto);
    changed.next();
}

result<std::optional<std::string>> walk_source::next(std::size_t most_bytes) {
    if (is_done_) return std::optional<std::string>{};
    walk_piece piece;
    if (!is_begun_) piece.begin = plan_.begin;
    auto room = std::clamp<std::size_t>(most_bytes, 1, largest_piece);
    for (const auto add : {&walk_source::add_again, &walk_source::add_changed, &walk_source::add_requests, &walk_source::add_executions}) {
        if (auto added = (this->*add)(piece, room); !added) return fail(added.error());
    }
    // Not before it is on disk: whoever has it may tell others that it is here.
    if (room > 0 && from_->is_durable(plan_.begin)) is_done_ = piece.is_last = true;
    const bool is_empty = piece.items.empty() && piece.requests.empty() && piece.executions.empty() && !piece.has_caught_up;
    if (is_begun_ && is_empty && !piece.is_last) return std::optional<std::string>{};
    is_begun_ = true;
    const auto& origins = from_->store().origins();
    for (; replicas_told_ < origins.size(); ++replicas_told_) {
        piece.replicas.push_back(origins.id(origin{static_cast<std::uint32_t>(replicas_told_)}));
    }
    return std::optional(codec::encode(piece));
}

/// What has changed of what the receiver has already. A piece of its own says that it has come.
result<void> walk_source::add_again(walk_piece& piece, std::size_t& room) {
    if (!plan_.again) return {};
    auto& items = *plan_.again;
    while (room > 0 && (again_ || (items.valid() && items.item() <= plan_.request.goes_on->upto))) {
        if (!again_) {
            if (!across_ && plan_.request.goes_on->upto.starts_with(items.item())) across_ = items.item();
            again_.emplace(items.item(), std::string());
            items.next();
        }
        if (auto added = add_rows(piece, room, again_, &plan_.request.goes_on->upto); !added) return added;
    }
    if (room == 0) return {};
    if (auto sound = items.status(); !sound) return sound;
    piece.has_caught_up = true;
    plan_.again.reset();
    if (across_ && (!open_ || open_->prefix.size() > across_->size())) {
        // All below it is taken for what comes of it: so the rest comes, too.
        open_.emplace(*across_, plan_.request.goes_on->upto);
        while (plan_.changed->valid() && plan_.changed->item().starts_with(*across_)) plan_.changed->next();
    }
    room = 0;
    return {};
}

result<void> walk_source::add_changed(walk_piece& piece, std::size_t& room) {
    auto& items = *plan_.changed;
    while (room > 0 && (open_ || items.valid())) {
        if (!open_) {
            open_.emplace(items.item(), std::string());
            items.next();
        }
        if (auto added = add_rows(piece, room, open_, nullptr); !added) return added;
    }
    return items.status();
}

/// The rows of an item, from where it stands on and up to that path; nothing stands any more when there is no more of it.
result<void> walk_source::add_rows(walk_piece& piece, std::size_t& room, std::optional<open_item>& open, const std::string* upto) {
    const auto from = store_keys::row_key(plan_.at.rows, {});
    auto& item = piece.items.emplace_back(walk_piece::item{open->prefix, open->after, {}});
    spend(room, item.prefix.size() + item.after.size() + 1);
    if (!open->is_at_cursor) go_to(*rows_, from + std::max(item.prefix, item.after));
    const auto prefix = from + item.prefix;
    for (; rows_->valid() && rows_->key().starts_with(prefix); rows_->next()) {
        const auto path = rows_->key().substr(from.size());
        if (path == open->after) continue;
        if (upto != nullptr && path > *upto) break;
        // However little is asked for, each piece brings something.
        if (room == 0 && !item.rows.empty()) {
            open->is_at_cursor = true;
            return {};
        }
        auto bytes = bytes_to_send(path);
        if (!bytes) return fail(bytes.error());
        if (bytes->empty()) continue;
        item.rows.push_back({std::string(path.substr(item.prefix.size())), std::move(*bytes)});
        open->after = path;
        spend(room, item.rows.back().rest.size() + item.rows.back().bytes.size() + 1);
    }
    open.reset();
    return rows_->status();
}

/// Of the row at the cursor; none where the receiver is to have none there.
result<std::string> walk_source::bytes_to_send(std::string_view path) const {
    if (!plan_.request.only) return std::string(rows_->value());
    const auto row = crdt::decode_row(rows_->value());
    if (!row) return fail(errc::corrupt, "the row at path \"" + std::string(path) + "\" cannot be decoded");
    if (!crdt::is_live(*row)) return std::string();
    return crdt::encode_row(crdt::only_shown(*row, from_->store().origins()));
}

/// Whoever holds a part does not need to know why its rows show what they show.
result<void> walk_source::add_requests(walk_piece& piece, std::size_t& room) {
    const auto prefix = store_keys::request_prefix(from_->number());
    const auto& request = plan_.request;
    if (request.only) return {};
    for (; room > 0 && requests_->valid() && requests_->key().starts_with(prefix); requests_->next()) {
        const auto known = codec::decode<known_request>(requests_->value());
        if (!known) return fail(errc::corrupt, "what is known of a request cannot be decoded");
        for (const auto& x : known->executions) {
            // It has that one in its log, unless it has forgotten the request.
            const bool is_there = holds(request.has, from_->store().origins().id(x.id.writer), x.id.sequence) && known->issued >= request.forgotten;
            if (!is_there) executions_.push_back(x.id);
        }
        piece.requests.push_back({store_keys::identity_in(requests_->key()), std::string(requests_->value())});
        spend(room, requests_->key().size() + requests_->value().size());
    }
    return requests_->status();
}

result<void> walk_source::add_executions(walk_piece& piece, std::size_t& room) {
    auto& store = from_->store();
    for (; room > 0 && executions_sent_ < executions_.size(); ++executions_sent_) {
        const auto& id = executions_[executions_sent_];
        auto value = store.engine().get(space::log, store_keys::log_key(from_->number(), id.writer, id.sequence), plan_.at.at.get());
        if (!value) return fail(value.error());
        if (!*value) return fail(errc::corrupt, "the execution of a request is not in the log of bucket \"" + from_->name() + '"');
        spend(room, (*value)->size());
        piece.executions.push_back({store.origins().id(id.writer), id.sequence, std::move(**value)});
    }
    return {};
}

// --- what is to be read ----------------------------------------------------------------------------------

/// All that the request does something to: rows, and what stands below prefixes.
result<void> bucket_state::add_touched(const known_request& known, std::vector<std::string>& items, std::size_t& bytes) const {
    const auto all = load_executions(known);
    if (!all) return fail(all.error());
    const auto add = [&](const std::string& item) {
        items.push_back(item);
        bytes += item.size();
    };
    for (const auto& x : *all) {
        for (const auto& r : x->what.changed.rows) add(r.key);
        for (const auto& removal : x->what.changed.removals) add(removal.prefix);
    }
    return {};
}

result<std::unique_ptr<walk_source>> bucket_state::begin_walk(std::string_view request) const {
    if (auto allowed = check_outside(); !allowed) return fail(allowed.error());
    auto asked = request.size() > 2 * most_touched ? std::nullopt : decode_walk<walk_request>(request, most_request_strings);
    if (!asked || (asked->only && !asked->only->is_sound())) {
        return fail(errc::malformed, "what a peer has of the state of bucket \"" + name_ + "\", and wants of it, cannot be decoded");
    }
    const std::shared_lock lock(mutex_);
    if (auto usable = check_usable(); !usable) return fail(usable.error());
    if (auto whole = check_whole(); !whole) return fail(whole.error());
    if (has_unread_) {
        return fail(errc::unsupported_protocol, "bucket \"" + name_ + "\" holds here what this build does not know: its state is not whole");
    }
    if (has_orphans_) return orphaned();
    if (auto flushed = flush_locked(); !flushed) return fail(flushed.error());

    walk_begin begin;
    for (const auto& [writer, last] : capture()) begin.reflects.push_back({store_.origins().id(writer), last});
    for (const auto& [writer, sequence] : members_.stable()) begin.stable[store_.origins().id(writer)] = sequence;
    begin.forgotten = forgotten_;
    begin.members = members_.roster();
    begin.source = store_.opening();

    auto touched = asked->touched;
    std::size_t touched_bytes = 0;
    result<void> added;
    // What is fixed there and open here is in doubt in these rows, and in those not.
    auto visited = requests_.visit([&](const hash128&, const known_request& known) {
        if (!asked->only && known.issued < asked->forgotten) added = add_touched(known, touched, touched_bytes);
        return added.has_value() && touched_bytes <= most_touched;
    });
    if (!visited) return fail(visited.error());
    if (!added) return fail(added.error());

    // Nothing is written to rows meanwhile: flushing has ended, and whoever merges the journal changes nothing that it says.
    auto [entries, at] = journal_.snapshot();
    begin.at = entries.empty() ? 0 : entries.back().number;
    version_vector has;
    for (const auto& [id, sequence] : asked->has) {
        // What has never been heard of here has changed nothing here.
        if (const auto writer = store_.origins().find(id)) has.join(dot{*writer, sequence});
    }
    const auto changed = changed_since(entries, has);
    // What does not count is in all that it has.
    const bool has_orphans = std::ranges::any_of(begin.members.members, [&](const auto& m) {
        return m.second.at == crdt::roster::stage::retired && holds(asked->has, m.first, m.second.last + 1);
    });
    // The first entry stands for all that was before it.
    const bool lacks_all = has_orphans || asked->has.empty() || changed.size() == entries.size() || touched_bytes > most_touched;
    // What goes on does so as it began.
    const auto& broken = asked->goes_on;
    begin.goes_on = broken && broken->source == begin.source && broken->at <= begin.at && !entries.empty() &&
                    broken->at >= entries.front().number && asked->has.empty() == lacks_all;
    begin.is_whole = lacks_all;
    begin.rows = begin.is_whole ? items_of(entries) : items_of(changed) + touched.size();
    walk_source::plan plan;
    plan.begin = std::move(begin);
    plan.request = std::move(*asked);
    const auto only = plan.request.only ? std::make_shared<const part>(*plan.request.only) : nullptr;
    const auto read = [&](std::optional<items_in_part>& to, const change_journal::entries& of, std::vector<std::string> also) {
        to.emplace(std::make_unique<change_journal::reader>(store_.engine(), number_, at.get(), of, std::move(also)), only);
    };
    if (plan.begin.goes_on) read(plan.again, changed_after(entries, plan.request.goes_on->at), touched);
    if (plan.begin.is_whole) read(plan.changed, {}, {std::string()});
    else read(plan.changed, changed, std::move(touched));
    plan.at = {std::move(at), rows_.place()};
    return std::make_unique<walk_source>(std::shared_ptr<const bucket_state>(store_.shared_from_this(), this), std::move(plan));
}

positions bucket_state::floor() const {
    const std::shared_lock uncut(cut_mutex_);
    positions all;
    for (const auto& [writer, last] : floor_) all[store_.origins().id(writer)] = last.sequence;
    return all;
}

bool bucket_state::is_durable(const walk_begin& state) const {
    const std::lock_guard lock(durable_mutex_);
    return std::ranges::all_of(state.reflects, [&](const walk_begin::last& l) {
        const auto writer = store_.origins().find(l.origin);
        const auto it = writer ? durable_.find(*writer) : durable_.end();
        return it != durable_.end() && it->second.sequence >= l.at.sequence;
    });
}

}  // namespace anabranch::detail
