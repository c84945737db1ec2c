#include <anabranch/session.hpp>

#include "store/store_state.hpp"
#include "sync/session.hpp"

namespace anabranch {
namespace {

class state_source final : public sync::state_source {
  public:
    explicit state_source(std::unique_ptr<detail::walk_source> from) : from_(std::move(from)) {}
    result<std::optional<std::string>> next(std::size_t most_bytes) override { return from_->next(most_bytes); }
    bool is_done() const override { return from_->is_done(); }

  private:
    std::unique_ptr<detail::walk_source> from_;
};

class state_sink final : public sync::state_sink {
  public:
    state_sink(store local, std::unique_ptr<detail::walk_sink> to, const replica_id& from)
        : local_(std::move(local)), to_(std::move(to)), from_(from) {}
    std::string request() const override { return to_->request(); }
    result<std::optional<sync::positions>> take(std::string_view piece) override { return to_->take(piece, local_.state()->horizon(), from_); }
    std::uint64_t rows() const override { return to_->rows(); }
    std::uint64_t rows_to_come() const override { return to_->rows_to_come(); }

  private:
    store local_;
    std::unique_ptr<detail::walk_sink> to_;
    replica_id from_;
};

/// An audit's side, as sessions see it.
template <class Port, class Side>
class audit_side : public Port {
  public:
    explicit audit_side(std::unique_ptr<Side> side) : side_(std::move(side)) {}
    result<std::optional<std::string>> next(std::size_t most_bytes) override { return side_->next(most_bytes); }
    bool is_busy() const override { return side_->is_busy(); }
    bool is_done() const override { return side_->is_done(); }

  protected:
    Side& side() { return *side_; }

  private:
    std::unique_ptr<Side> side_;
};

class auditor final : public audit_side<sync::auditor, detail::auditor> {
  public:
    using audit_side::audit_side;
    result<void> take(std::string_view answer) override { return side().take(answer); }
};

class audit_respondent final : public audit_side<sync::audit_respondent, detail::audit_respondent> {
  public:
    using audit_side::audit_side;
    result<void> ask(std::string_view question) override { return side().ask(question); }
};

/// The store behind the port that sessions see.
class store_port final : public sync::local_replica {
  public:
    explicit store_port(store local) : local_(std::move(local)) {
        for (const auto& name : local_.buckets()) bucket(name)->go_on_entering();
    }

    replica_id id() const override { return local_.id(); }
    std::vector<std::string> buckets() const override { return local_.buckets(); }
    frontier durable(std::string_view name) const override { return bucket(name)->durable_progress(); }
    std::uint64_t revision(std::string_view name) const override { return bucket(name)->durable_revision(); }
    bool has_undurable() const override { return local_.state()->has_undurable(); }
    bool has_duties() const override { return local_.state()->has_duties(); }
    timestamp horizon() const override { return local_.state()->horizon(); }
    result<void> compare(std::string_view name, const frontier& peer) override { return bucket(name)->compare(peer); }
    result<oplog::chunk> read(std::string_view name, const sync::positions& after, timestamp ceiling,
                              const oplog::portion& size) override {
        return bucket(name)->read_log(after, ceiling, size);
    }
    result<oplog::applied> apply(std::string_view name, const oplog::chunk& chunk, const replica_id& peer) override {
        return bucket(name)->apply(chunk, horizon(), peer);
    }

    bool has_executions(std::string_view name) const override { return bucket(name)->has_executions(); }
    std::vector<oplog::listed_execution> list_executions(std::string_view name, const sync::positions& peer) const override {
        // What cannot be read now is not there to be referred to.
        return bucket(name)->list_executions(peer).value_or(std::vector<oplog::listed_execution>{});
    }
    result<void> abbreviate(std::string_view name, oplog::chunk& chunk, const std::vector<oplog::listed_execution>& listed,
                            const sync::positions& peer) const override {
        return bucket(name)->abbreviate(chunk, listed, peer);
    }
    result<bool> expand(std::string_view name, oplog::chunk& chunk) const override { return bucket(name)->expand(chunk); }

