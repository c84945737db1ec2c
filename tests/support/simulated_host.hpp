// Small files of a simulated host.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "storage/host_files.hpp"

namespace anabranch::test {

/// Outlives the processes on it. For one thread at a time.
struct simulated_host {
    std::map<std::string, std::string> files;
    std::set<std::string> held;
    /// Asked before every write: how many bytes of it arrive. Fewer than all: it fails.
    std::function<std::size_t(std::string_view)> arrives;
};

/// What one process has of it.
class simulated_host_files final : public storage::host_files {
  public:
    explicit simulated_host_files(std::shared_ptr<simulated_host> on) : on_(std::move(on)) {}

    result<std::unique_ptr<storage::host_file>> open(const std::string& name) override {
        if (!on_->files.contains(name)) return std::unique_ptr<storage::host_file>();
        return create(name);
    }
    result<std::unique_ptr<storage::host_file>> create(const std::string& name) override {
        if (on_->held.contains(name)) return fail(errc::locked, name + " is held already");
        on_->files[name];
        return std::unique_ptr<storage::host_file>(new file(on_, name));
    }

  private:
    class file final : public storage::host_file {
      public:
        file(std::shared_ptr<simulated_host> on, std::string name) : on_(std::move(on)), name_(std::move(name)) { on_->held.insert(name_); }
        file(const file&) = delete;
        file& operator=(const file&) = delete;
        ~file() override { on_->held.erase(name_); }

        result<std::string> read() const override { return on_->files.at(name_); }
        result<void> write(std::string_view content) override {
            const auto size = on_->arrives ? on_->arrives(content) : content.size();
            auto& there = on_->files.at(name_);
            there = std::string(content.substr(0, size)) + (size < there.size() ? there.substr(size) : std::string());
            if (size < content.size()) return fail(errc::storage_failure, name_ + ": the host died");
            there.resize(size);
            return {};
        }

      private:
        const std::shared_ptr<simulated_host> on_;
        const std::string name_;
    };

    const std::shared_ptr<simulated_host> on_;
};

}  // namespace anabranch::test
