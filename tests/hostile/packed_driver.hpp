// SPDX-License-Identifier: BSD-3-Clause
// PackedDriver: an attacker's packed ring (VIRTIO 1.2, 2.8). Attacks describe chains as in a split ring, by a table of
// descriptors that name each other, and show heads; this one writes them into the packed ring, one after the other.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "tools/driver/driver_ring.hpp"
#include "virtqueue/packed_ring.hpp"

namespace vhostx::hostile {

class PackedDriver {
 public:
  using Position = virtqueue::PackedPosition;

  /// As the ring has it.
  struct Entry {
    std::uint64_t address;
    std::uint32_t length;
    std::uint16_t id;
    std::uint16_t flags;
  };
  /// As the ring has it.
  struct Event {
    std::uint16_t place;
    std::uint16_t flags;
  };

  /// In the memory of `ring`, whose own functions are not to be used.
  explicit PackedDriver(const tools::DriverRing& ring);

  /// What show() makes chains of. It is nobody else's memory.
  virtqueue::Descriptor& descriptor(std::uint16_t index) { return described_.at(index); }
  Entry* ring() const noexcept { return ring_; }
  Event* driver_event() const noexcept { return driver_; }
  Event* device_event() const noexcept { return device_; }
  std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(described_.size()); }
  /// Where the next chain begins.
  Position next() const noexcept { return next_; }
  /// What SET_VRING_BASE says of a ring that begins there.
  std::uint32_t base() const noexcept { return next_.value * 0x1'0001U; }

  /// Entries that the chain takes; one that loops takes the whole ring.
  std::uint32_t entries_of(std::uint16_t head) const;
  std::uint32_t free_entries() const noexcept { return size() - out_entries_; }
  /// Makes a chain available, under its head's index as id. There must be room.
  void show(std::uint16_t head);
  /// Makes one entry available, whatever it says, at the next place; nothing is waited for.
  void show_entry(Entry entry);
  /// Makes all entries from the next place on available at once, as a chain that never ends.
  void show_endless();
  /// Writes the descriptors of all that is out again, as they are described now.
  void write_again();

  /// Chains that were used since the beginning; looks at the ring.
  unsigned used();
  std::size_t chains_out() const noexcept { return out_.size(); }
  /// What the device did that it may not; empty: nothing.
  const std::string& fault() const noexcept { return fault_; }
  /// Nothing is out, and both go on here.
  void restart_at(Position place);

 private:
  struct Out {
    std::uint16_t head;
    std::uint32_t entries;
    Position at;
  };
  void write_chain(const Out& chain);

  std::vector<virtqueue::Descriptor> described_;
  Entry* ring_;
  Event* driver_;
  Event* device_;
  Position next_, reaped_;
  std::deque<Out> out_;
  std::uint32_t out_entries_ = 0;
  unsigned used_ = 0;
  std::string fault_;
};

}  // namespace vhostx::hostile
