// Makes write(2), fallocate(2) and fdatasync(2) fail in the whole test program, RocksDB included.
#pragma once

#include <string>

namespace anabranch::test {

/// While one of these lives, calls on files whose names end in `suffix` fail.
class failing_calls {
  public:
    enum class call { write_half, write_nothing, sync, allocate, allocate_ever };

    /// write_half: half of the bytes arrive and the rest meets a full disk; write_nothing: none arrive; sync:
    /// an input/output error; allocate: the disk is full; allocate_ever: the file system cannot do that.
    failing_calls(call what, std::string suffix);
    failing_calls(const failing_calls&) = delete;
    failing_calls& operator=(const failing_calls&) = delete;
    ~failing_calls();
};

}  // namespace anabranch::test
