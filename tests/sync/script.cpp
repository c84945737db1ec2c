#include "sync/script.hpp"

#include <fstream>
#include <memory>
#include <sstream>

#include "codec/archive.hpp"
#include "support/catch.hpp"
#include "sync/fake_replica.hpp"
#include "sync/session.hpp"

namespace anabranch::test {
namespace {

using words = std::vector<std::string>;

std::string join(const words& parts, const std::string& between, std::size_t from = 0) {
    std::string text;
    for (auto i = from; i < parts.size(); ++i) text += (i > from ? between : "") + parts[i];
    return text;
}

const char* name_of(errc code) {
    switch (code) {
        case errc::malformed: return "malformed";
        case errc::unsupported_protocol: return "unsupported_protocol";
        case errc::diverged: return "diverged";
        case errc::self_connection: return "self_connection";
        case errc::timed_out: return "timed_out";
        case errc::retired: return "retired";
        case errc::foreign_bucket: return "foreign_bucket";
        case errc::behind_cut: return "behind_cut";
        default: return "another error";
    }
}

std::string name_of(const replica_id& id) { return {static_cast<char>(id.value[0])}; }

std::string text_of(const sync::positions& p) {
    words parts;
    for (const auto& [id, sequence] : p) parts.push_back(name_of(id) + ':' + std::to_string(sequence));
    return join(parts, " ");
}

struct describe {
    std::string operator()(const sync::greeting&) const { return "greeting"; }
    std::string operator()(const sync::have& m) const {
        sync::positions known;
        for (const auto& e : m.known) known[e.origin] = e.sequence;
        auto text = "have " + m.bucket + (known.empty() ? "" : " " + text_of(known));
        if (m.role == static_cast<std::uint8_t>(sync::role::joining)) text += ", joining";
        if (m.role == static_cast<std::uint8_t>(sync::role::member)) text += ", member";
        if (m.founder) text += ", founded by " + name_of(*m.founder);
        if (m.epoch > 0) text += ", epoch " + std::to_string(m.epoch);
        if (m.ceiling.value != UINT64_MAX) text += ", send below " + std::to_string(m.ceiling.value);
        return text;
    }
    std::string operator()(const sync::ready&) const { return "ready"; }
    std::string operator()(const sync::records& m) const {
        auto text = "records " + m.bucket;
        if (m.raw_size > 0) return text + " compressed";
        const auto chunk = codec::decode<oplog::chunk>(m.body);
        REQUIRE(chunk);
        for (const auto& r : chunk->ranges) {
            text += ' ' + name_of(r.origin) + ':' + std::to_string(r.first);
            if (r.last > r.first) text += '-' + std::to_string(r.last);
        }
        if (m.epoch > 0) text += ", epoch " + std::to_string(m.epoch);
        return text;
    }
    std::string operator()(const sync::acknowledgement& m) const {
        sync::positions known;
        for (const auto& e : m.known) known[e.origin] = e.sequence;
        return "acknowledge " + m.bucket + ' ' + text_of(known);
    }
    std::string operator()(const sync::heartbeat&) const { return "heartbeat"; }
    std::string operator()(const sync::goodbye& m) const { return std::string("goodbye ") + name_of(static_cast<errc>(m.code)); }
    std::string operator()(const sync::adverts& m) const {
        words parts;
        for (const auto& advert : m.members) {
            sync::positions known;
            for (const auto& e : advert.known) known[m.replicas.at(e.place)] = e.sequence;
            parts.push_back(name_of(m.replicas.at(advert.member)) + " has " + (known.empty() ? "nothing" : text_of(known)));
        }
        return "adverts " + m.bucket + ' ' + join(parts, ", ");
    }
    std::string operator()(const sync::parting& m) const {
        return "part " + m.bucket + (m.is_sending ? " sending " : " receiving ") + name_of(static_cast<errc>(m.code));
    }
    std::string operator()(const sync::executions& m) const { return "executions " + m.bucket; }
    std::string operator()(const sync::behind& m) const { return "behind " + m.bucket; }
    std::string operator()(const sync::walk& m) const { return "walk " + m.bucket; }
    std::string operator()(const sync::state_piece& m) const { return "state " + m.bucket; }
    std::string operator()(const sync::piece_taken& m) const { return "taken " + m.bucket; }
    std::string operator()(const sync::wishes& m) const {
        auto text = std::string("wishes");
        if (m.bytes > 0) text += ' ' + std::to_string(m.bytes) + " bytes in " + std::to_string(m.period);
        for (const auto& e : m.priorities) text += ", " + e.bucket + " at " + std::to_string(e.priority);
        return text;
    }
    std::string operator()(const sync::waiting&) const { return "waiting"; }
    std::string operator()(const sync::audit& m) const { return "audit " + m.bucket + ' ' + std::to_string(m.number) + ": " + m.body; }
    std::string operator()(const sync::audit_answer& m) const { return "answer " + m.bucket + ' ' + std::to_string(m.number) + ": " + (m.body.empty() ? "none" : m.body); }
};

class conversation {
  public:
    void run(const words& w) {
        if (w[0] == "option" && w[1] == "priority") return set_priority(at(w[2]), w[3], std::stoi(w[4]));
        if (w[0] == "option") return set_option(w[1], std::stoul(w[2]));
        if (w[0] == "connect") return connect();
        if (w[0] == "break") return lose();
        if (w[0] == "wait") return wait(std::stol(w[1]));
        if (w[0] == "junk") return at(w[2]).session->receive(from_hex(w[3]), now_);
        if (w[0] == "message") return send_message(w[2], w[3]);
        if (w[0] == "expect" && w[1] == "bytes") return expect_at_most(std::stoul(w[3]));
        if (w[0] == "expect") return expect(at(w[1]), join(w, " ", 2));
        auto& actor = at(w[0]);
        if (w[1] == "->") return deliver(actor, w);
        if (w[1] == "commit") return commit(actor, actor.replica->id(), w, 3);
        if (w[1] == "forge") return commit(actor, at(w[3]).replica->id(), w, 4);
        if (w[1] == "bucket") return actor.replica->open_bucket(w[2]);
        if (w[1] == "is") return void(actor.replica = std::make_unique<fake_replica>(static_cast<std::uint8_t>(w[2][0])));
        if (w[1] == "speaks") return void(actor.spoken = {static_cast<std::uint8_t>(std::stoul(w[2])), static_cast<std::uint8_t>(std::stoul(w[3]))});
        if (w[1] == "durable") {
            actor.replica->make_durable();
            if (actor.session) actor.session->poll(now_);
            return;
        }
        if (w[1] == "reads") return actor.replica->take_role(w[2], sync::role::reader);
        if (w[1] == "joins") return actor.replica->take_role(w[2], sync::role::joining);
        if (w[1] == "member") return actor.replica->take_role(w[2], sync::role::member);
        if (w[1] == "founds") {
            actor.replica->set_founder(w[2], actor.replica->id());
            return actor.replica->take_role(w[2], sync::role::member);
        }
        if (w[1] == "hears") return actor.replica->learn(w[2], replica_of(w[3]), positions_of(w, 4));
        if (w[1] == "audits") return actor.replica->begin_audit_of(w[2]);
        if (w[1] == "answers") return actor.replica->answer_no_audit(w[2] == "no");
        if (w[1] == "wants") return actor.replica->want_rows_of(w[2], replica_of(w[3]));
        if (w[1] == "cuts") return actor.replica->cut(w[2], replica_of(w[3]), std::stoul(w[4]));
        if (w[1] == "refuses") return actor.replica->refuse(w[2], replica_of(w[3]));
        if (w[1] == "needs") return actor.replica->need_state(w[2]);
        if (w[2] == "state") return actor.replica->take_no_state(w[1] == "cannot");
        if (w[2] == "sponsor") return actor.replica->fail_to_sponsor(w[1] == "cannot");
        if (w[1] == "horizon") return actor.replica->set_horizon({w[2] == "forever" ? UINT64_MAX : std::stoul(w[2])});
        FAIL("no such command");
    }

