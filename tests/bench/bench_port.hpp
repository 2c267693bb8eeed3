// SPDX-License-Identifier: BSD-3-Clause
// A port of the library with a guest on it in the same process.
#pragma once

#include "tests/bench/bench_guest.hpp"
#include "tests/bench/vhostx_back_end.hpp"

namespace vhostx::bench {

class BenchPort {
 public:
  explicit BenchPort(const BenchOptions& options, const PortOptions& port_options = {})
      : guest_(options), back_end_(guest_, port_options) {}

  Vring& from_guest() { return back_end_.from_guest(); }
  Vring& to_guest() { return back_end_.to_guest(); }
  void post_transmit(std::uint16_t count) { guest_.post_transmit(count); }
  void post_receive(std::uint16_t count) { guest_.post_receive(count); }

 private:
  BenchGuest guest_;
  VhostxBackEnd back_end_;
};

}  // namespace vhostx::bench
