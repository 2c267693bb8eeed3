// SPDX-License-Identifier: BSD-3-Clause
// DriverRing: the driver's side of one split virtqueue (VIRTIO 1.2, 2.7.13), with a buffer of its own for each chain.
//
// A cache line that is written here must travel to the back-end's CPU, and costs both. So what a descriptor and an
// entry of avail already say is not written again; it is remembered in memory of our own, as shared memory is the
// back-end's too.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <vhostx/result.hpp>

#include "base/event_fd.hpp"
#include "protocol/payloads.hpp"
#include "tools/driver/shared_memory.hpp"
#include "virtqueue/ring.hpp"

namespace vhostx::tools {

/// How a packet lies in descriptors.
enum class ChainLayout { one, two, indirect };

struct DriverRingOptions {
  std::uint16_t size = 256;
  ChainLayout layout = ChainLayout::one;
  bool device_writes = false;  ///< A receive ring.
  bool event_idx = false;
  std::uint32_t net_header_bytes = 12;  ///< In a descriptor of its own where the layout has two.
  std::uint32_t buffer_bytes = 0;       ///< Header included.
  bool rewrite = false;                 ///< Writes descriptors and avail each time, whatever they say.
  std::uint16_t first_index = 0;        ///< Both rings' idx at first: what SET_VRING_BASE must say.
};

/// A buffer starts so that what follows a header of 12 bytes begins a cache line, as DPDK's drivers and Linux have it.
/// Buffers that follow each other lie without gaps, so that a packet over several of them is one piece of memory.
class DriverRing {
 public:
  struct Used {
    std::uint16_t chain;
    std::uint32_t length;
  };

  /// Bytes of memory that the ring and its buffers take, and the largest piece of them.
  static std::size_t memory_bytes(const DriverRingOptions& options) noexcept;
  static std::size_t piece_bytes_max(const DriverRingOptions& options) noexcept;

  static Result<DriverRing> create(SharedMemory& memory, const DriverRingOptions& options);

  std::uint16_t chain_count() const noexcept { return static_cast<std::uint16_t>(buffers_.size()); }
  std::uint8_t* buffer(std::uint16_t chain) const noexcept { return buffers_[chain].at; }
  const DriverRingOptions& options() const noexcept { return options_; }
  int kick_fd() const noexcept { return kick_.get(); }
  int call_fd() const noexcept { return call_.get(); }
  /// What SET_VRING_ADDR says; `vring` is its index.
  protocol::VringAddress addresses(std::uint32_t vring) const noexcept;

  /// How many used entries wait; never more than the ring has chains, whatever the back-end says. Where `enough` are
  /// known of already, used->idx is not looked at: its line is one that the back-end writes.
  std::uint16_t used_waiting(std::size_t enough = SIZE_MAX) noexcept {
    if (known_waiting() < enough) used_known_ = __atomic_load_n(used_ + 1, __ATOMIC_ACQUIRE);
    return std::min(known_waiting(), chain_count());
  }
  /// The `ahead`th of them.
  Used peek(std::uint16_t ahead) const noexcept {
    const UsedElement& element = used_elements_[(used_seen_ + ahead) & mask_];
    return {chain_of(element.head), element.length};
  }
  /// Takes the first `count` of them back and hands each chain to `chain_taken`. A buffer that was not out is a fault
  /// of the back-end's: remembered, and not handed on.
  template <typename F>
  void take(unsigned count, F&& chain_taken) noexcept {
    std::uint8_t* const out = out_.data();
    const unsigned first = used_seen_;
    unsigned taken = 0;
    for (unsigned i = 0; i < count; ++i) {
      const UsedElement& element = used_elements_[(first + i) & mask_];
      const std::uint32_t head = element.head;
      const std::uint16_t chain = chain_of(head);
      if (is_out(chain)) [[likely]] {
        out[chain] = 0;
        ++taken;
        chain_taken(chain);
      } else if (faults_++ == 0) {
        first_bad_head_ = head;
      }
    }
    out_count_ = static_cast<std::uint16_t>(out_count_ - taken);
    used_seen_ = static_cast<std::uint16_t>(first + count);
    // Far enough away not to be reached before it is written again (2.7.7.1): there is no other way to want no calls.
    if (options_.event_idx && !calls_wanted_) set_used_event(0x8000);
  }
  bool is_out(std::uint16_t chain) const noexcept { return chain < out_.size() && out_[chain] != 0; }