  private:
    struct side {
        std::unique_ptr<fake_replica> replica;
        std::unique_ptr<sync::session> session;
        sync::message_reader said;
        sync::protocol_versions spoken = sync::spoken_versions;
        std::vector<bucket_priority> priorities;
    };

    static replica_id replica_of(const std::string& name) { return fake_replica(static_cast<std::uint8_t>(name[0])).id(); }
    static sync::positions positions_of(const words& w, std::size_t from) {
        sync::positions p;
        for (auto i = from; i < w.size(); ++i) p[replica_of(w[i])] = std::stoul(w[i].substr(2));
        return p;
    }

    side& at(const std::string& name) {
        REQUIRE((name == "a" || name == "b"));
        auto& s = sides_[name[0]];
        if (!s.replica) s.replica = std::make_unique<fake_replica>(static_cast<std::uint8_t>(name[0]));
        return s;
    }

    void set_option(const std::string& name, std::size_t value) {
        if (name == "window") options_.window_bytes = value;
        if (name == "chunk") options_.chunk_bytes = value;
        if (name == "heartbeat") options_.heartbeat = std::chrono::milliseconds{value};
        if (name == "timeout") options_.timeout = std::chrono::milliseconds{value};
        if (name == "adverts") options_.adverts = std::chrono::milliseconds{value};
    }

