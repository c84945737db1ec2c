// Pictures as SVG.
#pragma once

#include <string>

namespace bench {

// Told apart by colour-blind people, too (Okabe and Ito, "Color universal design", 2008).
inline constexpr const char* colours[] = {"#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#222222"};
inline constexpr const char* grey = "#999";

/// Attributes are those of SVG, as they are written there.
class svg {
  public:
    svg(double width, double height, const std::string& title);

    void text(double x, double y, const std::string& content, const std::string& attributes = {});
    /// The content may hold elements.
    void markup(double x, double y, const std::string& content, const std::string& attributes = {});
    void path(const std::string& d, const std::string& attributes);
    void line(double x1, double y1, double x2, double y2, const std::string& attributes);
    void bar(double x, double y, double width, double height, const std::string& colour);
    void dot(double x, double y, const std::string& colour);
    std::string document() const { return out_ + "</svg>\n"; }

  private:
    std::string out_;
};

/// With one digit behind the point.
std::string coordinate(double value);

}  // namespace bench
