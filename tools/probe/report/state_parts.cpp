// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/report/memory_drawing.hpp"
#include "tools/probe/report/page_parts.hpp"
#include "tools/probe/report/ring_drawing.hpp"
#include "tools/probe/report/sequence.hpp"
#include "tools/probe/session/fd_facts.hpp"

namespace vhostx::tools::probe {
namespace {

/// When it was so; sessions end with rings stopped and memory gone, which is not worth drawing.
Html moment_of(const ConnectionData& connection) {
  if (connection.peak_event == connection.events) return html("As it stood at the end of the record.");
  const std::string anchor = anchor_in(connection, connection.peak_event);
  const Html number = anchor.empty() ? html("{}", connection.peak_event)
                                     : html("<a href=\"#{}\">{}</a>", anchor, connection.peak_event);
  return html("As it stood after event {}, the last time when as much as this was in place.", number);
}

Html scale_of(const Stack& stack) {
  if (stack.blocks.empty() || stack.bytes_per_pixel <= 0) return {};
  return html("Heights are to scale{}; holes are compressed.",
              stack.raised ? ", but small regions are drawn as high as their text needs" : "");
}

std::size_t lost_areas(const SessionState& state) {
  std::size_t lost = 0;
  for (const auto& [index, ring] : state.rings)
    if (const auto areas = areas_of(state, ring))
      for (const RingArea& area : *areas) lost += area.region ? 0 : 1;
  return lost;
}

void add_notes(Html& out, const SessionState& state, const MemoryLayout& layout) {
  if (has_io_addresses(state))
    out.text +=
        "<p>Rings have I/O addresses (VIRTIO_F_IOMMU_PLATFORM), which regions say nothing of: none is marked.</p>\n";
  else if (const std::size_t lost = lost_areas(state); lost != 0)
    add(out, "<p class=\"bad\">✖ {} in no region: not marked.</p>\n",
        counted(lost, "area of a ring lies", "areas of rings lie"));
  if (layout.omitted != 0)
    add(out, "<p>{} not drawn.</p>\n", counted(layout.omitted, "more region is", "more regions are"));
}

}  // namespace

Html memory_part(const ConnectionData& connection) {
  const SessionState& state = connection.peak;
  if (state.regions.empty()) return html("<p class=\"none\">The front-end shared no memory.</p>\n");
  const MemoryLayout layout = lay_out_memory(state);
  Html out;
  add(out, "<p>{} {}</p>\n", moment_of(connection), scale_of(layout.regions));
  add(out,
      "<p class=\"legend\"><span class=\"key d\">D</span> descriptors <span class=\"key a\">A</span> available "
      "<span class=\"key u\">U</span> used: where each ring's areas lie.</p>\n");
  add_notes(out, state, layout);
  add(out, "<div class=\"beside\">\n<figure>{}</figure>\n{}</div>\n",
      memory_drawing(state, layout, fmt::format("c{}-map", connection.id)), memory_table(state));
  return out;
}

Html rings_part(const ConnectionData& connection) {
  const SessionState& state = connection.peak;
  if (state.rings.empty()) return html("<p class=\"none\">No ring was configured.</p>\n");
  Html out;
  add(out, "<p>{} Addresses are {}; areas are to scale as far as their text allows.</p>\n", moment_of(connection),
      has_io_addresses(state)      ? "I/O addresses"
      : has_guest_addresses(state) ? "guest addresses"
                                   : "the front-end's");
  if (state.rings.size() > drawn_rings_max)
    add(out, "<p>The first {} of {} rings are drawn; the table has all.</p>\n", drawn_rings_max, state.rings.size());
  out += ring_cards(state, fmt::format("c{}", connection.id));
  out += ring_table(state);
  return out;
}

}  // namespace vhostx::tools::probe