    static void set_priority(side& s, const std::string& bucket, std::int32_t priority) { s.priorities.push_back({bucket, priority}); }

    void connect() {
        bytes_ = 0;
        for (const auto* name : {"a", "b"}) {
            auto& s = at(name);
            auto options = options_;
            options.priorities = s.priorities;
            s.session = std::make_unique<sync::session>(*s.replica, options, now_, s.spoken);
            s.said = sync::message_reader(s.spoken);
        }
    }

    void lose() {
        for (auto& [name, s] : sides_) s.session.reset();
    }
    void expect_at_most(std::size_t bytes) { CHECK(bytes_ <= bytes); }

    void wait(long milliseconds) {
        now_ += std::chrono::milliseconds{milliseconds};
        for (auto& [name, s] : sides_) {
            if (s.session) s.session->poll(now_);
        }
    }

    void commit(side& s, const replica_id& origin, const words& w, std::size_t place) {
        std::size_t count = 1;
        std::size_t bytes = 1;
        for (; place < w.size(); ++place) {
            if (w[place][0] == '@') {
                time_ = std::stoul(w[place].substr(1)) - 1;
            } else if (place + 1 < w.size() && w[place + 1] == "bytes") {
                bytes = std::stoul(w[place++]);
            } else {
                count = std::stoul(w[place]);
            }
        }
        for (; count > 0; --count) {
            // Bytes that do not compress, and differ between the replicas.
            std::string payload;
            for (std::uint64_t v = ++time_ * 31 + s.replica->id().value[0]; payload.size() < bytes; v = v * 6364136223846793005 + 1442695040888963407) {
                payload += static_cast<char>(v >> 56);
            }
            s.replica->commit(w[2], origin, {time_}, payload);
        }
    }

    void deliver(side& from, const words& w) {
        std::size_t i = 2;
        auto& to = at(w[i].substr(0, 1));
        std::size_t piece = SIZE_MAX;
        if (!w[i].ends_with(':')) {
            piece = std::stoul(w[i + 4]);
            i += 4;
        }
        const auto expected = join(w, " ", i + 1);
        const auto bytes = from.session->take_output();
        bytes_ += bytes.size();
        from.said.feed(bytes);
        words said;
        while (true) {
            auto m = from.said.next();
            REQUIRE(m);
            if (!*m) break;
            said.push_back(std::visit(describe{}, **m));
        }
        CHECK((said.empty() ? "nothing" : join(said, "; ")) == expected);
        for (std::size_t k = 0; k < bytes.size(); k += std::min(piece, bytes.size())) {
            to.session->receive(std::string_view(bytes).substr(k, piece), now_);
        }
    }

    void send_message(const std::string& to, const std::string& what) {
        sync::message m;
        if (what == "ready") m = sync::ready{};
        if (what == "heartbeat") m = sync::heartbeat{};
        if (what == "records") m = sync::records{"x", 0, 0, "no chunk"};
        if (what == "records-elsewhere") m = sync::records{"nowhere", 0, 0, ""};
        if (what == "bomb") m = sync::records{"x", 0, std::uint64_t{1} << 40, "x"};
        if (what == "acknowledgement") m = sync::acknowledgement{"nowhere", {}};
        if (what == "second-greeting") m = sync::greeting{};
        if (what == "old-epoch") m = sync::have{"x", 0, {UINT64_MAX}, 1, 0, false, true, {}, {}};
        if (what == "nameless") m = sync::have{"", 0, {UINT64_MAX}, 1, 0, false, true, {}, {}};
        if (what == "adverts-elsewhere") m = sync::adverts{"nowhere", {}, {}};
        if (what == "adverts-of-nobody") m = sync::adverts{"x", {}, {{0, {}}}};
        if (what == "adverts-unlisted") m = sync::adverts{"x", {{}}, {{0, {{1, 1}}}}};
        if (what == "executions-elsewhere") m = sync::executions{"nowhere", {}};
        if (what == "audit-elsewhere") m = sync::audit{"nowhere", 1, ""};
        if (what == "audit-of-nothing") m = sync::audit{"x", 1, "why?"};
        if (what == "answer-elsewhere") m = sync::audit_answer{"nowhere", 1, ""};
        if (what == "answer-unasked") m = sync::audit_answer{"x", 1, ""};
        if (what == "executions") m = sync::executions{"x", {}};
        if (what == "parting-elsewhere") m = sync::parting{"nowhere", true, 0, ""};
        if (what == "wishes-for-nothing") m = sync::wishes{0, 0, 0, 0, 0, {{"", 1}}};
        if (what == "wishes-too-long") m = sync::wishes{0, 0, 0, 0, 0, {{std::string(limits::bucket_name + 1, 'x'), 1}}};
        if (what == "wishes-too-many") m = sync::wishes{0, 0, 0, 0, 0, std::vector<sync::wishes::entry>(limits::buckets + 1, {"x", 1})};
        if (what == "newer-greeting") m = sync::greeting{9, 11, {}, {}};
        if (what == "wider-greeting") m = sync::greeting{1, 11, {}, {}};
        std::string bytes;
        sync::append_message(bytes, m);
        at(to).session->receive(bytes, now_);
    }

