// SPDX-License-Identifier: BSD-3-Clause
// A ring with the data path over it, held against chain_model: for tests that try all of a set, and for fuzzers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include <vhostx/vring_stats.hpp>

#include "net/ring_context.hpp"
#include "net/virtio_net_header.hpp"
#include "tests/net/any_context.hpp"
#include "tests/net/chain_model.hpp"

namespace vhostx::test {

/// What a driver has written, and what was negotiated.
struct WrittenRing {
  const FakeGuest& guest;
  const std::vector<FakeGuest::Region>& regions;
  std::uint64_t table;  ///< Guest addresses of the three areas.
  std::uint64_t avail;
  std::uint64_t used;
  std::uint32_t size;
  std::uint16_t start;  ///< Where both indices begin; in a packed ring a PackedPosition.
  std::uint64_t features;
  virtqueue::RingFeatures ring_features;
  virtqueue::RingKind kind = virtqueue::RingKind::split;

  bool is_packed() const { return kind == virtqueue::RingKind::packed; }
  Result<virtqueue::AnyLayout> lay_out(const memory::GuestMemory& memory) const {
    return virtqueue::lay_out_ring(
        kind, memory, {guest.front_end(table), guest.front_end(avail), guest.front_end(used)}, size, ring_features);
  }
  ModelRing model(std::vector<std::uint16_t> heads) const {
    return {guest,
            regions,
            table,
            size,
            ring_features.indirect,
            (features & net::feature_mrg_rxbuf) != 0,
            net::header_length(features),
            std::move(heads),
            kind,
            {start}};
  }
};

/// The data path's side of such a ring.
struct ComparedRing {
  ComparedRing(const WrittenRing& what, const memory::GuestMemory& where)
      : written(what), memory(where), layout(std::move(what.lay_out(where)).value()) {
    cursor.position.avail_next = cursor.position.used_next = what.start;
  }
  AnyContext context() { return {layout, memory, cursor, counters, written.features, ~0U}; }
  bool broken() const { return cursor.fault.cause != VringFaultCause::none; }

  /// Empty: fault, counters and used ring are the model's. Else what is not.
  std::string difference(const ModelResult& expected) const {
    if (cursor.fault.cause != expected.fault)
      return std::string("fault ") + to_string(cursor.fault.cause) + ", expected " + to_string(expected.fault);
    for (const auto& [counter, value] : std::initializer_list<std::pair<VringCounter, std::uint64_t>>{
             {VringCounter::drop_short_chain, expected.drop_short},
             {VringCounter::drop_bad_header, expected.drop_header},
             {VringCounter::drop_too_large, expected.drop_large},
             {VringCounter::drop_bad_head, expected.bad_heads},
             {VringCounter::short_buffers, expected.short_buffers}})
      if (counters.value(counter) != value)
        return std::string(vring_counters[static_cast<std::size_t>(counter)].name) + " is " +
               std::to_string(counters.value(counter)) + ", expected " + std::to_string(value);
    return written.is_packed() ? packed_difference(expected) : used_difference(expected.used);
  }

  /// Used descriptors lie one behind the other, each as far on as its chain was long.
  std::string packed_difference(const ModelResult& expected) const {
    virtqueue::PackedPosition place{written.start};
    for (std::size_t i = 0; i < expected.used.size(); ++i) {
      const auto& entry = written.guest.at_as<GuestPackedDescriptor>(written.table)[place.index()];
      const auto& [head, length] = expected.used[i];
      const std::uint16_t flags = place.used() | (length != 0 ? virtqueue::Descriptor::write_flag : std::uint16_t{0}) |
                                  virtqueue::Descriptor::next_flag;  // PackedTable::used_whole()
      if (entry.id != head || entry.length != length || entry.flags != flags)
        return "used descriptor " + std::to_string(i) + " is {" + std::to_string(entry.id) + ", " +
               std::to_string(entry.length) + ", " + std::to_string(entry.flags) + "}, expected {" +
               std::to_string(head) + ", " + std::to_string(length) + ", " + std::to_string(flags) + "}";
      place = place.after(expected.used_entries[i], written.size);
    }
    if (cursor.position.used_next != place.value)
      return "used up to " + std::to_string(cursor.position.used_next) + ", expected " + std::to_string(place.value);
    return {};
  }

  std::string used_difference(const std::vector<UsedElement>& expected) const {
    const std::uint8_t* const used = written.guest.at(written.used);
    const auto end = static_cast<std::uint16_t>(written.start + expected.size());
    std::uint16_t index = 0;
    std::memcpy(&index, used + 2, sizeof index);
    if (cursor.position.used_next != end || (!expected.empty() && index != end))
      return "used->idx " + std::to_string(index) + ", expected " + std::to_string(end);
    const std::size_t kept = std::min<std::size_t>(expected.size(), written.size);  // older ones were written over
    for (std::size_t i = expected.size() - kept; i < expected.size(); ++i) {
      UsedElement element;
      std::memcpy(&element, used + 4 + 8 * ((written.start + i) % written.size), sizeof element);
      if (element.head != expected[i].head || element.length != expected[i].length)
        return "used entry " + std::to_string(i) + " is {" + std::to_string(element.head) + ", " +
               std::to_string(element.length) + "}, expected {" + std::to_string(expected[i].head) + ", " +
               std::to_string(expected[i].length) + "}";
    }
    return {};
  }

  const WrittenRing& written;
  const memory::GuestMemory& memory;
  virtqueue::AnyLayout layout;
  virtqueue::VringCursor cursor;
  net::RingCounters counters;
};

}  // namespace vhostx::test