    sync::positions floor(std::string_view name) const override { return bucket(name)->floor(); }
    bool needs_state(std::string_view name) const override { return bucket(name)->has_orphans(); }
    result<std::unique_ptr<sync::state_source>> read_state(std::string_view name, std::string_view request) const override {
        auto source = bucket(name)->begin_walk(request);
        if (!source) return fail(source.error());
        return std::make_unique<state_source>(std::move(*source));
    }
    result<std::unique_ptr<sync::state_sink>> take_state(std::string_view name, const replica_id& peer, const sync::positions& has) override {
        auto sink = bucket(name)->receive_walk(has, peer);
        if (!sink) return fail(sink.error());
        if (!*sink) return std::unique_ptr<sync::state_sink>{};
        return std::make_unique<state_sink>(local_, std::move(*sink), peer);
    }

    bool wants_rows(std::string_view name, const replica_id& peer) const override {
        const auto b = bucket(name);
        return b->is_filling() || !b->rows_to_take(peer).empty();
    }
    bool has_durable(std::string_view name, const sync::positions& all) const override { return bucket(name)->has_durable(all); }

    result<std::unique_ptr<sync::auditor>> begin_audit(std::string_view name, const replica_id& peer, std::chrono::milliseconds interval) override {
        auto begun = bucket(name)->begin_audit(peer, interval);
        if (!begun) return fail(begun.error());
        if (!*begun) return std::unique_ptr<sync::auditor>{};
        return std::make_unique<auditor>(std::move(*begun));
    }
    std::unique_ptr<sync::audit_respondent> answer_audit(std::string_view name, const replica_id& peer) override {
        return std::make_unique<audit_respondent>(bucket(name)->answer_audit(peer));
    }

    void begin_fold(std::string_view name) override { bucket(name)->begin_fold(); }
    std::uint64_t unfinished_folds(std::string_view name) const override { return bucket(name)->unfinished_folds(); }

    sync::role role_in(std::string_view name) const override {
        const auto b = bucket(name);
        if (b->is_partial()) return sync::role::part;
        if (b->is_member()) return b->holds_unread_records() ? sync::role::reader : sync::role::member;
        return b->is_joining() ? sync::role::joining : sync::role::reader;
    }
    bool holds_unread(std::string_view name) const override { return bucket(name)->holds_unread_records(); }
    std::optional<replica_id> founder(std::string_view name) const override { return bucket(name)->roster().founder; }
    std::uint64_t committed(std::string_view name) const override { return bucket(name)->committed(); }
    result<void> sponsor(std::string_view name, const replica_id& joiner) override { return bucket(name)->sponsor(joiner); }
    void learn(std::string_view name, const replica_id& member, const sync::positions& has) override {
        bucket(name)->learn(member, has);
    }
    std::map<replica_id, sync::positions> adverts(std::string_view name) const override { return bucket(name)->adverts(); }
    std::uint64_t advert_revision(std::string_view name) const override { return bucket(name)->advert_revision(); }

  private:
    /// Sessions ask for buckets that buckets() named, and buckets stay.
    std::shared_ptr<detail::bucket_state> bucket(std::string_view name) const {
        return local_.state()->find_bucket(name);
    }

    store local_;
};

}  // namespace

class session::impl {
  public:
    impl(store local, session_options options, steady_time now) : port(std::move(local)), machine(port, std::move(options), now) {}

    store_port port;
    sync::session machine;
};

session::session(store local, session_options options, steady_time now)
    : impl_(std::make_unique<impl>(std::move(local), std::move(options), now)) {}
session::session(session&&) noexcept = default;
session& session::operator=(session&&) noexcept = default;
session::~session() = default;

void session::receive(std::string_view bytes, steady_time now) { impl_->machine.receive(bytes, now); }
void session::poll(steady_time now) { impl_->machine.poll(now); }
std::string session::take_output() { return impl_->machine.take_output(); }
bool session::wants_sync() const { return impl_->machine.wants_sync(); }
steady_time session::next_poll() const { return impl_->machine.next_poll(); }
session_phase session::phase() const { return impl_->machine.phase(); }
bool session::caught_up() const { return impl_->machine.caught_up(); }
bool session::in_sync() const { return impl_->machine.in_sync(); }
const std::optional<error>& session::failure() const { return impl_->machine.failure(); }
const std::optional<replica_id>& session::peer() const { return impl_->machine.peer(); }
const sync_progress& session::progress() const { return impl_->machine.progress(); }
std::vector<bucket_progress> session::waiting() const { return impl_->machine.waiting_buckets(); }
std::vector<held_transaction> session::held() const { return impl_->machine.held(); }

}  // namespace anabranch
