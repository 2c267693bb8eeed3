// SPDX-License-Identifier: BSD-3-Clause
// FakeDriver: the guest's side of one virtqueue (VIRTIO 1.2, 2.7.13 and 2.8), honest unless it is asked to lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include <vhostx/result.hpp>

#include "tests/support/fake_guest.hpp"
#include "virtqueue/any_layout.hpp"
#include "virtqueue/packed_ring.hpp"
#include "virtqueue/ring_layout.hpp"

namespace vhostx::test {

/// A descriptor as the driver writes it.
struct GuestDescriptor {
  std::uint64_t address = 0;
  std::uint32_t length = 0;
  std::uint16_t flags = 0;
  std::uint16_t next = 0;
};

/// The same in a packed ring.
struct GuestPackedDescriptor {
  std::uint64_t address = 0;
  std::uint32_t length = 0;
  std::uint16_t id = 0;
  std::uint16_t flags = 0;
};

/// The kind of ring that tests use: packed with VHOSTX_TEST_PACKED=1 in the environment.
virtqueue::RingKind tested_kind();

/// In a test that is about split rings alone.
#define VHOSTX_SPLIT_RINGS_ONLY \
  if (::vhostx::test::tested_kind() != ::vhostx::virtqueue::RingKind::split) GTEST_SKIP() << "about split rings"

struct UsedElement {
  std::uint32_t head = 0;
  std::uint32_t length = 0;
};

class FakeDriver {
 public:
  FakeDriver(FakeGuest& guest, std::uint16_t size, virtqueue::RingFeatures features = {},
             virtqueue::RingKind kind = tested_kind());

  /// A chain in the making: driver.chain().readable(header).readable(payload).publish();
  class Chain {
   public:
    explicit Chain(FakeDriver& driver) : driver_(driver) {}
    Chain& readable(std::span<const std::uint8_t> bytes);
    Chain& writable(std::uint32_t length);
    /// A buffer anywhere, also where there is no memory.
    Chain& raw(std::uint64_t address, std::uint32_t length, std::uint16_t flags = 0);
    /// All buffers so far, and those to come, go into an indirect table.
    Chain& indirect();
    /// The same in a packed ring alone, where only what takes one entry can be borrowed.
    Chain& in_one_entry();
    /// Writes the descriptors and makes the chain available. Returns its head.
    std::uint16_t publish();
    /// Writes the descriptors, does not make the chain available.
    std::uint16_t write();

   private:
    FakeDriver& driver_;
    std::vector<GuestDescriptor> buffers_;
    bool indirect_ = false;
  };
  Chain chain() { return Chain(*this); }

  /// Takes used buffers back, frees their descriptors.
  std::vector<UsedElement> reap();
  /// The bytes of the writable buffers of a chain that was just reaped, as many as were written.
  std::vector<std::uint8_t> bytes_of(const UsedElement& used) const;

  virtqueue::RingAddresses addresses() const;
  /// Of a split ring.
  Result<virtqueue::RingLayout> lay_out(const memory::GuestMemory& memory) const;
  Result<virtqueue::AnyLayout> lay_out_any(const memory::GuestMemory& memory) const;

  virtqueue::RingKind kind() const { return kind_; }
  std::uint16_t size() const { return size_; }
  std::uint16_t free_descriptors() const { return free_slots_; }
  FakeGuest& guest() { return guest_; }

  // What both kinds have.
  /// Whether the driver wants calls at all.
  void want_calls(bool wanted);
  /// With EVENT_IDX: a call for the chain that is used after `ahead` more, of as many descriptors each; below 0: for
  /// one that was used already.
  void want_call_at(int ahead, int descriptors = 1);
  /// Whether the device wants kicks at all; and with EVENT_IDX, whether for the next chain.
  bool device_wants_kicks() const;
  bool device_wants_next_kick() const;
  /// How many chains the device has used since the start, reaped or not.
  std::uint16_t used_count();
  /// What the device answers to GET_VRING_BASE when it has used `chains` of one descriptor since the start; and when it
  /// has used all that were made available.
  std::uint32_t base_after(std::uint16_t chains) const;
  std::uint32_t base() const;
  /// Whether the device has used all before that base.
  bool has_back_up_to(std::uint32_t base);
  /// Makes available what no ring can have; and the cause of the fault that the device then finds.
  void lie();
  VringFaultCause lie_cause() const;
  /// As a driver that is loaded again.
  void start_anew();
  /// Where the first buffer of a chain is that is out.
  std::uint64_t first_buffer(std::uint16_t head) const { return chains_.at(head).at(0).address; }
  /// Where the driver makes available next, as a cursor has it.
  std::uint16_t end() const { return kind_ == virtqueue::RingKind::packed ? next_.value : avail_index_; }
  /// Writes an entry of an indirect table as it stands; in a packed ring `next` is no part of it.
  void put_in_table(std::uint64_t address, const GuestDescriptor& entry);
  /// Driver and device begin here. In a packed ring a PackedPosition.
  void start_at(std::uint16_t index);
  /// What the device's cursor is then.
  virtqueue::RingPosition start() const { return {.avail_next = start_, .used_next = start_}; }

