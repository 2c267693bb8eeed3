// SPDX-License-Identifier: BSD-3-Clause
// MeasuredBackEnd: one queue pair of a library that is measured, ours or another, connected to a BenchGuest.
#pragma once

#include <cstdint>

struct rte_mbuf;
struct rte_mempool;

namespace vhostx::bench {

class MeasuredBackEnd {
 public:
  MeasuredBackEnd() = default;
  MeasuredBackEnd(const MeasuredBackEnd&) = delete;
  MeasuredBackEnd& operator=(const MeasuredBackEnd&) = delete;
  virtual ~MeasuredBackEnd() = default;

  virtual const char* name() const = 0;
  /// Guest to host: how many packets are in `packets` now.
  virtual std::uint16_t dequeue(rte_mempool* pool, rte_mbuf** packets, std::uint16_t count) = 0;
  /// Host to guest: how many were taken. The mbufs stay the caller's.
  virtual std::uint16_t enqueue(rte_mbuf** packets, std::uint16_t count) = 0;
};

}  // namespace vhostx::bench
