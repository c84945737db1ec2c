// A part of the suite.
#pragma once

#include <span>
#include <string_view>

#include "driver/driver.hpp"

namespace bench {

struct part {
    std::string_view name;
    std::string_view what;  // for the usage text
    void (*run)(driver&);
    bool takes_n = false;
};

/// In the order in which they run.
std::span<const part> parts();

namespace retail {
void run_part(driver& suite);
}

namespace convergence {
void run_part(driver& suite);
}
namespace disk {
void run_part(driver& suite);
}
namespace opening {
void run_part(driver& suite);
}
namespace requests {
void run_part(driver& suite);
}
namespace absence {
void run_part(driver& suite);
}
namespace paper {
void run_part(driver& suite);
}
namespace micro {
void run_part(driver& suite);
}

/// Where the issue wants the library to be, of what this run has measured.
void say_targets(driver& suite);

}  // namespace bench
