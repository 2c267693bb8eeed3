// SPDX-License-Identifier: BSD-3-Clause
// VringCore: bursts of a ring whose packets are counted by size (PortOptions::count_sizes), whose writes are logged, or
// whose chains are recorded.
// Other rings pay nothing for it: a burst leaves its usual way where it would for a ring that is disabled.
#include <algorithm>
#include <array>

#include "backend/ring/vring_core.hpp"
#include "net/enqueue.hpp"
#include "zerocopy/borrow.hpp"

namespace vhostx::backend {

std::uint16_t VringCore::enqueue_otherwise(const RunningVring& running, rte_mbuf* const* packets,
                                           std::uint16_t count) noexcept {
  if (!takes(running) || count == 0) return 0;
  auto result =
      with_context(running, data_, [&](const auto& context) { return net::enqueue(context, packets, count); });
  if (running.loans != nullptr && result.packets < count) result.needs_call |= return_spares(running);
  if (running.sizes != nullptr) running.sizes->count({packets, result.packets});
  if (needs_finish(result)) finish_burst(running, result);
  return result.packets;
}

const RunningVring* VringCore::lender_otherwise(const RunningVring* running) const noexcept {
  return running != nullptr && running->pin != nullptr && takes(*running) ? running : nullptr;
}

// What is committed is freed: its classes are known before.
std::uint16_t VringCore::commit_otherwise(const RunningVring* running, rte_mbuf** packets,
                                          std::uint16_t count) noexcept {
  constexpr std::size_t at_once = 256;
  if (lender_otherwise(running) == nullptr) return 0;
  std::array<net::SizeClass, at_once> classes;
  std::uint16_t handled = 0;
  while (handled < count) {
    const auto part = static_cast<std::uint16_t>(std::min<std::size_t>(at_once, count - handled));
    std::transform(packets + handled, packets + handled + part, classes.begin(),
                   [](const rte_mbuf* packet) { return net::size_class_of(*packet); });
    const auto result = with_context(*running, data_, [&](const auto& context) {
      return zerocopy::commit(context, {*running->loans, *running->pin}, packets + handled, part);
    });
    if (running->sizes != nullptr)
      std::for_each_n(classes.begin(), result.packets, [&](net::SizeClass packet) { running->sizes->count(packet); });
    if (needs_finish(result)) finish_burst(*running, result);
    handled = static_cast<std::uint16_t>(handled + result.packets);
    if (result.packets < part || data_.broken()) break;
  }
  return handled;
}

}  // namespace vhostx::backend
