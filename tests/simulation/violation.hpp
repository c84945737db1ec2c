// What a check throws that does not hold.
#pragma once

#include <stdexcept>
#include <string>

namespace anabranch::simulation {

class violation : public std::runtime_error {
  public:
    using runtime_error::runtime_error;
};

[[noreturn]] inline void violate(const std::string& what) { throw violation(what); }

}  // namespace anabranch::simulation
