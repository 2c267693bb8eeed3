// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "tests/bench/bench_guest.hpp"
#include "tests/bench/measured_back_end.hpp"

namespace vhostx::bench {

/// DPDK's own vhost library, for comparison. One at a time in a process. The guest outlives it.
class RteVhostBackEnd final : public MeasuredBackEnd {
 public:
  explicit RteVhostBackEnd(BenchGuest& guest);
  ~RteVhostBackEnd() override;

  const char* name() const override { return "rte_vhost"; }
  std::uint16_t dequeue(rte_mempool* pool, rte_mbuf** packets, std::uint16_t count) override;
  std::uint16_t enqueue(rte_mbuf** packets, std::uint16_t count) override;

 private:
  std::string path_;
  BenchGuest::Connection connection_;
  int device_ = -1;
};

}  // namespace vhostx::bench
