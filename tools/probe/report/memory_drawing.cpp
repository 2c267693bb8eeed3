// SPDX-License-Identifier: BSD-3-Clause
// The drawing's text lies in columns: guest addresses, the regions with a lane for each of a ring's areas, names of
// rings.
#include "tools/probe/report/memory_drawing.hpp"

#include <algorithm>
#include <array>

#include "tools/probe/report/table.hpp"
#include "tools/probe/session/fd_facts.hpp"

namespace vhostx::tools::probe {
namespace {

constexpr double width = 360;
constexpr double address_right = 116;
constexpr double bar_left = 122;
constexpr double bar_right = 268;
constexpr std::array<double, 3> lane_left{226, 240, 254};
constexpr double lane_width = 12;
constexpr double label_left = 284;
constexpr std::size_t label_bytes_max = 16;
constexpr double heading_y = 14;
constexpr std::size_t kind_bytes_max = 12;
constexpr const char* area_classes[] = {"d", "a", "u"};

void add_text(Html& out, double x, double y, const char* classes, const std::string& text) {
  add(out, "<text x=\"{:.0f}\" y=\"{:.1f}\" class=\"{}\">{}</text>\n", x, y, classes, text);
}

std::string pages_of(const FdFacts& file) {
  return file.page_bytes == 0 ? std::string("pages not known") : text_of_about(file.page_bytes) + " pages";
}

void add_gap(Html& out, const PlacedBlock& block) {
  if (block.hole == 0 && block.overlap == 0) return;
  const double y = block.y - 9;
  if (block.hole != 0)
    add_text(out, (bar_left + bar_right) / 2, y, "hole", "⋮ hole of " + text_of_about(block.hole));
  else
    add_text(out, (bar_left + bar_right) / 2, y, "bad", "✖ overlap of " + text_of_about(block.overlap));
}

void add_region(Html& out, const RegionView& view, const PlacedBlock& block, bool end_shown) {
  const auto& region = view.region;
  add(out,
      "<g class=\"region\"><title>Region {}: guest {:#x}, {}, {}</title>"
      "<rect x=\"{:.0f}\" y=\"{:.1f}\" width=\"{:.0f}\" height=\"{:.1f}\" class=\"block\"/>\n",
      block.index, region.guest_address, text_of_bytes(region.size), text_of(view.file), bar_left, block.y,
      bar_right - bar_left, block.height);
  add_text(out, address_right, block.y + 10, "address", fmt::format("{:#x}", region.guest_address));
  if (end_shown)
    add_text(out, address_right, block.y + block.height - 2, "address end",
             fmt::format("{:#x}", region.guest_address + region.size));
  add_text(out, bar_left + 7, block.y + 14, "strong", fmt::format("{}: {}", block.index, text_of_about(region.size)));
  add_text(out, bar_left + 7, block.y + 27, "",
           view.file.kind.empty() ? "no descriptor" : shortened(view.file.kind, kind_bytes_max));
  add_text(out, bar_left + 7, block.y + 40, "", shortened(pages_of(view.file), label_bytes_max));
  out.text += "</g>\n";
}

void add_regions(Html& out, const SessionState& state, const Stack& stack) {
  for (std::size_t i = 0; i < stack.blocks.size(); ++i) {
    const PlacedBlock& block = stack.blocks[i];
    const bool touches = i + 1 < stack.blocks.size() && stack.blocks[i + 1].hole == 0;
    add_gap(out, block);
    add_region(out, state.regions[block.index], block, !touches);
  }
}

void add_marks(Html& out, const MemoryLayout& layout) {
  for (std::size_t i = 0; i < lane_left.size(); ++i)
    add_text(out, lane_left[i] + lane_width / 2, heading_y, "lane", std::string(1, "DAU"[i]));
  for (const RingMark& mark : layout.marks)
    add(out, "<line x1=\"{:.0f}\" x2=\"{:.0f}\" y1=\"{:.1f}\" y2=\"{:.1f}\" class=\"mark {}\"/>\n",
        lane_left[mark.area], lane_left[mark.area] + lane_width, mark.y, mark.y, area_classes[mark.area]);
  for (const MarkLabel& label : layout.labels) {
    add(out, "<path d=\"M{:.0f} {:.1f}H{:.0f}L{:.0f} {:.1f}\" class=\"leader\"/>\n", bar_right, label.mark_y,
        bar_right + 4, label_left - 2, label.y);
    add(out, "<text x=\"{:.0f}\" y=\"{:.1f}\" class=\"ring-name\"><title>{}</title>{}</text>\n", label_left,
        label.y + 4, label.text, shortened(label.text, label_bytes_max));
  }
}

std::string description_of(const SessionState& state, const MemoryLayout& layout) {
  return fmt::format("{}, lowest guest address first; {} of rings are marked. The table says the same.",
                     counted(state.regions.size(), "region", "regions"), counted(layout.marks.size(), "area", "areas"));
}

}  // namespace

Html memory_drawing(const SessionState& state, const MemoryLayout& layout, const std::string& id) {
  Html out;
  add(out,
      "<svg class=\"memory\" role=\"img\" aria-labelledby=\"{0}-title {0}-text\" width=\"{1:.0f}\" height=\"{2:.0f}\" "
      "viewBox=\"0 0 {1:.0f} {2:.0f}\">\n<title id=\"{0}-title\">Guest memory</title><desc "
      "id=\"{0}-text\">{3}</desc>\n",
      id, width, layout.height, description_of(state, layout));
  add_text(out, address_right, heading_y, "lane right", "guest address");
  add_regions(out, state, layout.regions);
  add_marks(out, layout);
  out.text += "</svg>\n";
  return out;
}

Html memory_table(const SessionState& state) {
  Table table("Memory regions", {{"region", ""},
                                 {"guest address", "number"},
                                 {"size", "number"},
                                 {"front-end address", "number"},
                                 {"offset", "number"},
                                 {"pages", "number"},
                                 {"file", ""},
                                 {"from message", "number"}});
  for (std::size_t i = 0; i < state.regions.size(); ++i) {
    if (i == drawn_regions_max) break;
    const auto& [region, file, event, fd] = state.regions[i];
    table.row({html("{}", i), html("{:#x}", region.guest_address), html("{}", text_of_bytes(region.size)),
               html("{:#x}", region.front_end_address), html("{:#x}", region.mmap_offset),
               html("{}", file.page_bytes == 0 ? std::string("–") : text_of_bytes(file.page_bytes)),
               html("{}", file.kind.empty() ? std::string("no descriptor") : shortened(text_of(file), 200)),
               html("{}", event)});
  }
  return table.html();
}

}  // namespace vhostx::tools::probe
