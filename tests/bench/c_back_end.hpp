// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vhostx/vhostx.h>

#include "tests/bench/bench_guest.hpp"
#include "tests/bench/measured_back_end.hpp"

namespace vhostx::bench {

/// A port of this library by its C interface, its rings started and enabled. The guest outlives it.
class CBackEnd final : public MeasuredBackEnd {
 public:
  explicit CBackEnd(BenchGuest& guest);
  ~CBackEnd() override;

  const char* name() const override { return "vhostx-c"; }
  std::uint16_t dequeue(rte_mempool* pool, rte_mbuf** packets, std::uint16_t count) override {
    return vhostx_vring_dequeue_burst(from_guest_, pool, packets, count);
  }
  std::uint16_t enqueue(rte_mbuf** packets, std::uint16_t count) override {
    return vhostx_vring_enqueue_burst(to_guest_, packets, count);
  }

 private:
  vhostx_backend* backend_;
  vhostx_port* port_;
  vhostx_vring* from_guest_;
  vhostx_vring* to_guest_;
  BenchGuest::Connection connection_;
};

}  // namespace vhostx::bench
