// Two replicas compare their rows. docs/audit.md
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/audit_book.hpp"
#include "store/journal.hpp"
#include "store/row_table.hpp"
#include "store/walk.hpp"

namespace anabranch::detail {

/// What the one who audits sends.
struct audit_question {
    /// The first one: what its rows reflect, and which are to be compared.
    struct opening {
        positions reflects;
        std::vector<audit_scope::range> ranges;

        template <class Archive>
        void serialize(Archive& archive) {
            archive(reflects, ranges);
        }
    };
    std::optional<opening> begin;
    /// The second one: items that have changed here since what the other's rows reflect.
    std::vector<std::string> left_out;
    /// What it has there.
    struct range {
        std::string from;
        std::string to;  ///< as in audit_scope
        std::uint64_t rows = 0;
        hash128 digest{};  ///< the sum of their fingerprints

        template <class Archive>
        void serialize(Archive& archive) {
            archive(from, to, rows, digest);
        }
    };
    std::vector<range> ranges;
    /// The last one: rows that differ, or are known to somewhere.
    struct known_row {
        std::string path;
        sightings had;  ///< by the sender's knowledge

        template <class Archive>
        void serialize(Archive& archive) {
            archive(path, had);
        }
    };
    std::vector<known_row> found;
    bool is_last = false;
    bool is_complete = true;  ///< there are no others that differ

    template <class Archive>
    void serialize(Archive& archive) {
        archive(begin, left_out, ranges, found, is_last, is_complete);
    }
};

/// What the other one answers.
struct audit_answer {
    /// To the first one: what its rows reflect, and items that have changed here since what the other's reflect. Nothing: it cannot
    /// be compared now.
    struct opening {
        positions reflects;
        std::vector<std::string> left_out;

        template <class Archive>
        void serialize(Archive& archive) {
            archive(reflects, left_out);
        }
    };
    std::optional<opening> begin;
    /// Of the ranges that were asked for, so many have been looked at.
    std::uint64_t looked_at = 0;
    /// One of them that differs.
    struct range {
        struct row {
            std::string path;
            hash128 fingerprint{};

            template <class Archive>
            void serialize(Archive& archive) {
                archive(path, fingerprint);
            }
        };
        std::uint64_t place = 0;
        bool is_listed = false;  ///< `rows` are all that are there, up to `upto`
        std::vector<row> rows;
        std::string upto;  ///< exclusive; empty: up to its end

        template <class Archive>
        void serialize(Archive& archive) {
            archive(place, is_listed, rows, upto);
        }
    };
    std::vector<range> ranges;
    std::vector<audit_question::known_row> found;  ///< to the last one, the same rows

    template <class Archive>
    void serialize(Archive& archive) {
        archive(begin, looked_at, ranges, found);
    }
};

/// The rows of one moment, as far as they can be compared with another replica's of about the same one.
class audit_view {
  public:
    audit_view(std::shared_ptr<const bucket_state> of, row_snapshot at, positions reflects, change_journal::entries journal)
        : of_(std::move(of)), at_(std::move(at)), reflects_(std::move(reflects)), journal_(std::move(journal)) {}

    const positions& reflects() const { return reflects_; }
    bool is_durable() const;
    /// Items that have changed here since who has that: nothing where these are all, or too many.
    result<std::optional<std::vector<std::string>>> changed_since(const positions& seen) const;
    /// From now on.
    void leave_out(std::vector<std::string> items);
    std::size_t left_out() const { return left_out_.size(); }
    bool is_left_out(std::string_view path) const;

    /// Visits rows of [from, to) that show something, upwards, until it has read `room` bytes; moves `from` on behind them. True
    /// where there are no more.
    template <class Visit>
    result<bool> visit(std::string& from, const std::string& to, std::size_t& room, const Visit& visit) const;
    /// Zero where nothing is shown there.
    result<hash128> fingerprint(const std::string& path) const;

  private:
    hash128 fingerprint(std::string_view path, std::string_view encoded) const;

    std::shared_ptr<const bucket_state> of_;
    row_snapshot at_;
    positions reflects_;
    change_journal::entries journal_;
    std::vector<std::string> left_out_;  // sorted; none below another
};

/// Asks. One thread at a time; keeps the store open, and what it had when it began on disk.
class auditor {
  public:
    auditor(std::shared_ptr<bucket_state> of, const replica_id& peer, audit_scope scope, audit_view view)
        : of_(std::move(of)), peer_(peer), scope_(std::move(scope)), view_(std::move(view)) {}

    /// Goes on, by about that many bytes of rows. What is to be asked next; nothing while there is none.
    result<std::optional<std::string>> next(std::size_t most_bytes);
    /// What the peer has answered. After an error there is nothing more to be done with it.
    result<void> take(std::string_view answer);
    /// next() has more to do, without an answer.
    bool is_busy() const { return !is_done_ && !is_waiting_ && is_agreed_; }
    bool is_done() const { return is_done_; }

  private:
    friend class bucket_state;
    struct job {
        std::string from;
        std::string to;
        std::optional<std::vector<audit_answer::range::row>> there;  ///< nothing: it is to be split
        std::size_t next = 0;
    };
    result<std::optional<std::string>> go_on(std::size_t most_bytes);
    result<void> work(std::size_t& room);
    result<bool> split(job& now, std::size_t& room);
    result<bool> compare(job& now, std::size_t& room);
    void differs(std::string path, const hash128& here, const hash128& there);
    result<std::optional<std::string>> ask();
    tl::unexpected<error> wrong_answer(const char* what) const;

    std::shared_ptr<bucket_state> of_;
    replica_id peer_;
    audit_scope scope_;
    audit_view view_;
    bool is_agreed_ = false;   // on what is compared
    bool is_waiting_ = false;  // for an answer
    bool is_last_ = false;     // one
    bool is_done_ = false;
    std::deque<job> jobs_;
    std::vector<audit_question::range> parts_;  // of the job under way
    std::uint64_t rows_in_part_ = 1;
    audit_question question_;  // being made, or asked
    std::map<std::string, std::pair<hash128, hash128>> differing_;
    bool is_complete_ = true;
};

/// Answers. One thread at a time; keeps the store open, and what it had when it was first asked on disk.
class audit_respondent {
  public:
    audit_respondent(std::shared_ptr<bucket_state> of, const replica_id& peer) : of_(std::move(of)), peer_(peer) {}

    /// After an error there is nothing more to be done with it.
    result<void> ask(std::string_view question);
    /// As auditor::next().
    result<std::optional<std::string>> next(std::size_t most_bytes);
    bool is_busy() const { return question_ && !question_->begin; }
    bool is_done() const { return is_done_ && !question_; }

  private:
    result<void> begin();
    result<std::optional<std::string>> go_on(std::size_t most_bytes);
    result<bool> look(std::size_t& room);
    result<void> conclude();
    tl::unexpected<error> wrong_question(const char* what) const;

    std::shared_ptr<bucket_state> of_;
    replica_id peer_;
    std::optional<audit_view> view_;
    audit_scope scope_;
    std::optional<audit_question> question_;
    audit_answer answer_;
    std::size_t answer_bytes_ = 0;
    std::string at_;  // in the range that is being looked at
    bool is_in_range_ = false;
    hash128 digest_{};
    std::uint64_t rows_ = 0;
    std::vector<audit_answer::range::row> first_;  // of it
    std::string behind_first_;
    bool is_done_ = false;
};

}  // namespace anabranch::detail
