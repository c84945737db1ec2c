// Who is inside a closure of a bucket.
#pragma once

namespace anabranch::detail {

/// This thread is in a closure, and so has a bucket's lock. It may not take a bucket's lock then: the same
/// one's it would wait for for ever, and two threads that want each other's as well.
class inside_guard {
  public:
    inside_guard() { is_inside_ = true; }
    ~inside_guard() { is_inside_ = false; }
    inside_guard(const inside_guard&) = delete;
    inside_guard& operator=(const inside_guard&) = delete;
    static bool is_inside() { return is_inside_; }

  private:
    static inline thread_local bool is_inside_ = false;
};

}  // namespace anabranch::detail
