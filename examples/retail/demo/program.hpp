// What programs that drive the shop have in common: their input, their files, and an orderly end.
#pragma once

#include <signal.h>

#include <filesystem>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "demo/orders.hpp"

namespace retail {

/// Orders of `file`; where it is empty those of the excerpt beside the project (ANABRANCH_ROOT), or generated
/// ones where that is not there. Says which, and what was skipped. Throws std::runtime_error, also where
/// there is none.
order_set load_orders(const std::string& file);

/// Finds out before the run, not after it. Leaves the file as it was.
bool can_write(const std::string& program, const std::string& file);
bool write_file(const std::string& program, const std::string& file, const std::string& content);

/// A directory for stores.
class workspace {
  public:
    /// A temporary one, which goes away with it, unless `keep`.
    workspace(const std::string& program, bool keep);
    /// This one, in which none of `stores` may exist yet.
    workspace(const std::string& directory, const std::vector<std::string>& stores);
    ~workspace();
    workspace(const workspace&) = delete;
    workspace& operator=(const workspace&) = delete;

    const std::filesystem::path& path() const { return path_; }

  private:
    const bool temporary_;
    std::filesystem::path path_;
};

/// Turns SIGINT and the like into a stop request, for as long as it lives. Made before all other threads.
class signal_watch {
  public:
    signal_watch();
    std::stop_token token() const { return stop_.get_token(); }

  private:
    sigset_t signals_{};
    std::stop_source stop_;
    std::jthread thread_;
};

}  // namespace retail
