// SPDX-License-Identifier: BSD-3-Clause
// LongRing: rings of 32768 whose entries all name one long table or chain: few bytes of the guest's, and up to 2^30
// steps of whoever walks them.
#pragma once

#include <cstdint>
#include <functional>

#include "tests/hostile/attacks/extra_memory.hpp"

namespace vhostx::hostile {

inline constexpr std::uint16_t long_ring_size = 32768;

/// What an entry of the table, or a descriptor of the ring, points to; its flags and next are filled in.
using Piece = std::function<virtqueue::Descriptor(std::uint32_t index)>;

class LongRing {
 public:
  static constexpr std::size_t table_bytes = sizeof(virtqueue::Descriptor) * long_ring_size;
  static constexpr std::size_t memory_bytes = table_bytes + (std::size_t{1} << 20);

  /// The plan of a guest whose rings are so long.
  static GuestPlan plan(FeatureSet features = {}, unsigned pairs = 1);

  /// The guest runs; nothing is wrong yet.
  explicit LongRing(Attacker& attacker, FeatureSet features = {}, unsigned pairs = 1);

  /// Where buffers are.
  std::uint64_t buffer() const noexcept { return memory_.guest(table_bytes); }
  virtqueue::Descriptor* table() const noexcept { return memory_.at<virtqueue::Descriptor>(); }
  /// Writes the table, of `entries` in a row.
  void write_table(const Piece& piece, std::uint16_t flags = 0, std::uint32_t entries = long_ring_size);
  /// Each descriptor of the ring names the table.
  void point_to_table(std::uint32_t vring, std::uint32_t entries = long_ring_size);
  /// The ring's own descriptors are one chain.
  void write_chain(std::uint32_t vring, const Piece& piece, std::uint16_t flags = 0);
  /// Makes all of a transmit ring available, and kicks.
  void show(std::uint32_t vring, const std::function<std::uint16_t(std::uint32_t)>& head = {});

  /// A table of no bytes in each entry of the ring.
  void empty_tables(std::uint32_t vring);
  virtqueue::Descriptor nothing() const noexcept { return {buffer(), 0, 0, 0}; }
  virtqueue::Descriptor bytes(std::uint32_t count) const noexcept { return {buffer(), count, 0, 0}; }

 private:
  Attacker& attacker_;
  ExtraMemory memory_;
};

}  // namespace vhostx::hostile
