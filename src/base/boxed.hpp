// A value that is mostly not there, in the room of a pointer.
#pragma once

#include <memory>

namespace anabranch {

/// Copies and compares as its content does. Nothing and an empty content are the same.
template <class T>
class boxed {
  public:
    boxed() = default;
    boxed(const boxed& other) : content_(other.content_ ? std::make_unique<T>(*other.content_) : nullptr) {}
    boxed(boxed&&) noexcept = default;
    boxed& operator=(const boxed& other) { return *this = boxed(other); }
    boxed& operator=(boxed&&) noexcept = default;
    ~boxed() = default;

    bool empty() const { return !content_ || content_->empty(); }
    const T& get() const {
        static const T nothing;
        return content_ ? *content_ : nothing;
    }
    /// To be changed; makes it where there is none.
    T& edit() {
        if (!content_) content_ = std::make_unique<T>();
        return *content_;
    }
    void clear() { content_.reset(); }
    bool operator==(const boxed& other) const { return empty() ? other.empty() : !other.empty() && *content_ == *other.content_; }

  private:
    std::unique_ptr<T> content_;
};

}  // namespace anabranch