    /// What is the case, in the words of the expectation.
    std::string actual(side& s, const std::string& what) {
        const auto& session = *s.session;
        if (what.ends_with("in sync")) return session.in_sync() ? "in sync" : "not in sync";
        if (what == "caught up") return session.caught_up() ? "caught up" : "not caught up";
        if (what.starts_with("wants")) return session.wants_sync() ? "wants sync" : "wants nothing";
        if (what.starts_with("speaks")) return session.version() ? "speaks " + std::to_string(*session.version()) : "speaks nothing";
        if (what.starts_with("because ")) {
            const auto found = session.failure() && session.failure()->message.find(what.substr(8)) != std::string::npos;
            return found ? what : "because " + (session.failure() ? session.failure()->message : std::string("of nothing"));
        }
        if (what.starts_with("failed")) return session.failure() ? std::string("failed with ") + name_of(session.failure()->code) : "did not fail";
        if (what.starts_with("has ")) {
            const auto bucket = what.substr(4, what.find(' ', 4) - 4);
            const auto written = s.replica->written(bucket);
            return "has " + bucket + ' ' + (written.empty() ? "nothing" : text_of(written));
        }
        if (what.starts_with("knows ")) {
            const auto bucket = what.substr(6, what.find(' ', 6) - 6);
            const auto member = what.substr(7 + bucket.size(), 1);
            const auto all = s.replica->adverts(bucket);
            const auto it = all.find(replica_of(member));
            return "knows " + bucket + ' ' + member + ' ' + (it == all.end() ? "nothing" : text_of(it->second));
        }
        if (what.starts_with("audited ")) {
            const auto bucket = what.substr(8, what.find(' ', 8) - 8);
            const auto& told = s.replica->audited(bucket);
            return "audited " + bucket + ' ' + (told.empty() ? "nothing" : told);
        }
        if (what.starts_with("sponsored ")) {
            const auto bucket = what.substr(10, what.find(' ', 10) - 10);
            words names;
            for (const auto& id : s.replica->sponsored(bucket)) names.push_back(name_of(id));
            return "sponsored " + bucket + ' ' + (names.empty() ? "nobody" : join(names, " "));
        }
        if (what.starts_with("due")) return "due in " + std::to_string((session.next_poll() - now_).count());
        if (what.starts_with("holds")) {
            words held;
            for (const auto& h : session.held()) held.push_back(h.bucket + ' ' + name_of(h.id.origin) + ':' + std::to_string(h.id.sequence));
            return "holds " + (held.empty() ? "nothing" : join(held, " "));
        }
        if (what.starts_with("to send")) {
            return "to send " + std::to_string(session.progress().transactions_to_send) + ", to receive " +
                   std::to_string(session.progress().transactions_to_receive);
        }
        switch (session.phase()) {
            case session_phase::greeting: return "greeting";
            case session_phase::catching_up: return "catching up";
            case session_phase::live: return "live";
            case session_phase::ended: return "ended";
        }
        return {};
    }

    void expect(side& s, const std::string& what) { CHECK(actual(s, what) == what); }

    static std::string from_hex(const std::string& text) {
        std::string bytes;
        for (std::size_t i = 0; i + 1 < text.size(); i += 2) bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
        return bytes;
    }

    std::map<char, side> sides_;
    session_options options_;
    steady_time now_{1'000'000};
    std::uint64_t time_ = 0;
    std::size_t bytes_ = 0;
};

}  // namespace

void run_script(const std::filesystem::path& file) {
    std::ifstream in(file);
    REQUIRE(in);
    conversation c;
    int number = 0;
    for (std::string line; std::getline(in, line);) {
        ++number;
        std::istringstream text(line.substr(0, line.find('#')));
        words w;
        for (std::string word; text >> word;) w.push_back(word);
        INFO(file.filename().string() << ':' << number << ": " << line);
        if (!w.empty()) c.run(w);
    }
}

}  // namespace anabranch::test
