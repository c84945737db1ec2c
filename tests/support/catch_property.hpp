#pragma once

#include <rapidcheck.h>

#include <sstream>
#include <string>
#include <utility>

#include "support/catch.hpp"

namespace anabranch::test {

/// Checks a RapidCheck property inside a Catch2 test case; a failure shows the counterexample after shrinking
/// and the RC_PARAMS to repeat it. Stands in for <rapidcheck/catch.h>, which knows Catch2 2 only.
template <typename Testable>
void check_property(const std::string& description, Testable&& testable) {
    rc::detail::TestMetadata metadata;
    metadata.id = description;
    metadata.description = description;
    const auto result = rc::detail::checkTestable(std::forward<Testable>(testable), metadata);
    std::ostringstream message;
    rc::detail::printResultMessage(result, message);
    INFO(description << "\n" << message.str());
    CHECK(result.template is<rc::detail::SuccessResult>());
}

}  // namespace anabranch::test
