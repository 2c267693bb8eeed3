// SPDX-License-Identifier: BSD-3-Clause
// FrameDevice: a port of the switch that is no vhost-user socket.
#pragma once

#include <cstdint>

#include <vhostx/vring_stats.hpp>

struct rte_mbuf;
struct rte_mempool;

namespace vhostx::tools {

/// `down`: frames are not taken, but may be again. `gone`: nothing will ever come or go again.
enum class LinkState { up, down, gone };

inline const char* to_string(LinkState link) noexcept {
  return link == LinkState::up ? "up" : link == LinkState::down ? "down" : "gone";
}

/// The two directions are independent; each is used by one thread at a time. Words as for a guest: what it sends comes
/// "from" it. Neither function waits or allocates other than mbufs.
class FrameDevice {
 public:
  virtual ~FrameDevice() = default;

  /// As Vring::dequeue_burst.
  virtual std::uint16_t receive(rte_mempool* pool, rte_mbuf** packets, std::uint16_t count) noexcept = 0;
  /// As Vring::enqueue_burst: returns how many are dealt with; the mbufs stay the caller's.
  virtual std::uint16_t send(rte_mbuf* const* packets, std::uint16_t count) noexcept = 0;
  /// Readable when receive() would return something.
  virtual int fd() const noexcept = 0;

  /// Any thread.
  virtual VringStats received() const noexcept = 0;
  virtual VringStats sent() const noexcept = 0;
  virtual LinkState link() const noexcept { return LinkState::up; }
};

}  // namespace vhostx::tools
