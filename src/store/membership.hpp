// The members of one bucket, what each is known to have, and what follows: what is stable.
#pragma once

#include <map>
#include <optional>

#include "causality/version_vector.hpp"
#include "crdt/roster.hpp"

namespace anabranch::detail {

/// What a member has told that it has on disk: a state that it was really in, never bounds for each origin from here and
/// there. An advert counts once all of it has been delivered here. Only then is what its member did before it known,
/// those whom it has sponsored above all.
///
/// Not thread-safe: under its bucket's lock.
class membership {
  public:
    const crdt::roster& roster() const { return roster_; }
    void join(const crdt::roster& change) { roster_.join(change); }
    /// What another member knew.
    void adopt(const crdt::roster& known, const version_vector& stable) {
        roster_.join(known);
        stable_.join(stable);
    }

    /// What another member knows, in the place of what was known here, some of which does not count.
    void replace(const crdt::roster& known, const version_vector& stable) {
        roster_ = known;
        stable_ = stable;
        adverts_.clear();
    }

    void note(const replica_id& member, const version_vector& has);
    /// `have` has been delivered here. True where more has become stable.
    bool advance(const version_vector& have);

    /// Nobody will ever do anything that has not seen it (causal stability): every member had it once, and who has joined
    /// since does nothing before it has got what its sponsor had.
    const version_vector& stable() const { return stable_; }
    /// Every member, or every one but the laggards, has it on disk now. Newcomers have nothing at first.
    version_vector held_by_all(bool with_laggards) const;
    /// The last that is known of what the member has; empty where nothing is.
    version_vector known(const replica_id& member) const;
    /// For passing on: the last of each member.
    std::map<replica_id, version_vector> known() const;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(roster_, stable_, adverts_);
    }

  private:
    struct advert {
        version_vector delivered;
        version_vector next;    ///< waits for what is in it
        version_vector newest;  ///< came while `next` waits

        template <class Archive>
        void serialize(Archive& archive) {
            archive(delivered, next, newest);
        }
    };

    crdt::roster roster_;
    version_vector stable_;
    std::map<replica_id, advert> adverts_;
};

}  // namespace anabranch::detail
