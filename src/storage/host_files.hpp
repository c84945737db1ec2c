// The port to small files of this host, which are outside of every store's directory: neither copied nor lost with one.
#pragma once

#include <anabranch/result.hpp>
#include <memory>
#include <string>
#include <string_view>

namespace anabranch::storage {

/// Held: nobody else opens it until this is destroyed. One thread at a time.
class host_file {
  public:
    virtual ~host_file() = default;
    /// Empty where nothing was written yet.
    virtual result<std::string> read() const = 0;
    /// On disk when it returns. A crash before that may leave the first bytes of the new content in front of the rest of the old.
    virtual result<void> write(std::string_view content) = 0;
};

/// All members may be called from several threads at once.
class host_files {
  public:
    virtual ~host_files() = default;
    /// nullptr where there is none of that name. errc::locked: it is held, by this process or another.
    virtual result<std::unique_ptr<host_file>> open(const std::string& name) = 0;
    /// The same, and an empty one where there is none.
    virtual result<std::unique_ptr<host_file>> create(const std::string& name) = 0;
};

}  // namespace anabranch::storage