  /// Makes the chain available with its buffer's first `bytes` bytes; seen after publish().
  void post(std::uint16_t chain, std::uint32_t bytes) noexcept {
    post_burst(1, bytes, [chain](unsigned) { return chain; });
  }
  /// The same for `count` chains: chain_at(0), chain_at(1) and so on.
  template <typename F>
  void post_burst(unsigned count, std::uint32_t bytes, F&& chain_at) noexcept {
    // In local variables: nothing that is stored below can be one of them.
    const std::uint32_t* const described = described_.data();
    const std::uint32_t* const offered = offered_.data();
    std::uint8_t* const out = out_.data();
    const unsigned mask = mask_;
    const unsigned first = avail_index_;
    for (unsigned i = 0; i < count; ++i) {
      const std::uint16_t chain = chain_at(i);
      const unsigned slot = (first + i) & mask;
      if (described[chain] != bytes) [[unlikely]]
        describe(chain, bytes);
      if (offered[slot] != chain) [[unlikely]]
        offer(slot, chain);
      out[chain] = 1;
    }
    avail_index_ = static_cast<std::uint16_t>(first + count);
    out_count_ = static_cast<std::uint16_t>(out_count_ + count);
  }
  /// Shows what was posted.
  void publish() noexcept {
    if (published_ == avail_index_) return;
    published_ = avail_index_;
    __atomic_store_n(avail_ + 1, published_, __ATOMIC_RELEASE);
  }
  /// Kicks where the device wants it, for all that was published since the last time. Late is cheaper: the fence in it
  /// waits for every line that was written.
  void notify() noexcept {
    if (notified_ != published_) notify_published();
  }
  void kick() noexcept { kick_.signal(); }
  std::uint64_t kicks() const noexcept { return kicks_; }

  /// Asks for calls when another buffer is used, or for none. True: one came in before the asking was seen.
  bool want_calls(bool wanted) noexcept;
  void drain_call() const noexcept { call_.drain(); }

  /// Calls written(const void* at, std::size_t bytes) for each piece of memory that the driver writes: descriptors,
  /// avail, tables, and the buffers of a transmit ring.
  template <typename F>
  void for_each_written(F&& written) const {
    written(descriptors_, options_.size * sizeof(virtqueue::Descriptor));
    written(avail_, virtqueue::AvailRing::extent(options_.size, true));
    for (const auto& table : tables_) written(table.at, 2 * sizeof(virtqueue::Descriptor));
    if (options_.device_writes) return;
    for (const auto& buffer : buffers_) written(buffer.at, options_.buffer_bytes);
  }

  /// Forgets what is out and goes on at `index`, in both rings: for a ring that is stopped and begins anew.
  void restart_at(std::uint16_t index) noexcept;
  /// Chains with the device.
  std::uint16_t outstanding() const noexcept { return out_count_; }
  /// What the back-end did that it may not; empty: nothing.
  std::string fault() const;

 private:
  struct UsedElement {
    std::uint32_t head;
    std::uint32_t length;
  };

  explicit DriverRing(const DriverRingOptions& options)
      : options_(options), mask_(static_cast<std::uint16_t>(options.size - 1)) {}
  void lay_out(SharedMemory& memory);
  void set_used_event(unsigned ahead) noexcept {
    __atomic_store_n(avail_ + 2 + options_.size, static_cast<std::uint16_t>(used_seen_ + ahead), __ATOMIC_RELAXED);
  }
  std::uint16_t chain_of(std::uint32_t head) const noexcept {
    return static_cast<std::uint16_t>(options_.layout == ChainLayout::two ? head / 2 : head);
  }
  std::uint16_t known_waiting() const noexcept { return static_cast<std::uint16_t>(used_known_ - used_seen_); }
  void describe(std::uint16_t chain, std::uint32_t bytes) noexcept;
  void offer(unsigned slot, std::uint16_t chain) noexcept;
  void notify_published() noexcept;
  void write_pair(virtqueue::Descriptor* table, std::uint16_t next, std::uint64_t guest, std::uint32_t bytes) noexcept;

  DriverRingOptions options_;
  std::uint16_t mask_;
  std::uint16_t flags_ = 0;  ///< Of every descriptor.
  virtqueue::Descriptor* descriptors_ = nullptr;
  std::uint16_t* avail_ = nullptr;
  std::uint16_t* used_ = nullptr;
  const UsedElement* used_elements_ = nullptr;
  std::uint16_t avail_index_ = 0;
  std::uint16_t published_ = 0;
  std::uint16_t notified_ = 0;
  std::uint16_t used_seen_ = 0;   ///< Taken back.
  std::uint16_t used_known_ = 0;  ///< What used->idx was when it was looked at.
  std::uint16_t out_count_ = 0;
  bool calls_wanted_ = false;
  std::uint64_t kicks_ = 0;
  std::uint64_t faults_ = 0;
  std::uint32_t first_bad_head_ = 0;
  std::vector<std::uint8_t> out_;         ///< By chain: 1 while the device has it.
  std::vector<std::uint32_t> described_;  ///< By chain: the bytes that its descriptors say; 0: none yet.
  std::vector<std::uint32_t> offered_;    ///< By slot of avail: the chain that it says.
  std::vector<SharedMemory::Piece> buffers_;
  std::vector<SharedMemory::Piece> tables_;  ///< By chain: its indirect table.
  EventFd kick_;
  EventFd call_;
};

}  // namespace vhostx::tools
