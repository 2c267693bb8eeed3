// SPDX-License-Identifier: BSD-3-Clause
// FakeDriver: the guest's side of one split virtqueue (VIRTIO 1.2, 2.7.13), honest unless it is asked to lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <vhostx/result.hpp>

#include "tests/support/fake_guest.hpp"
#include "virtqueue/ring_layout.hpp"

namespace vhostx::test {

/// A descriptor as the driver writes it.
struct GuestDescriptor {
  std::uint64_t address = 0;
  std::uint32_t length = 0;
  std::uint16_t flags = 0;
  std::uint16_t next = 0;
};

struct UsedElement {
  std::uint32_t head = 0;
  std::uint32_t length = 0;
};

class FakeDriver {
 public:
  FakeDriver(FakeGuest& guest, std::uint16_t size, virtqueue::RingFeatures features = {});

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
  Result<virtqueue::RingLayout> lay_out(const memory::GuestMemory& memory) const;

  std::uint16_t size() const { return size_; }
  std::uint16_t free_descriptors() const { return static_cast<std::uint16_t>(free_.size()); }
  FakeGuest& guest() { return guest_; }

  // The ring itself, for tests that lie and for those that look.
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
  /// Where the driver and the device begin; both count on from there.
  void start_at(std::uint16_t index);
  void set_used_event(std::uint16_t index) { guest_.at_as<std::uint16_t>(avail_)[2 + size_] = index; }
  std::uint16_t used_flags() { return guest_.at_as<std::uint16_t>(used_)[0]; }
  std::uint16_t used_index() { return guest_.at_as<std::uint16_t>(used_)[1]; }
  std::uint16_t avail_event() { return guest_.at_as<std::uint16_t>(used_)[2 + 4 * size_]; }

 private:
  std::uint16_t write_chain(const std::vector<GuestDescriptor>& buffers);
  std::uint16_t take_free();

  FakeGuest& guest_;
  std::uint16_t size_;
  virtqueue::RingFeatures features_;
  std::uint64_t descriptors_;
  std::uint64_t avail_;
  std::uint64_t used_;
  std::uint16_t avail_index_ = 0;
  std::uint16_t used_seen_ = 0;
  std::vector<std::uint16_t> free_;
  std::vector<std::vector<GuestDescriptor>> chains_;     // by head: buffers, for bytes_of
  std::vector<std::vector<std::uint16_t>> chain_slots_;  // by head: descriptors to free
};

std::span<const std::uint8_t> bytes(std::string_view text);

}  // namespace vhostx::test
