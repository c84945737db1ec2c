#include "driver/svg.hpp"

#include <cstdio>

namespace bench {

namespace {

std::string escaped(const std::string& text) {
    std::string safe;
    for (const char c : text) {
        if (c == '&') {
            safe += "&amp;";
        } else if (c == '<') {
            safe += "&lt;";
        } else {
            safe += c;
        }
    }
    return safe;
}

}  // namespace

std::string coordinate(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", value);
    return text;
}

svg::svg(double width, double height, const std::string& title) {
    out_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + coordinate(width) + " " + coordinate(height) +
           "\" role=\"img\" font-family=\"system-ui, 'DejaVu Sans', Helvetica, Arial, sans-serif\" font-size=\"12\" "
           "fill=\"#333\">\n<title>" +
           escaped(title) + "</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
    text(24, 34, title, "font-size=\"18\" font-weight=\"600\" fill=\"#111\"");
}

void svg::text(double x, double y, const std::string& content, const std::string& attributes) {
    markup(x, y, escaped(content), attributes);
}

void svg::markup(double x, double y, const std::string& content, const std::string& attributes) {
    out_ += "<text x=\"" + coordinate(x) + "\" y=\"" + coordinate(y) + "\" " + attributes + ">" + content + "</text>\n";
}

void svg::path(const std::string& d, const std::string& attributes) {
    out_ += "<path d=\"" + d + "\" fill=\"none\" " + attributes + "/>\n";
}

void svg::line(double x1, double y1, double x2, double y2, const std::string& attributes) {
    path("M" + coordinate(x1) + " " + coordinate(y1) + "L" + coordinate(x2) + " " + coordinate(y2), attributes);
}

void svg::bar(double x, double y, double width, double height, const std::string& colour) {
    out_ += "<rect x=\"" + coordinate(x) + "\" y=\"" + coordinate(y) + "\" width=\"" + coordinate(width) + "\" height=\"" +
            coordinate(height) + "\" fill=\"" + colour + "\"/>\n";
}

void svg::dot(double x, double y, const std::string& colour) {
    out_ += "<circle cx=\"" + coordinate(x) + "\" cy=\"" + coordinate(y) + "\" r=\"3\" fill=\"" + colour + "\"/>\n";
}

}  // namespace bench
