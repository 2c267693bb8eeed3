// SPDX-License-Identifier: BSD-3-Clause
// Packets through a Port's vrings, for tests of what the control side does around them.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include <rte_mbuf.h>

#include <vhostx/port.hpp>

#include "tests/backend/port_fixture.hpp"
#include "tests/support/eal.hpp"

namespace vhostx::test {

/// A frame of 60 bytes behind a net header of 12, as one readable buffer.
inline std::vector<std::uint8_t> small_packet() {
  std::vector<std::uint8_t> bytes(12 + 60);
  for (std::size_t i = 12; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i);
  return bytes;
}

/// The guest transmits `count` packets on ring 1.
inline void transmit(FakeMachine& machine, int count = 1) {
  for (int i = 0; i < count; ++i) machine.ring(1).driver.chain().readable(small_packet()).publish();
}

/// One burst from the guest; how many packets. They are freed.
inline std::uint16_t take_burst(Vring& vring, rte_mempool* pool = test_pool()) {
  std::array<rte_mbuf*, 32> packets;
  const std::uint16_t count = vring.dequeue_burst(pool, packets.data(), packets.size());
  rte_pktmbuf_free_bulk(packets.data(), count);
  return count;
}

/// A packet of the host's for the guest; how many it took.
inline std::uint16_t deliver(Port& port, std::uint16_t pair = 0) {
  rte_mbuf* packet = rte_pktmbuf_alloc(test_pool());
  rte_pktmbuf_append(packet, 60);
  const std::uint16_t sent = port.to_guest(pair).enqueue_burst(&packet, 1);
  rte_pktmbuf_free(packet);  // it was copied
  return sent;
}

}  // namespace vhostx::test
