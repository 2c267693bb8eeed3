// SPDX-License-Identifier: BSD-3-Clause
// A port of the library with a guest on it in the same process, for counting and timing its data path: one queue pair,
// real messages over a real socket, a driver whose buffers are laid out once and posted again and again.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <vhostx/vhostx.hpp>

#include "base/event_fd.hpp"
#include "tests/support/fake_driver.hpp"
#include "tests/support/fake_front_end.hpp"
#include "tests/support/fake_guest.hpp"

struct rte_mempool;

namespace vhostx::bench {

/// How the driver lays a packet out.
enum class Shape { one_descriptor, two_descriptors, indirect };

struct BenchOptions {
  std::uint32_t packet_bytes = 64;
  std::uint16_t ring_size = 256;
  std::uint64_t features = (1ULL << 32) | (1ULL << 15) | (1ULL << 28);  ///< VERSION_1, MRG_RXBUF, INDIRECT_DESC
  Shape shape = Shape::one_descriptor;
  std::uint32_t regions = 1;  ///< Of guest memory; the buffers are spread over all of them.
  bool interrupts = false;    ///< The driver wants to be called.
};

/// Ends the process with a message when anything fails: a bench has nobody to report to.
class BenchPort {
 public:
  explicit BenchPort(const BenchOptions& options);
  ~BenchPort();

  Vring& from_guest() { return port_->from_guest(); }
  Vring& to_guest() { return port_->to_guest(); }

  /// The guest sends `count` packets, and takes back what was used before.
  void post_transmit(std::uint16_t count) { transmit_.post(count); }
  /// The guest posts `count` receive buffers, and takes what was delivered before.
  void post_receive(std::uint16_t count) { receive_.post(count); }

 private:
  /// A ring whose `size` chains stand in its table from the start; posting is moving an index.
  struct Ring {
    void post(std::uint16_t count);

    std::unique_ptr<test::FakeDriver> driver;
    std::vector<std::uint16_t> heads;
    std::uint16_t next = 0;
    EventFd kick;
    EventFd call;
  };

  void lay_out(Ring& ring, bool writable);
  void connect();
  void configure(std::uint32_t index, Ring& ring);

  BenchOptions options_;
  test::FakeGuest guest_;
  Ring receive_;
  Ring transmit_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Port> port_;
  std::unique_ptr<test::FakeFrontEnd> front_end_;
};

}  // namespace vhostx::bench
