// SPDX-License-Identifier: BSD-3-Clause
#include "tools/switch/report_placement.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace vhostx::tools {
namespace {

using Out = std::back_insert_iterator<std::string>;

std::string node_text(int node) { return node == no_node ? "-" : std::to_string(node); }

struct Widths {
  std::size_t name = 4;
  std::size_t buffers = 7;
};
Widths widths_of(const Snapshot& snapshot) {
  Widths widths;
  for (const auto& port : snapshot.ports) {
    widths.name = std::max(widths.name, port.name.size());
    for (const auto& row : port.placement)
      widths.buffers = std::max(widths.buffers, text_histogram(row.placement.buffers).size());
  }
  return widths;
}

void add_row(std::string& text, const Widths& widths, const PortSnapshot& port, const VringRow& row) {
  const auto& placement = row.placement;
  fmt::format_to(Out(text), "{:<{}}  {:>5}  {:>4}  {:<{}}  {:>6}  {:>5}  {:>5}  {:>6}  {:>5}  {:>10}  {:>12}\n",
                 port.name, widths.name, row.index, node_text(placement.ring_node), text_histogram(placement.buffers),
                 widths.buffers, node_text(placement.wanted_node), node_text(placement.state_node), placement.moved,
                 row.worker, row.lcore, node_text(row.lcore_node), node_text(row.mempool_node));
  if (!placement.problem.empty()) fmt::format_to(Out(text), "{:<{}}  {}\n", "", widths.name, placement.problem);
}

void add_pool(std::string& text, const PoolRow& pool) {
  fmt::format_to(Out(text), "mempool for node {}: on node {}, {} of {} mbufs in use{}{}\n", node_text(pool.asked_node),
                 node_text(pool.node), pool.in_use, pool.mbufs, pool.problem.empty() ? "" : ": ", pool.problem);
}

}  // namespace

std::string text_histogram(const NodeHistogram& histogram) {
  std::string text;
  const auto add = [&text](const std::string& what, std::uint32_t pages) {
    if (pages != 0) fmt::format_to(Out(text), "{}{}: {}", text.empty() ? "" : ", ", what, pages);
  };
  for (const auto& entry : histogram.nodes) add(std::to_string(entry.node), entry.pages);
  add("absent", histogram.absent);
  add("unknown", histogram.unknown);
  return text.empty() ? "-" : text;
}

std::string text_placement(const Snapshot& snapshot) {
  if (snapshot.numa_nodes < 2) return "one NUMA node\n";
  const auto widths = widths_of(snapshot);
  auto text =
      fmt::format("{:<{}}  vring  ring  {:<{}}  wanted  state  moved  worker  lcore  lcore node  mempool node\n",
                  "NUMA", widths.name, "buffers", widths.buffers);
  for (const auto& port : snapshot.ports)
    for (const auto& row : port.placement) add_row(text, widths, port, row);
  for (const auto& pool : snapshot.mempools) add_pool(text, pool);
  return text;
}

std::string text_lane_moved(const LaneMoved& lane) {
  return fmt::format("{:>9.3f}  {}: queue pair {} moved from worker {} to worker {}\n", lane.seconds, lane.port,
                     lane.pair, lane.from, lane.to);
}

}  // namespace vhostx::tools
