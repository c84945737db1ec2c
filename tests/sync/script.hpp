// Conversations of two sessions as text that a person can read: tests/sync/scripts/*.txt. A line is a
// command; after # comes a comment.
//
//     a commit x [3] [@500] [1000 bytes]  three transactions in bucket x, the first with that timestamp
//     a forge x b                         the same, but in the name of replica b
//     a bucket x                          an empty bucket
//     a durable                           what a has written is on disk from now on, and its session looks again
//     a horizon 400 | forever             a holds transactions with greater timestamps
//     option window|chunk|heartbeat|timeout 1000
//     connect, break                      new sessions on both sides; both gone, with what was on its way
//     a -> b: greeting; ready             what a has to say goes to b, and is exactly this
//     a -> b in pieces of 3: ...          the same, cut
//     junk -> a 00ff | message -> a ready bytes or a message that the peer never sent
//     wait 1000                           milliseconds, on both sides
//     expect a greeting | catching up | live | ended | in sync | not in sync | caught up | failed with diverged
//     expect a wants sync | wants nothing
//     expect a has x a:3 b:1              written, durable or not
//     expect a holds x b:2 | nothing
//     expect a to send 2, to receive 0
//     expect bytes <= 100                 both directions, since connect
#pragma once

#include <filesystem>

namespace anabranch::test {

/// Checks every line.
void run_script(const std::filesystem::path& file);

}  // namespace anabranch::test
