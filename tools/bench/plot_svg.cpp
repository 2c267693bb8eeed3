// SPDX-License-Identifier: BSD-3-Clause
#include "tools/bench/plot_svg.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <fmt/format.h>

#include "tools/bench/plot_axis.hpp"

namespace vhostx::tools::bench {
namespace {

constexpr double width = 760;
constexpr double left = 72;
constexpr double margin_right = 24;
constexpr double margin_right_of_axis = 72;
constexpr double legend_top = 58;
constexpr double legend_row = 20;
constexpr double area_height = 320;
constexpr double below = 62;

// Colours of Okabe and Ito, told apart by nearly everybody; in grey print the marks and dashes differ. Where a
// background is dark, the lighter ones of the second table.
constexpr std::string_view style = R"(<style>
  text { font: 13px "DejaVu Sans", "Segoe UI", Helvetica, Arial, sans-serif; fill: #24292f }
  .title { font-size: 16px; font-weight: 600 }
  .tick { font-size: 12px; fill: #57606a }
  .back { fill: #ffffff }
  .grid { stroke: #d8dee4; stroke-width: 1 }
  .axis { stroke: #57606a; stroke-width: 1.2 }
  .line { fill: none; stroke-width: 2.2; stroke-linejoin: round }
  .second { stroke-width: 1.4; opacity: .5 }
  .whisker { fill: none; stroke-width: 1.4 }
  .s0 { stroke: #0072b2 } .s1 { stroke: #d55e00 } .s2 { stroke: #00805c } .s3 { stroke: #b0508a }
  .s4 { stroke: #a87400 } .s5 { stroke: #24292f }
  .m0 { fill: #0072b2 } .m1 { fill: #d55e00 } .m2 { fill: #00805c } .m3 { fill: #b0508a }
  .m4 { fill: #a87400 } .m5 { fill: #24292f }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .tick { fill: #9da7b1 } .back { fill: #0d1117 }
    .grid { stroke: #2d333b } .axis { stroke: #9da7b1 }
    .s0 { stroke: #56b4e9 } .s1 { stroke: #ff8c42 } .s2 { stroke: #2fc99a } .s3 { stroke: #e394c4 }
    .s4 { stroke: #e8b33c } .s5 { stroke: #e6edf3 }
    .m0 { fill: #56b4e9 } .m1 { fill: #ff8c42 } .m2 { fill: #2fc99a } .m3 { fill: #e394c4 }
    .m4 { fill: #e8b33c } .m5 { fill: #e6edf3 }
  }
</style>
)";
constexpr std::size_t colours = 6;
constexpr std::array<std::string_view, 4> dashes{"none", "8 4", "2 4", "10 3 2 3"};

std::string escaped(std::string_view text) {
  std::string out;
  for (const char letter : text) {
    switch (letter) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        // XML has no way to write the other control characters.
        out += static_cast<unsigned char>(letter) < 0x20 ? ' ' : letter;
    }
  }
  return out;
}

std::string text_at(double x, double y, std::string_view anchor, std::string_view of_class, std::string_view text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" class=\"{}\">{}</text>\n", x, y, anchor,
                     of_class, escaped(text));
}

std::string line_at(double x1, double y1, double x2, double y2, std::string_view of_class) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" class=\"{}\"/>\n", x1, y1, x2, y2,
                     of_class);
}

/// A circle, square, triangle or diamond.
std::string mark_at(double x, double y, std::size_t series) {
  const std::size_t colour = series % colours;
  switch (series % 4) {
    case 0:
      return fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" class=\"m{}\"/>\n", x, y, colour);
    case 1:
      return fmt::format("<path d=\"M{:.1f} {:.1f}h7v7h-7z\" class=\"m{}\"/>\n", x - 3.5, y - 3.5, colour);
    case 2:
      return fmt::format("<path d=\"M{:.1f} {:.1f}l4.6 8h-9.2z\" class=\"m{}\"/>\n", x, y - 5, colour);
    default:
      return fmt::format("<path d=\"M{:.1f} {:.1f}l5 5l-5 5l-5 -5z\" class=\"m{}\"/>\n", x, y - 5, colour);
  }
}

class Drawing {
 public:
  explicit Drawing(const Plot& plot)
      : plot_(plot), y_ticks_(round_ticks(highest_y(plot))), second_ticks_(round_ticks(highest_second(plot))) {
    right_ = width - (has_second() ? margin_right_of_axis : margin_right);
    top_ = legend_top + legend_row * static_cast<double>(plot.series.size());
    bottom_ = top_ + area_height;
    x_ = x_scale(plot, left + 18, right_ - 18);
    y_ = {0, y_ticks_.back(), bottom_, top_, false};
    second_ = {0, second_ticks_.back(), bottom_, top_, false};
  }

  std::string svg() {
    out_ = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
        "height=\"{1:.0f}\" "
        "role=\"img\">\n",
        width, bottom_ + below);
    out_ += fmt::format("<title>{}</title>\n{}", escaped(plot_.title), style);
    out_ += fmt::format("<rect width=\"{:.0f}\" height=\"{:.0f}\" class=\"back\"/>\n", width, bottom_ + below);
    out_ += text_at(left, 30, "start", "title", plot_.title);
    draw_axes();
    if (has_second()) draw_second_axis();
    for (std::size_t i = 0; i < plot_.series.size(); ++i) draw_series(i);
    draw_legend();
    return std::move(out_) + "</svg>\n";
  }

 private:
  bool has_second() const { return !plot_.second_label.empty(); }

  void draw_axes() {
    for (const double tick : y_ticks_) {
      out_ += line_at(left, y_.at(tick), right_, y_.at(tick), tick == 0 ? "axis" : "grid");
      out_ += text_at(left - 9, y_.at(tick) + 4, "end", "tick", number_text(tick));
    }
    for (const double tick : value_ticks(plot_.series, x_)) {
      out_ += line_at(x_.at(tick), bottom_, x_.at(tick), bottom_ + 5, "axis");
      out_ += text_at(x_.at(tick), bottom_ + 20, "middle", "tick", number_text(tick));
    }
    out_ += text_at((left + right_) / 2, bottom_ + 44, "middle", "label", plot_.x_label);
    const double middle = (top_ + bottom_) / 2;
    out_ += fmt::format("<text transform=\"translate(20 {:.1f}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
                        middle, escaped(plot_.y_label));
  }

  /// Its ticks have marks and no lines: those of the first axis are enough.
  void draw_second_axis() {
    out_ += line_at(right_, top_, right_, bottom_, "axis");
    for (const double tick : second_ticks_) {
      out_ += line_at(right_, second_.at(tick), right_ + 5, second_.at(tick), "axis");
      out_ += text_at(right_ + 9, second_.at(tick) + 4, "start", "tick", number_text(tick));
    }
    out_ += fmt::format("<text transform=\"translate({:.1f} {:.1f}) rotate(90)\" text-anchor=\"middle\">{}</text>\n",
                        width - 20, (top_ + bottom_) / 2, escaped(plot_.second_label));
  }

  void draw_second(std::size_t number) {
    std::string corners;
    for (const PlotPoint& point : plot_.series[number].points) {
      corners += fmt::format("{:.1f},{:.1f} ", x_.at(point.x), second_.at(point.second));
      out_ += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\" class=\"m{} second\"/>\n", x_.at(point.x),
                          second_.at(point.second), number % colours);
    }
    out_ += fmt::format("<polyline points=\"{}\" class=\"line second s{}\" stroke-dasharray=\"{}\"/>\n", corners,
                        number % colours, dashes[number % dashes.size()]);
  }

  void draw_series(std::size_t number) {
    if (has_second()) draw_second(number);
    const auto& points = plot_.series[number].points;
    std::string corners;
    for (const PlotPoint& point : points)
      corners += fmt::format("{:.1f},{:.1f} ", x_.at(point.x), y_.at(point.y.median));
    out_ += fmt::format("<polyline points=\"{}\" class=\"line s{}\" stroke-dasharray=\"{}\"/>\n", corners,
                        number % colours, dashes[number % dashes.size()]);
    for (const PlotPoint& point : points) draw_point(point, number);
  }

  void draw_point(const PlotPoint& point, std::size_t number) {
    const double x = x_.at(point.x);
    const double low = y_.at(point.y.low);
    const double high = y_.at(point.y.high);
    out_ += fmt::format("<path d=\"M{0:.1f} {1:.1f}h8m-4 0V{2:.1f}m-4 0h8\" class=\"whisker s{3}\"/>\n", x - 4, low,
                        high, number % colours);
    out_ += mark_at(x, y_.at(point.y.median), number);
  }

  void draw_legend() {
    for (std::size_t i = 0; i < plot_.series.size(); ++i) {
      const double y = legend_top + legend_row * static_cast<double>(i) - 8;
      out_ += fmt::format("<path d=\"M{:.1f} {:.1f}h34\" class=\"line s{}\" stroke-dasharray=\"{}\"/>\n", left, y,
                          i % colours, dashes[i % dashes.size()]);
      out_ += mark_at(left + 17, y, i);
      out_ += text_at(left + 44, y + 4.5, "start", "label", plot_.series[i].name);
    }
  }

  const Plot& plot_;
  std::vector<double> y_ticks_;
  std::vector<double> second_ticks_;
  double right_ = 0;
  double top_ = 0;
  double bottom_ = 0;
  PlotScale x_;
  PlotScale y_;
  PlotScale second_;
  std::string out_;
};

}  // namespace

std::string render_svg(const Plot& plot) { return Drawing(plot).svg(); }

}  // namespace vhostx::tools::bench
