// SPDX-License-Identifier: BSD-3-Clause
// Mempools that an application gives to a burst by mistake: found when a vring meets another pool than the last time,
// and reported once by the control thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

struct rte_mempool;

namespace vhostx::backend {

/// Why a burst cannot use a pool.
struct PoolFault {
  enum class Cause : std::uint8_t {
    none,
    null,      ///< There is no pool.
    no_mbufs,  ///< Its elements are no mbufs.
    no_room,   ///< From the guest: its mbufs have no room for a packet.
    pinned,    ///< To the guest: its mbufs cannot be attached to the guest's buffers.
  };
  Cause cause = Cause::none;
  std::array<char, 32> name{};  ///< Of the pool, which may be gone when this is read.
  std::uint32_t bytes = 0;      ///< no_mbufs: of an element. no_room: of an mbuf's data room.
};

/// `from_guest`: of a burst that copies into its mbufs; else of one that attaches them. Any thread.
PoolFault check_pool(const rte_mempool* pool, bool from_guest) noexcept;

/// What is wrong, and what is expected.
std::string describe(const PoolFault& fault);

/// The first fault of a vring, on its way to the control thread.
class PoolReport {
 public:
  /// Data thread. Whether it is the first: then the control thread is to be woken.
  bool put(const PoolFault& fault) noexcept {
    if (state_.load(std::memory_order_relaxed) != State::empty) return false;
    fault_ = fault;
    state_.store(State::filled, std::memory_order_release);
    return true;
  }
  /// Control thread. Once.
  std::optional<PoolFault> take() noexcept {
    if (state_.load(std::memory_order_acquire) != State::filled) return std::nullopt;
    state_.store(State::taken, std::memory_order_relaxed);
    return fault_;
  }

 private:
  enum class State : std::uint8_t { empty, filled, taken };
  std::atomic<State> state_{State::empty};
  PoolFault fault_;
};

}  // namespace vhostx::backend
