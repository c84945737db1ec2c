// The program of benchmarks/peers, which runs the same workload on other libraries.
#pragma once

#include <string>
#include <vector>

#include "driver/driver.hpp"

namespace bench {

class peers {
  public:
    /// The program that was named, or one that cargo builds now. Where there is neither, says so, and there are no systems.
    explicit peers(const settings& asked);

    const std::vector<std::string>& systems() const { return systems_; }
    row measure(const std::string& system, std::uint64_t n) const;

  private:
    std::filesystem::path program_;
    std::vector<std::string> systems_;
};

}  // namespace bench
