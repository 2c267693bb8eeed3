// SPDX-License-Identifier: BSD-3-Clause
#include "tests/lab/numa/node_memory.hpp"

#include <cerrno>
#include <charconv>
#include <chrono>
#include <numaif.h>
#include <thread>
#include <utility>

#include "base/error.hpp"

namespace vhostx::lab {
namespace {

// A page that somebody looks at (the switch asks where it is) does not move at that moment, and no event says when it
// will.
constexpr int bind_tries = 10'000;
constexpr std::chrono::milliseconds bind_pause{1};
constexpr unsigned long mask_bits = node_max + 2;  // the kernel takes one less than it is told

unsigned long mask_of(const Nodes& nodes) {
  unsigned long mask = 0;
  for (const unsigned node : nodes) mask |= 1UL << node;
  return mask;
}

int mode_of(const Nodes& nodes) { return nodes.size() == 1 ? MPOL_BIND : MPOL_INTERLEAVE; }

}  // namespace

Result<Nodes> parse_nodes(std::string_view text) {
  Nodes nodes;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    unsigned node = 0;
    const auto [next, error] = std::from_chars(at, end, node);
    if (error != std::errc{} || node > node_max) break;
    nodes.push_back(node);
    if (next == end) return nodes;
    if (*next != '+') break;
    at = next + 1;
  }
  return make_error(ErrorCode::invalid_argument, "nodes '{}': expected a number of 0 to {}, or several with + between",
                    text, node_max);
}

Result<AllocateOn> AllocateOn::begin(const Nodes& nodes) {
  const unsigned long mask = mask_of(nodes);
  if (::set_mempolicy(mode_of(nodes), &mask, mask_bits) != 0)
    return make_system_error(errno, "set_mempolicy to nodes of mask {:#x}", mask);
  return AllocateOn();
}

AllocateOn::AllocateOn(AllocateOn&& other) noexcept : active_(std::exchange(other.active_, false)) {}

AllocateOn::~AllocateOn() {
  if (active_) ::set_mempolicy(MPOL_DEFAULT, nullptr, 0);
}

Result<std::map<int, std::size_t>> count_pages(const Range& range) {
  std::vector<void*> pages;
  for (std::size_t at = 0; at < range.bytes; at += range.page_bytes) pages.push_back(range.at + at);
  std::vector<int> status(pages.size());
  if (::move_pages(0, pages.size(), pages.data(), nullptr, status.data(), 0) != 0)
    return make_system_error(errno, "asking for the nodes of {} pages", pages.size());
  std::map<int, std::size_t> counts;
  for (const int node : status) ++counts[node < 0 ? -1 : node];
  return counts;
}

Result<void> bind(const Range& range, const Nodes& nodes) {
  const unsigned long mask = mask_of(nodes);
  for (int tries = 0; tries < bind_tries; ++tries) {
    if (::mbind(range.at, range.bytes, mode_of(nodes), &mask, mask_bits, MPOL_MF_MOVE_ALL | MPOL_MF_STRICT) == 0)
      return {};
    if (errno != EIO) break;
    std::this_thread::sleep_for(bind_pause);
  }
  return make_system_error(errno, "binding {} bytes to nodes of mask {:#x}", range.bytes, mask);
}

}  // namespace vhostx::lab
