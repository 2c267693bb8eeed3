// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/report/ring_drawing.hpp"

#include <vector>

#include "tools/probe/report/table.hpp"
#include "tools/probe/session/fd_facts.hpp"
#include "tools/probe/session/ring_kind.hpp"

namespace vhostx::tools::probe {
namespace {

constexpr double width = 340;
constexpr double bar_left = 1;
constexpr double bar_width = 58;
constexpr double text_left = 70;
constexpr StackSizes sizes{1, 150, 46, 22};
constexpr const char* area_classes[] = {"d", "a", "u"};

const char* kick_of(const RingView& ring) {
  if (ring.kick) return "descriptor";
  return ring.kick_given ? "none: polled" : "not set";
}

template <typename T>
std::string number_or_dash(const std::optional<T>& value) {
  return value ? fmt::format("{}", *value) : "–";
}

std::string base_of(const SessionState& state, const RingView& ring) {
  return ring.base ? text_of_base(is_packed(state), *ring.base) : "–";
}

std::string place_of(const SessionState& state, const RingArea& area) {
  if (has_io_addresses(state)) return "an I/O address: regions say nothing";
  if (!area.region) return "✖ lies in no region";
  if (area.last_region == area.region) return fmt::format("guest {:#x}, region {}", area.guest_address, *area.region);
  return fmt::format("guest {:#x}, regions {} and {}", area.guest_address, *area.region, area.last_region);
}

void add_area(Html& out, const SessionState& state, const RingArea& area, std::size_t number,
              const PlacedBlock& block) {
  const double y = block.y;
  if (block.hole != 0)
    add(out, "<text x=\"{:.0f}\" y=\"{:.1f}\" class=\"hole\">⋮ {} apart</text>\n", bar_left, y - 7,
        text_of_about(block.hole));
  if (block.overlap != 0)
    add(out, "<text x=\"{:.0f}\" y=\"{:.1f}\" class=\"bad\">✖ {} overlap</text>\n", bar_left, y - 7,
        text_of_about(block.overlap));
  add(out,
      "<g class=\"area\"><rect x=\"{:.0f}\" y=\"{:.1f}\" width=\"{:.0f}\" height=\"{:.1f}\" class=\"block {}\"/>"
      "<text x=\"{:.0f}\" y=\"{:.1f}\" class=\"letter\">{}</text>\n",
      bar_left, y, bar_width, block.height, area_classes[number], bar_left + bar_width / 2, y + block.height / 2 + 5,
      std::string(1, area.letter));
  add(out, "<text x=\"{:.0f}\" y=\"{:.1f}\"><tspan class=\"strong\">{}</tspan>, {}</text>\n", text_left, y + 13,
      area.name, text_of_about(area.bytes));
  add(out, "<text x=\"{:.0f}\" y=\"{:.1f}\" class=\"address\">{:#x}</text>\n", text_left, y + 27, area.address);
  const bool lost = !area.region && !has_io_addresses(state);
  add(out, "<text x=\"{:.0f}\" y=\"{:.1f}\" class=\"{}\">{}</text></g>\n", text_left, y + 41,
      lost ? "bad start" : "place", place_of(state, area));
}

Html drawing_of(const SessionState& state, std::uint32_t index, const std::array<RingArea, 3>& areas,
                const std::string& id) {
  const Stack stack = lay_out_ring(areas);
  Html out;
  add(out,
      "<svg class=\"ring\" role=\"img\" aria-labelledby=\"{0}-title\" width=\"{1:.0f}\" height=\"{2:.0f}\" "
      "viewBox=\"0 0 {1:.0f} {2:.0f}\"><title id=\"{0}-title\">Areas of ring {3}, lowest address first</title>\n",
      id, width, stack.bottom + 2, index);
  for (const PlacedBlock& block : stack.blocks) add_area(out, state, areas[block.index], block.index, block);
  out.text += "</svg>\n";
  return out;
}

std::string log_of(const RingView& ring) {
  return is_logged(ring) ? fmt::format("guest {:#x}", ring.addresses->log) : "none";
}

void add_fact(Html& out, const char* name, const std::string& value, bool good) {
  add(out, "<div class=\"{}\"><dt>{}</dt><dd>{}</dd></div>", good ? "on" : "off", name, value);
}

Html facts_of(const SessionState& state, const RingView& ring) {
  Html out{"<dl class=\"facts\">"};
  add_fact(out, "size", number_or_dash(ring.size), ring.size.has_value());
  add_fact(out, "base", base_of(state, ring), ring.base.has_value());
  add_fact(out, "state", ring.stopped ? "stopped" : "started", !ring.stopped);
  add_fact(out, "enabled", ring.enabled ? "yes" : "no", ring.enabled);
  add_fact(out, "kick", kick_of(ring), ring.kick_given);
  add_fact(out, "call", ring.call ? "descriptor" : "none", ring.call);
  add_fact(out, "err", ring.err ? "descriptor" : "none", ring.err);
  if (is_logging(state) || is_logged(ring))
    add_fact(out, is_packed(state) ? "log of device event" : "log of used ring", log_of(ring), is_logged(ring));
  out.text += "</dl>\n";
  return out;
}

Html address_cell(const std::optional<std::array<RingArea, 3>>& areas, std::size_t area) {
  return areas ? html("{:#x} <small>{}</small>", (*areas)[area].address, text_of_bytes((*areas)[area].bytes))
               : html("–");
}

}  // namespace

Stack lay_out_ring(const std::array<RingArea, 3>& areas) {
  std::vector<AddressBlock> blocks;
  for (const RingArea& area : areas) blocks.push_back({area.address, area.bytes});
  return stack_of(blocks, sizes);
}

Html ring_cards(const SessionState& state, const std::string& id) {
  Html out{"<div class=\"rings\">\n"};
  std::size_t drawn = 0;
  for (const auto& [index, ring] : state.rings) {
    if (drawn++ == drawn_rings_max) break;
    const std::string ring_id = fmt::format("{}-ring{}", id, index);
    const auto areas = areas_of(state, ring);
    add(out, "<section class=\"ring\" id=\"{}\" aria-labelledby=\"{}-name\"><h4 id=\"{}-name\">Ring {}</h4>\n", ring_id,
        ring_id, ring_id, index);
    out += facts_of(state, ring);
    out +=
        areas ? drawing_of(state, index, *areas, ring_id) : html("<p class=\"none\">Its addresses were not set.</p>\n");
    out.text += "</section>\n";
  }
  out.text += "</div>\n";
  return out;
}

Html ring_table(const SessionState& state) {
  const bool packed = is_packed(state);
  const auto kinds = area_kinds(packed, 0);
  Table table("Rings", {{"ring", ""},
                        {"size", "number"},
                        {"base", packed ? "" : "number"},
                        {"state", ""},
                        {"enabled", ""},
                        {"kick", ""},
                        {"call", ""},
                        {"err", ""},
                        {kinds[0].name, "number"},
                        {kinds[1].name, "number"},
                        {kinds[2].name, "number"}});
  for (const auto& [index, ring] : state.rings) {
    const auto areas = areas_of(state, ring);
    table.row({html("{}", index), html("{}", number_or_dash(ring.size)), html("{}", base_of(state, ring)),
               html("{}", ring.stopped ? "stopped" : "started"), html("{}", ring.enabled ? "yes" : "no"),
               html("{}", kick_of(ring)), html("{}", ring.call ? "descriptor" : "none"),
               html("{}", ring.err ? "descriptor" : "none"), address_cell(areas, 0), address_cell(areas, 1),
               address_cell(areas, 2)});
  }
  return table.html();
}

}  // namespace vhostx::tools::probe
