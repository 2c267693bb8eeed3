// SPDX-License-Identifier: BSD-3-Clause
// DriverRing: the driver's side of one virtqueue, split or packed, with a buffer of its own for each chain.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include <vhostx/result.hpp>

#include "base/event_fd.hpp"
#include "protocol/payloads.hpp"
#include "tools/driver/driver_chains.hpp"
#include "tools/driver/packed_driver.hpp"
#include "tools/driver/shared_memory.hpp"
#include "tools/driver/split_driver.hpp"

namespace vhostx::tools {

/// A buffer starts so that what follows a header of 12 bytes begins a cache line, as DPDK's drivers and Linux have it.
/// Buffers that follow each other lie without gaps, so that a packet over several of them is one piece of memory.
class DriverRing {
  template <typename F>
  decltype(auto) with_kind(F&& use) noexcept {
    return options().packed ? use(packed_) : use(split_);
  }
  template <typename F>
  decltype(auto) with_kind(F&& use) const {
    return options().packed ? use(packed_) : use(split_);
  }
  template <typename Kind>
  static typename Kind::Reader reader_of(const Kind& ring) noexcept {
    return typename Kind::Reader(ring);
  }
  template <typename Kind>
  typename Kind::Writer writer_of(Kind& ring) noexcept {
    return {ring, chains_};
  }

 public:
  struct Used {
    std::uint16_t chain;
    std::uint32_t length;
  };

  /// Bytes of memory that the ring and its buffers take, and the largest piece of them.
  static std::size_t memory_bytes(const DriverRingOptions& options) noexcept;
  static std::size_t piece_bytes_max(const DriverRingOptions& options) noexcept;

  static Result<DriverRing> create(SharedMemory& memory, const DriverRingOptions& options);

  std::uint16_t chain_count() const noexcept { return chains_.count(); }
  std::uint8_t* buffer(std::uint16_t chain) const noexcept { return chains_.buffers[chain].at; }
  const DriverRingOptions& options() const noexcept { return chains_.options; }
  int kick_fd() const noexcept { return kick_.get(); }
  int call_fd() const noexcept { return call_.get(); }
  /// What SET_VRING_ADDR says; `vring` is its index.
  protocol::VringAddress addresses(std::uint32_t vring) const noexcept;
  /// What SET_VRING_BASE says to a device that is to begin with the oldest chain that was not taken back.
  std::uint32_t base() const noexcept {
    return with_kind([](const auto& ring) { return ring.base(); });
  }

  /// How many used entries wait; never more than the ring has chains, whatever the back-end says. Where `enough` are
  /// known of already, the ring is not looked at: its lines are ones that the back-end writes.
  std::uint16_t used_waiting(std::size_t enough = SIZE_MAX) noexcept {
    return with_kind([&](auto& ring) { return ring.used_waiting(enough, chain_count()); });
  }
  /// The `ahead`th of them.
  Used peek(std::uint16_t ahead) const noexcept {
    return with_kind([&](const auto& ring) {
      const auto reader = reader_of(ring);
      const auto [id, length] = reader.at(ahead);
      return Used{reader.chain(id), length};
    });
  }
  /// Takes the first `count` of them back and hands each chain to `chain_taken`. A buffer that was not out is a fault
  /// of the back-end's: remembered, and not handed on.
  template <typename F>
  void take(unsigned count, F&& chain_taken) noexcept {
    with_kind([&](auto& ring) {
      std::uint8_t* const out = chains_.out.data();
      const auto reader = reader_of(ring);
      unsigned taken = 0;
      for (unsigned i = 0; i < count; ++i) {
        const std::uint32_t id = reader.at(i).id;
        const std::uint16_t chain = reader.chain(id);
        if (is_out(chain)) [[likely]] {
          out[chain] = 0;
          ++taken;
          chain_taken(chain);
        } else if (faults_++ == 0) {
          first_bad_id_ = id;
        }
      }
      out_count_ = static_cast<std::uint16_t>(out_count_ - taken);
      ring.took(count, calls_wanted_);
    });
  }
  bool is_out(std::uint16_t chain) const noexcept { return chain < chains_.out.size() && chains_.out[chain] != 0; }

  /// Makes the chain available with its buffer's first `bytes` bytes; seen after publish().
  void post(std::uint16_t chain, std::uint32_t bytes) noexcept {
    post_burst(1, bytes, [chain](unsigned) { return chain; });
  }
  /// The same for `count` chains: chain_at(0), chain_at(1) and so on.
  template <typename F>
  void post_burst(unsigned count, std::uint32_t bytes, F&& chain_at) noexcept {
    with_kind([&](auto& ring) {
      // In local variables: nothing that is stored below can be one of them.
      std::uint8_t* const out = chains_.out.data();
      auto writer = writer_of(ring);
      for (unsigned i = 0; i < count; ++i) {
        const std::uint16_t chain = chain_at(i);
        writer.put(chain, bytes);
        out[chain] = 1;
      }
      writer.finish();
      out_count_ = static_cast<std::uint16_t>(out_count_ + count);
    });
  }
  /// Shows what was posted.
  void publish() noexcept {
    with_kind([](auto& ring) { ring.publish(); });
  }
  /// Kicks where the device wants it, for all that was published since the last time. Late is cheaper: the fence in it
  /// waits for every line that was written.
  void notify() noexcept {
    with_kind([&](auto& ring) {
      if (!ring.has_news() || !ring.wants_kick()) return;
      ++kicks_;
      kick_.signal();
    });
  }
  void kick() noexcept { kick_.signal(); }
  std::uint64_t kicks() const noexcept { return kicks_; }

  /// Asks for calls when another buffer is used, or for none. True: one came in before the asking was seen.
  bool want_calls(bool wanted) noexcept;
  void drain_call() const noexcept { call_.drain(); }

  /// Calls written(const void* at, std::size_t bytes) for each piece of memory that the driver writes: the ring's
  /// areas, tables, and the buffers of a transmit ring.
  template <typename F>
  void for_each_written(F&& written) const {
    with_kind([&](const auto& ring) { ring.for_each_written(written); });
    for (const auto& table : chains_.tables) written(table.at, DriverChains::table_bytes);
    if (options().device_writes) return;
    for (const auto& buffer : chains_.buffers) written(buffer.at, options().buffer_bytes);
  }

  /// Forgets what is out and goes on at `index` (as DriverRingOptions::first_index), for both sides: for a ring that is
  /// stopped and begins anew.
  void restart_at(std::uint16_t index) noexcept;
  /// Chains with the device.
  std::uint16_t outstanding() const noexcept { return out_count_; }
  /// What the back-end did that it may not; empty: nothing.
  std::string fault() const;

 private:
  explicit DriverRing(const DriverRingOptions& options) { chains_.options = options; }
  void lay_out(SharedMemory& memory);

  DriverChains chains_;
  SplitDriver split_;  ///< Or:
  PackedDriver packed_;
  std::uint16_t out_count_ = 0;
  bool calls_wanted_ = false;
  std::uint64_t kicks_ = 0;
  std::uint64_t faults_ = 0;
  std::uint32_t first_bad_id_ = 0;
  EventFd kick_;
  EventFd call_;
};

}  // namespace vhostx::tools
