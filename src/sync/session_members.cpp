// Who is let in, and what members tell of what they have: docs/membership.md
#include <algorithm>

#include "sync/positions.hpp"
#include "sync/session.hpp"

namespace anabranch::sync {

void session::sponsor(const std::string& bucket, stream& s) {
    if (!s.is_remote || s.peer_role != role::joining || s.has_sponsored || local_.role_in(bucket) != role::member) return;
    // The newcomer is to have nothing that its sponsor has not.
    if (!covers(s.durable, s.peer_durable)) return;
    // Where it cannot be let in now, on a full disk for instance, that is tried again.
    s.has_sponsored = local_.sponsor(bucket, *peer_).has_value();
    if (!s.has_sponsored) return;
    s.goal[local_.id()] = std::max(at(s.goal, local_.id()), local_.committed(bucket));
}

void session::note_advert(stream& s, const replica_id& member, const positions& has) { s.advertised_members[member] = has; }

void session::hear_advert(const std::string& bucket, stream& s, const replica_id& member, const positions& has) {
    if (member == local_.id()) return;
    auto& known = s.advertised_members[member];
    if (covers(known, has)) return;
    known = has;
    if (s.is_local) local_.learn(bucket, member, has);
}

bool session::has_adverts_to_send() const {
    return std::ranges::any_of(streams_, [&](const auto& entry) {
        const auto& [bucket, s] = entry;
        if (!s.is_local || !s.is_remote || !s.is_told) return false;
        if (s.advert_revision != local_.advert_revision(bucket)) return true;
        const auto told = s.advertised_members.find(local_.id());
        const bool is_told = told != s.advertised_members.end() && covers(told->second, s.durable);
        return !is_told && local_.role_in(bucket) == role::member;
    });
}

void session::advertise(const std::string& bucket, stream& s) {
    if (failure_ || !s.is_local || !s.is_remote || !s.is_told) return;
    std::map<replica_id, positions> news;
    if (local_.role_in(bucket) == role::member) news[local_.id()] = s.durable;
    if (const auto revision = local_.advert_revision(bucket); revision != s.advert_revision) {
        s.advert_revision = revision;
        news.merge(local_.adverts(bucket));
    }
    news.erase(*peer_);
    std::erase_if(news, [&](const auto& advert) {
        const auto told = s.advertised_members.find(advert.first);
        return told != s.advertised_members.end() && covers(told->second, advert.second);
    });
    if (news.empty()) return;
    adverts m{bucket, {}, {}};
    std::map<replica_id, std::uint32_t> places;
    const auto place_of = [&](const replica_id& id) {
        const auto [place, is_new] = places.try_emplace(id, static_cast<std::uint32_t>(m.replicas.size()));
        if (is_new) m.replicas.push_back(id);
        return place->second;
    };
    for (const auto& [member, known] : news) {
        adverts::advert advert{place_of(member), {}};
        for (const auto& [id, sequence] : known) advert.known.push_back({place_of(id), sequence});
        m.members.push_back(std::move(advert));
        s.advertised_members[member] = known;
    }
    send(m);
}

/// The peer may have got more by another way than it has said here: what its adverts say it has. True where that is news.
bool session::catch_up_with_adverts(const std::string& bucket, stream& s) {
    // What a restored one had told before says nothing of what it has.
    if (s.is_peer_restored) return false;
    const auto all = local_.adverts(bucket);
    const auto known = all.find(*peer_);
    if (known == all.end() || covers(s.sent, known->second)) return false;
    for (const auto& [id, sequence] : known->second) {
        raise(s.peer_durable, id, sequence);
        raise(s.sent, id, sequence);
    }
    return true;
}

}  // namespace anabranch::sync
