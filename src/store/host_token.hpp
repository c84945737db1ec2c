// Tells data from a copy of them: a random token beside the data, and in a file of the host. docs/backup.md
#pragma once

#include <anabranch/environment.hpp>
#include <anabranch/ids.hpp>
#include <memory>
#include <optional>
#include <string>

#include "storage/host_files.hpp"

namespace anabranch::detail {

/// As it is kept beside the data.
struct host_entry {
    std::uint64_t incarnation = 0;  ///< with which this replica came to its host: names the file
    hash128 token{};

    template <class Archive>
    void serialize(Archive& archive) {
        archive(incarnation, token);
    }
};

/// Holds the file while the store is open. For one thread.
class host_token {
  public:
    explicit host_token(std::unique_ptr<storage::host_files> files) : files_(std::move(files)) {}

    /// Whether the data of `self` are those that were opened last on this host, and are not open there.
    result<bool> recognise(const replica_id& self, const std::optional<host_entry>& beside_data);
    /// What is to be written beside the data of `self` next; either of the two is recognised until confirm().
    result<host_entry> renew(const replica_id& self, const environment& env);
    /// It is on disk.
    result<void> confirm();

  private:
    std::unique_ptr<storage::host_files> files_;
    std::unique_ptr<storage::host_file> held_;  // from recognise() on, where it did
    host_entry before_;
    host_entry now_;
};

}  // namespace anabranch::detail
