// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include <vhostx/vhostx.hpp>

#include "tests/bench/bench_guest.hpp"
#include "tests/bench/measured_back_end.hpp"

namespace vhostx::bench {

std::shared_ptr<Backend> make_backend();
/// Until both directions of each queue pair are started and enabled. There is no event to wait for in a bench that has
/// no handler.
void wait_until_started(Port& port);

/// A port of this library, its rings started and enabled. The guest outlives it.
class VhostxBackEnd final : public MeasuredBackEnd {
 public:
  explicit VhostxBackEnd(BenchGuest& guest, std::shared_ptr<Backend> backend = make_backend());
  /// `options`: all but socket and queue pairs.
  VhostxBackEnd(BenchGuest& guest, PortOptions options, std::shared_ptr<Backend> backend = make_backend());

  Vring& from_guest(std::uint16_t pair = 0) { return port_->from_guest(pair); }
  Vring& to_guest(std::uint16_t pair = 0) { return port_->to_guest(pair); }

  const char* name() const override { return "vhostx"; }
  std::uint16_t dequeue(rte_mempool* pool, rte_mbuf** packets, std::uint16_t count) override {
    return from_guest().dequeue_burst(pool, packets, count);
  }
  std::uint16_t enqueue(rte_mbuf** packets, std::uint16_t count) override {
    return to_guest().enqueue_burst(packets, count);
  }

 private:
  std::shared_ptr<Backend> backend_;
  std::unique_ptr<Port> port_;
  BenchGuest::Connection connection_;
};

}  // namespace vhostx::bench
