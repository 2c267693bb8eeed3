// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/fake_driver.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "virtqueue/ring.hpp"

namespace vhostx::test {

using virtqueue::AvailRing;
using virtqueue::Descriptor;
using virtqueue::UsedRing;

FakeDriver::FakeDriver(FakeGuest& guest, std::uint16_t size, virtqueue::RingFeatures features)
    : guest_(guest),
      size_(size),
      features_(features),
      descriptors_(guest.allocate(sizeof(GuestDescriptor) * size, 16)),
      avail_(guest.allocate(AvailRing::extent(size, true), 2)),
      used_(guest.allocate(UsedRing::extent(size, true), 4)),
      chains_(size),
      chain_slots_(size) {
  for (std::uint16_t i = size; i-- > 0;) free_.push_back(i);
}

FakeDriver::Chain& FakeDriver::Chain::readable(std::span<const std::uint8_t> bytes) {
  const std::uint64_t address = driver_.guest_.allocate(std::max<std::size_t>(bytes.size(), 1));
  std::copy(bytes.begin(), bytes.end(), driver_.guest_.at(address));
  return raw(address, static_cast<std::uint32_t>(bytes.size()));
}

FakeDriver::Chain& FakeDriver::Chain::writable(std::uint32_t length) {
  return raw(driver_.guest_.allocate(std::max<std::uint32_t>(length, 1)), length, Descriptor::write_flag);
}

FakeDriver::Chain& FakeDriver::Chain::raw(std::uint64_t address, std::uint32_t length, std::uint16_t flags) {
  buffers_.push_back({address, length, flags, 0});
  return *this;
}

FakeDriver::Chain& FakeDriver::Chain::indirect() {
  indirect_ = true;
  return *this;
}

std::uint16_t FakeDriver::Chain::write() {
  if (!indirect_) {
    const std::uint16_t head = driver_.write_chain(buffers_);
    driver_.chains_[head] = buffers_;
    return head;
  }
  const std::size_t table_bytes = buffers_.size() * sizeof(GuestDescriptor);
  const std::uint64_t table = driver_.guest_.allocate(table_bytes, 16);
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    GuestDescriptor entry = buffers_[i];
    if (i + 1 < buffers_.size()) {
      entry.flags |= Descriptor::next_flag;
      entry.next = static_cast<std::uint16_t>(i + 1);
    }
    driver_.guest_.at_as<GuestDescriptor>(table)[i] = entry;
  }
  const std::uint16_t head =
      driver_.write_chain({{table, static_cast<std::uint32_t>(table_bytes), Descriptor::indirect_flag, 0}});
  driver_.chains_[head] = buffers_;
  return head;
}

std::uint16_t FakeDriver::Chain::publish() {
  const std::uint16_t head = write();
  driver_.publish_head(head);
  return head;
}

std::uint16_t FakeDriver::take_free() {
  if (free_.empty()) {
    std::fputs("fake driver: out of descriptors\n", stderr);
    std::abort();
  }
  const std::uint16_t index = free_.back();
  free_.pop_back();
  return index;
}

std::uint16_t FakeDriver::write_chain(const std::vector<GuestDescriptor>& buffers) {
  std::vector<std::uint16_t> slots;
  for (std::size_t i = 0; i < buffers.size(); ++i) slots.push_back(take_free());
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    GuestDescriptor entry = buffers[i];
    if (i + 1 < buffers.size()) {
      entry.flags |= Descriptor::next_flag;
      entry.next = slots[i + 1];
    }
    descriptor(slots[i]) = entry;
  }
  chain_slots_[slots[0]] = slots;
  return slots[0];
}

void FakeDriver::publish_head(std::uint16_t head) {
  set_avail_entry(avail_index_, head);
  set_avail_index(static_cast<std::uint16_t>(avail_index_ + 1));
}

void FakeDriver::set_avail_index(std::uint16_t index) {
  avail_index_ = index;
  __atomic_store_n(guest_.at_as<std::uint16_t>(avail_) + 1, index, __ATOMIC_RELEASE);
}

void FakeDriver::start_at(std::uint16_t index) {
  set_avail_index(index);
  used_seen_ = index;
  guest_.at_as<std::uint16_t>(used_)[1] = index;
}

std::vector<UsedElement> FakeDriver::reap() {
  std::vector<UsedElement> out;
  const std::uint16_t used = __atomic_load_n(guest_.at_as<std::uint16_t>(used_) + 1, __ATOMIC_ACQUIRE);
  for (; used_seen_ != used; ++used_seen_) {
    UsedElement element;
    std::memcpy(&element, guest_.at(used_) + 4 + 8 * (used_seen_ % size_), sizeof element);
    out.push_back(element);
    if (element.head >= size_) continue;
    auto& slots = chain_slots_[element.head];
    free_.insert(free_.end(), slots.rbegin(), slots.rend());
    slots.clear();
  }
  return out;
}

std::vector<std::uint8_t> FakeDriver::bytes_of(const UsedElement& used) const {
  std::vector<std::uint8_t> out;
  for (const auto& buffer : chains_[used.head]) {
    const std::size_t part = std::min<std::size_t>(buffer.length, used.length - out.size());
    const std::uint8_t* from = guest_.at(buffer.address);
    out.insert(out.end(), from, from + part);
  }
  return out;
}

virtqueue::RingAddresses FakeDriver::addresses() const {
  return {guest_.front_end(descriptors_), guest_.front_end(avail_), guest_.front_end(used_)};
}

Result<virtqueue::RingLayout> FakeDriver::lay_out(const memory::GuestMemory& memory) const {
  return virtqueue::lay_out_ring(memory, addresses(), size_, features_);
}

std::span<const std::uint8_t> bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace vhostx::test