  // A packed ring.
  GuestPackedDescriptor& packed(std::uint32_t index) {
    return guest_.at_as<GuestPackedDescriptor>(descriptors_)[index];
  }
  virtqueue::PackedPosition next() const { return next_; }
  std::uint32_t& driver_event() { return guest_.at_as<std::uint32_t>(avail_)[0]; }
  std::uint32_t& device_event() { return guest_.at_as<std::uint32_t>(used_)[0]; }

  // A split ring itself, for tests that lie and for those that look.
  GuestDescriptor& descriptor(std::uint16_t index) { return guest_.at_as<GuestDescriptor>(descriptors_)[index]; }
  std::uint16_t& avail_flags() { return guest_.at_as<std::uint16_t>(avail_)[0]; }
  std::uint16_t avail_index() { return avail_index_; }
  /// Makes `head` available, whatever it is.
  void publish_head(std::uint16_t head);
  void set_avail_index(std::uint16_t index);
  /// The entry that `index` falls on; invisible until set_avail_index().
  void set_avail_entry(std::uint16_t index, std::uint16_t head) {
    guest_.at_as<std::uint16_t>(avail_)[2 + index % size_] = head;
  }
  void set_used_event(std::uint16_t index) { guest_.at_as<std::uint16_t>(avail_)[2 + size_] = index; }
  std::uint16_t used_flags() { return guest_.at_as<std::uint16_t>(used_)[0]; }
  std::uint16_t used_index() { return guest_.at_as<std::uint16_t>(used_)[1]; }
  std::uint16_t avail_event() { return guest_.at_as<std::uint16_t>(used_)[2 + 4 * size_]; }

 private:
  using Buffers = std::vector<GuestDescriptor>;
  /// A chain that is out.
  struct Out {
    std::vector<std::uint16_t> slots;  // of a split ring
    std::uint16_t entries = 0;
    std::uint16_t hidden_flags = 0;  // of a packed chain that was written and not made available
    std::uint32_t hidden_at = 0;
  };

  std::uint16_t write_chain(const Buffers& buffers);
  std::uint16_t write_packed(const Buffers& buffers);
  std::uint64_t write_table(const Buffers& buffers);
  std::uint16_t take_free();
  std::uint16_t free_id();
  void show_packed(std::uint16_t id);
  std::vector<UsedElement> reap_packed();
  void reset_ids();
  /// The used descriptor at `place`, if there is one; moves behind it. `order`: ids that are out, without this one
  /// then.
  bool see_used(virtqueue::PackedPosition& place, std::deque<std::uint16_t>& order,
                std::vector<UsedElement>& out) const;

  FakeGuest& guest_;
  std::uint16_t size_;
  virtqueue::RingFeatures features_;
  virtqueue::RingKind kind_;
  std::uint64_t descriptors_;
  std::uint64_t avail_;
  std::uint64_t used_;
  std::uint16_t start_ = 0;
  std::size_t reaped_count_ = 0;
  std::uint16_t free_slots_;
  std::vector<std::uint16_t> free_;          // descriptors of a split ring; ids of a packed one
  std::map<std::uint16_t, Buffers> chains_;  // by head or id: for bytes_of
  std::map<std::uint16_t, Out> out_;         // by head or id
  // A split ring.
  std::uint16_t avail_index_ = 0;
  std::uint16_t used_seen_ = 0;
  // A packed ring.
  virtqueue::PackedPosition next_;
  virtqueue::PackedPosition reaped_;
  std::deque<std::uint16_t> order_;  // of ids that were made available
};

std::span<const std::uint8_t> bytes(std::string_view text);

}  // namespace vhostx::test
