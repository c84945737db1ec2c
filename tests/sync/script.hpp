// Conversations of two sessions as text that a person can read: tests/sync/scripts/*.txt. A line is a
// command; after # comes a comment.
//
//     a commit x [3] [@500] [1000 bytes]  three transactions in bucket x, the first with that timestamp
//     a forge x b                         the same, but in the name of replica b
//     a bucket x                          an empty bucket
//     a durable                           what a has written is on disk from now on, and its session looks again
//     a horizon 400 | forever             a holds transactions with greater timestamps
//     a reads|joins|member x              its role in bucket x, a reader's at first
//     a speaks 2 4                        versions of the protocol, from its next session on
//     a founds x                          bucket x is its own; it is a member
//     a hears x c a:2 b:1                 by another session: member c has had exactly this on disk
//     a cuts x b 2                        its log has b's first two no longer
//     a refuses x b                       it takes no more of what b wrote: b was retired
//     a can|cannot sponsor                letting somebody in fails, as on a full disk
//     option window|chunk|heartbeat|timeout|adverts 1000
//     option priority a x 2               a wants bucket x to go before those of less than 2, both ways
//     connect, break                      new sessions on both sides; both gone, with what was on its way
//     a -> b: greeting; ready             what a has to say goes to b, and is exactly this
//     a -> b in pieces of 3: ...          the same, cut
//     junk -> a 00ff | message -> a ready bytes or a message that the peer never sent
//     wait 1000                           milliseconds, on both sides
//     expect a greeting | catching up | live | ended | in sync | not in sync | caught up | failed with diverged
//     expect a speaks 3 | nothing         the version that the two have agreed upon
//     expect a because ...                words of why it failed
//     expect a wants sync | wants nothing
//     expect a has x a:3 b:1 | nothing    written, durable or not
//     expect a holds x b:2 | nothing
//     expect a to send 2, to receive 0
//     expect a knows x c a:2 | nothing    what it has been told that member c has on disk
//     expect a sponsored x b | nobody     everyone it has let in, as often as it did
//     expect a due in 1000                milliseconds until it wants to be polled
//     expect bytes <= 100                 both directions, since connect
#pragma once

#include <filesystem>

namespace anabranch::test {

/// Checks every line.
void run_script(const std::filesystem::path& file);

}  // namespace anabranch::test
