// SPDX-License-Identifier: BSD-3-Clause
// A port with zero copy, and a machine whose packets it lends.
#pragma once

#include <fstream>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "tests/backend/traffic.hpp"
#include "tests/net/ring_fixture.hpp"
#include "tests/support/slow_releases.hpp"

namespace vhostx::test {

/// Mappings of guest memory in this process: each region once in the test's own view, and once where a port maps it
/// (that its guard belongs to the file as well is not counted).
inline std::size_t guest_mappings() {
  wait_for_releases();
  std::ifstream maps("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);)
    count += line.find("memfd:") != std::string::npos && line.find(" rw-s ") != std::string::npos ? 1 : 0;
  return count;
}

inline void wait_until(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) throw std::runtime_error("waited in vain");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

constexpr std::size_t lent_bytes = 1500;

/// The guest transmits a packet of lent_bytes that tells its number.
inline void transmit_large(FakeMachine& machine, std::uint8_t number) {
  machine.ring(1).driver.chain().readable(join(Bytes(12), pattern(lent_bytes, number))).publish();
}

/// Everything that can be had from the guest at the moment. The caller frees.
inline std::vector<rte_mbuf*> take_lent(Port& port) {
  std::vector<rte_mbuf*> packets(64);
  packets.resize(port.from_guest().dequeue_burst(test_pool(), packets.data(), 64));
  for (const rte_mbuf* packet : packets) EXPECT_TRUE(RTE_MBUF_HAS_EXTBUF(packet));
  return packets;
}

inline void free_all(const std::vector<rte_mbuf*>& packets) {
  for (rte_mbuf* packet : packets) rte_pktmbuf_free(packet);
}

/// Two packets of the machine are out on loan.
struct Loans : ::testing::Test {
  static constexpr std::chrono::milliseconds for_ever{60'000};

  explicit Loans(std::chrono::milliseconds loan_timeout = for_ever)
      : mappings_before(guest_mappings()), fixture([loan_timeout](PortOptions& options) {
          options.zero_copy = true;
          options.loan_timeout = loan_timeout;
        }) {
    start_eal();
    connect();
    lend_two();
  }
  ~Loans() override {
    free_all(lent);
    machine.reset();
    fixture.port.reset();
    EXPECT_EQ(guest_mappings(), mappings_before);
    EXPECT_EQ(rte_mempool_in_use_count(test_pool()), 0U);
  }

  void connect() {
    machine = std::make_unique<FakeMachine>(fixture.options.socket_path);
    machine->bring_up();
    while (fixture.events.until<VringStarted>().index != 1) {
    }
  }
  void lend_two() {
    for (std::uint8_t i = 0; i < 2; ++i) transmit_large(*machine, i);
    lent = take_lent(*fixture.port);
    ASSERT_EQ(lent.size(), 2U);
  }
  void give_back() {
    free_all(lent);
    lent.clear();
  }
  void expect_intact() {
    for (std::size_t i = 0; i < lent.size(); ++i)
      EXPECT_EQ(bytes_of(lent[i]), pattern(lent_bytes, static_cast<std::uint8_t>(i)));
  }
  Vring& ring() { return fixture.port->from_guest(); }
  std::uint16_t used_count() { return machine->ring(1).driver.used_count(); }

  std::size_t mappings_before;
  PortFixture fixture;
  std::unique_ptr<FakeMachine> machine;
  std::vector<rte_mbuf*> lent;
};

/// The application never lets go in time.
struct OverdueLoans : Loans {
  OverdueLoans() : Loans(std::chrono::milliseconds(30)) {}
};

}  // namespace vhostx::test
