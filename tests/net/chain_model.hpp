// SPDX-License-Identifier: BSD-3-Clause
// A slow and obvious model of one burst over a ring in guest memory: what a driver that writes anything has to see of
// it. It knows neither batches nor short cuts, and copies byte by byte.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include <vhostx/vring_fault.hpp>

#include "tests/support/fake_driver.hpp"

namespace vhostx::test {

/// What the model is told of a ring. Nothing is changed: what a burst writes stands in `ModelResult::memory`.
struct ModelRing {
  const FakeGuest& guest;
  const std::vector<FakeGuest::Region>& regions;
  std::uint64_t table = 0;  ///< Guest address of the descriptor table.
  std::uint32_t size = 0;
  bool indirect = false;  ///< VIRTIO_F_INDIRECT_DESC
  bool mergeable = false;
  std::uint32_t net_header_bytes = 0;
  std::vector<std::uint16_t> heads;  ///< Made available, in this order; not of a packed ring, whose table says that.
  virtqueue::RingKind kind = virtqueue::RingKind::split;
  virtqueue::PackedPosition start{};  ///< Where a packed ring begins.

  bool is_packed() const { return kind == virtqueue::RingKind::packed; }
};

struct ModelResult {
  VringFaultCause fault = VringFaultCause::none;
  std::vector<UsedElement> used;
  std::vector<std::uint32_t> used_entries;         ///< Of a packed ring: what each of these takes.
  std::vector<std::vector<std::uint8_t>> packets;  ///< From the guest.
  std::size_t done = 0;                            ///< To the guest: packets dealt with.
  std::uint64_t drop_short = 0;
  std::uint64_t drop_large = 0;
  std::uint64_t drop_header = 0;
  std::uint64_t bad_heads = 0;
  std::uint64_t short_buffers = 0;
  bool table_written = false;  ///< An indirect table lay in a buffer that was written before it was read.
  /// Of a packed ring: a chain reaches round into chains before it, whose used descriptors end it if a burst ends
  /// between them; or, to the guest, an entry behind the first of a chain is not available, which may end a burst
  /// early.
  bool depends_on_bursts = false;

  /// What is seen depends on when it is looked at.
  bool depends() const { return table_written || depends_on_bursts; }
  std::map<std::uint64_t, std::uint8_t> memory;  ///< To the guest: what was written, by guest address.
};

/// All that is available, from the guest. CSUM was not negotiated.
ModelResult model_dequeue(const ModelRing& ring);
/// These packets, without offloads, to the guest.
ModelResult model_enqueue(const ModelRing& ring, const std::vector<std::vector<std::uint8_t>>& packets);

}  // namespace vhostx::test
