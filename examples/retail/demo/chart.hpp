// The run as a picture: transactions behind, over time.
#pragma once

#include <string>

#include "demo/watcher.hpp"

namespace retail {

/// An SVG document: one step line a side, a mark for each event, the time without a link shaded (from
/// the mark "link cut" to the mark "healed").
std::string draw_chart(const watch_history& history, const std::string& title, const std::string& subtitle);

}  // namespace retail
