// SPDX-License-Identifier: BSD-3-Clause
// GuestPair: two guests on one back-end, and packets from the one to the other, with two copies or with one.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <vhostx/transfer.hpp>

#include "tests/bench/bench_guest.hpp"
#include "tests/bench/memory_kinds.hpp"
#include "tests/bench/vhostx_back_end.hpp"

struct rte_mbuf;
struct rte_mempool;

namespace vhostx::bench {

enum class Copies { one, two };

/// One size and kind of packet.
struct PairCase {
  const char* name;
  BenchOptions options;
  std::uint16_t burst = 32;
  double ratio_target = 0;  ///< Time with two copies to that with one, at least.

  /// Receive buffers that a packet takes.
  std::uint16_t chains() const;
};

std::span<const PairCase> pair_cases();
/// "transfer_64": one copy, "copies_64": two. nullptr: there is none of that name.
const PairCase* find_pair_case(const std::string& name, Copies& copies);

class GuestPair {
 public:
  GuestPair(const PairCase& pair_case, rte_mempool* pool);

  /// Both rings' memory, for tests/bench/count-lines.
  void tell_memory() {
    tell_vring(from_.from_guest(), sender_.ring_addresses(1));
    tell_vring(to_.to_guest(), receiver_.ring_addresses(0));
  }

  /// The one guest posts a burst, the other buffers for it.
  void guests_turn();
  /// The back-end moves it; ends the process when not all of it went.
  void back_end_turn(Copies copies) {
    const std::uint16_t moved = copies == Copies::one ? transfer() : copy_twice();
    if (moved != case_.burst) give_up(moved);
  }

 private:
  std::uint16_t transfer();
  std::uint16_t copy_twice();
  [[noreturn]] void give_up(std::uint16_t moved) const;

  const PairCase& case_;
  rte_mempool* const pool_;
  BenchGuest sender_;
  BenchGuest receiver_;
  std::shared_ptr<Backend> backend_ = make_backend();
  VhostxBackEnd from_{sender_, backend_};
  VhostxBackEnd to_{receiver_, backend_};
  std::unique_ptr<Transfer> transfer_;
  std::array<std::uint8_t, Transfer::burst_max> all_;
  std::array<rte_mbuf*, Transfer::burst_max> packets_;
};

}  // namespace vhostx::bench
