// SPDX-License-Identifier: BSD-3-Clause
// PacketRing: slots between one producer and one consumer, for limit.cpp.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace vhostx::tools::bench {

/// Indices are not wrapped. Each side has a cache line of its own with its index and the other's index as last seen.
class PacketRing {
 public:
  /// `slots` is a power of two.
  PacketRing(std::uint32_t slots, std::uint32_t packet_bytes)
      : slots_(slots),
        packet_bytes_(packet_bytes),
        stride_((packet_bytes + line_bytes - 1) / line_bytes * line_bytes),
        storage_(std::size_t{slots} * stride_ + line_bytes) {}

  /// Producer: copies up to `count` packets in, all of them `packet`. Returns how many.
  std::uint32_t push(const std::uint8_t* packet, std::uint32_t count) noexcept {
    const std::uint64_t head = producer_.index.load(std::memory_order_relaxed);
    if (slots_ - (head - producer_.seen) < count)
      producer_.seen = consumer_.index.load(std::memory_order_acquire);  // pairs with pop(): slots are read out
    count = static_cast<std::uint32_t>(std::min<std::uint64_t>(count, slots_ - (head - producer_.seen)));
    if (count == 0) return 0;
    for (std::uint32_t i = 0; i < count; ++i) std::memcpy(slot(head + i), packet, packet_bytes_);
    producer_.index.store(head + count, std::memory_order_release);  // pairs with pop(): slots are written
    return count;
  }

  /// Consumer: copies up to `count` packets out, `stride()` bytes apart. Returns how many.
  std::uint32_t pop(std::uint8_t* to, std::uint32_t count) noexcept {
    const std::uint64_t tail = consumer_.index.load(std::memory_order_relaxed);
    if (consumer_.seen == tail) consumer_.seen = producer_.index.load(std::memory_order_acquire);
    count = static_cast<std::uint32_t>(std::min<std::uint64_t>(count, consumer_.seen - tail));
    if (count == 0) return 0;
    for (std::uint32_t i = 0; i < count; ++i) std::memcpy(to + std::size_t{i} * stride_, slot(tail + i), packet_bytes_);
    consumer_.index.store(tail + count, std::memory_order_release);
    return count;
  }

  std::uint32_t stride() const noexcept { return stride_; }

 private:
  static constexpr std::uint32_t line_bytes = 64;

  struct alignas(2 * line_bytes) Side {  // two lines: processors fetch them in pairs
    std::atomic<std::uint64_t> index{0};
    std::uint64_t seen = 0;
  };

  std::uint8_t* slot(std::uint64_t number) noexcept {
    const auto place = reinterpret_cast<std::uintptr_t>(storage_.data());
    const std::size_t to_line = (line_bytes - place % line_bytes) % line_bytes;
    return storage_.data() + to_line + static_cast<std::size_t>(number & (slots_ - 1)) * stride_;
  }

  std::uint32_t slots_;
  std::uint32_t packet_bytes_;
  std::uint32_t stride_;
  std::vector<std::uint8_t> storage_;
  Side producer_;
  Side consumer_;
};

}  // namespace vhostx::tools::bench
