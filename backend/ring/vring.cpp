// SPDX-License-Identifier: BSD-3-Clause
// The public Vring: each call is VringCore's.
#include <vhostx/vring.hpp>

#include "backend/ring/vring_core.hpp"

namespace vhostx {

std::uint16_t Vring::index() const noexcept { return core_.index(); }

std::uint16_t Vring::dequeue_burst(rte_mempool* pool, rte_mbuf** packets, std::uint16_t count) noexcept {
  return core_.dequeue_burst(pool, packets, count);
}

std::uint16_t Vring::enqueue_burst(rte_mbuf* const* packets, std::uint16_t count) noexcept {
  return core_.enqueue_burst(packets, count);
}

std::uint16_t Vring::borrow_burst(rte_mempool* pool, rte_mbuf** buffers, std::uint16_t count) noexcept {
  return core_.borrow_burst(pool, buffers, count);
}

std::uint16_t Vring::commit_burst(rte_mbuf** packets, std::uint16_t count) noexcept {
  return core_.commit_burst(packets, count);
}

std::uint16_t Vring::poll_completions() noexcept { return core_.poll_completions(); }

bool Vring::set_notifications(bool on) noexcept { return core_.set_notifications(on); }
void Vring::hold_calls(bool hold) noexcept { core_.hold_calls(hold); }
bool Vring::call_guest() noexcept { return core_.call_guest(); }
int Vring::kick_fd() const noexcept { return core_.kick_fd(); }
VringState Vring::state() const noexcept { return core_.state(); }
std::uint16_t Vring::pending() noexcept { return core_.pending(); }
EnqueueEnd Vring::enqueue_end() noexcept { return core_.enqueue_end(); }
AvailWatch Vring::avail_watch() noexcept { return core_.avail_watch(); }
std::uint16_t Vring::size() const noexcept { return core_.size(); }
VringStats Vring::stats() const noexcept { return core_.stats(); }
std::uint64_t Vring::count(VringCounter id) const noexcept { return core_.count(id); }
PacketSizes Vring::packet_sizes() const noexcept { return core_.packet_sizes(); }
void Vring::reset_stats() noexcept { core_.reset_stats(); }
LoanState Vring::loans() const noexcept { return core_.loans().state(); }

int Vring::numa_node() const noexcept { return core_.numa_node(); }
VringPlacement Vring::placement() const { return core_.placement(); }

}  // namespace vhostx
