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
using virtqueue::PackedEvent;
using virtqueue::PackedPosition;
using virtqueue::RingKind;
using virtqueue::UsedRing;

RingKind tested_kind() {
  static const bool packed = std::getenv("VHOSTX_TEST_PACKED") != nullptr;
  return packed ? RingKind::packed : RingKind::split;
}

FakeDriver::FakeDriver(FakeGuest& guest, std::uint16_t size, virtqueue::RingFeatures features, RingKind kind)
    : guest_(guest),
      size_(size),
      features_(features),
      kind_(kind),
      descriptors_(guest.allocate(sizeof(GuestDescriptor) * size, 16)),
      avail_(guest.allocate(AvailRing::extent(size, true), 4)),
      used_(guest.allocate(UsedRing::extent(size, true), 4)),
      free_slots_(size) {
  reset_ids();
  if (kind == RingKind::packed) start_ = next_.value;
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

FakeDriver::Chain& FakeDriver::Chain::in_one_entry() { return driver_.kind_ == RingKind::packed ? indirect() : *this; }

std::uint16_t FakeDriver::Chain::write() {
  FakeDriver& driver = driver_;
  Buffers chain = buffers_;
  if (indirect_)
    chain = {{driver.write_table(buffers_), static_cast<std::uint32_t>(buffers_.size() * sizeof(GuestDescriptor)),
              Descriptor::indirect_flag, 0}};
  const std::uint16_t head = driver.kind_ == RingKind::split ? driver.write_chain(chain) : driver.write_packed(chain);
  driver.chains_[head] = buffers_;
  return head;
}

std::uint64_t FakeDriver::write_table(const Buffers& buffers) {
  const std::uint64_t table = guest_.allocate(buffers.size() * sizeof(GuestDescriptor), 16);
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    GuestDescriptor entry = buffers[i];
    if (i + 1 < buffers.size() && kind_ == RingKind::split) {
      entry.flags |= Descriptor::next_flag;
      entry.next = static_cast<std::uint16_t>(i + 1);
    }
    put_in_table(table + i * sizeof entry, entry);
  }
  return table;
}

void FakeDriver::put_in_table(std::uint64_t address, const GuestDescriptor& entry) {
  if (kind_ == RingKind::split)
    *guest_.at_as<GuestDescriptor>(address) = entry;
  else  // an id without a meaning
    *guest_.at_as<GuestPackedDescriptor>(address) = {entry.address, entry.length, 0xdead, entry.flags};
}

std::uint16_t FakeDriver::Chain::publish() {
  const std::uint16_t head = write();
  driver_.publish_head(head);
  return head;
}

std::uint16_t FakeDriver::free_id() {
  const std::uint16_t index = free_.back();
  free_.pop_back();
  return index;
}

std::uint16_t FakeDriver::take_free() {
  if (free_slots_ == 0) {
    std::fputs("fake driver: out of descriptors\n", stderr);
    std::abort();
  }
  --free_slots_;
  return kind_ == RingKind::split ? free_id() : std::uint16_t{0};
}

std::uint16_t FakeDriver::write_chain(const Buffers& buffers) {
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
  out_[slots[0]] = {.slots = slots};
  return slots[0];
}

// The id of a chain is in its last descriptor; the flags of its first are left for later.
std::uint16_t FakeDriver::write_packed(const Buffers& buffers) {
  const std::uint16_t id = free_id();
  Out out{.entries = static_cast<std::uint16_t>(buffers.size()), .hidden_at = next_.index()};
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    take_free();
    const bool last = i + 1 == buffers.size();
    auto flags = static_cast<std::uint16_t>(buffers[i].flags | next_.available());
    if (!last) flags |= Descriptor::next_flag;
    GuestPackedDescriptor& entry = packed(next_.index());
    entry.address = buffers[i].address;
    entry.length = buffers[i].length;
    entry.id = last ? id : std::uint16_t{0xbeef};
    if (i == 0)
      out.hidden_flags = flags;
    else
      entry.flags = flags;
    next_ = next_.after(1, size_);
  }
  out_[id] = out;
  return id;
}

void FakeDriver::show_packed(std::uint16_t id) {
  order_.push_back(id);
  __atomic_store_n(&packed(out_.at(id).hidden_at).flags, out_.at(id).hidden_flags, __ATOMIC_RELEASE);
}

void FakeDriver::publish_head(std::uint16_t head) {
  if (kind_ == RingKind::packed) return show_packed(head);
  set_avail_entry(avail_index_, head);
  set_avail_index(static_cast<std::uint16_t>(avail_index_ + 1));
}

void FakeDriver::set_avail_index(std::uint16_t index) {
  avail_index_ = index;
  __atomic_store_n(guest_.at_as<std::uint16_t>(avail_) + 1, index, __ATOMIC_RELEASE);
}

void FakeDriver::start_at(std::uint16_t index) {
  start_ = index;
  if (kind_ == RingKind::packed) {
    next_ = reaped_ = {index};
    for (std::uint32_t i = 0; i < size_; ++i) packed(i).address = 1;  // as if all before had been used
    for (std::uint32_t i = 0; i < size_; ++i)
      packed(i).flags =
          PackedPosition{static_cast<std::uint16_t>(i < next_.index() ? index : index ^ PackedPosition::wrap_bit)}
              .used();
    return;
  }
  set_avail_index(index);
  used_seen_ = index;
  guest_.at_as<std::uint16_t>(used_)[1] = index;
}

std::vector<UsedElement> FakeDriver::reap() {
  if (kind_ == RingKind::packed) return reap_packed();
  std::vector<UsedElement> out;
  const std::uint16_t used = __atomic_load_n(guest_.at_as<std::uint16_t>(used_) + 1, __ATOMIC_ACQUIRE);
  for (; used_seen_ != used; ++used_seen_) {
    UsedElement element;
    std::memcpy(&element, guest_.at(used_) + 4 + 8 * (used_seen_ % size_), sizeof element);
    out.push_back(element);
    if (element.head >= size_) continue;
    auto& slots = out_[static_cast<std::uint16_t>(element.head)].slots;
    free_.insert(free_.end(), slots.rbegin(), slots.rend());
    free_slots_ = static_cast<std::uint16_t>(free_slots_ + slots.size());
    slots.clear();
  }
  return out;
}

// Ids of a packed ring are no index; here they are all over the place.
void FakeDriver::reset_ids() {
  free_.clear();
  for (std::uint32_t i = size_; i-- > 0;)
    free_.push_back(static_cast<std::uint16_t>(kind_ == RingKind::split ? i : i * 7919 + 12345));
  free_slots_ = size_;
}

// With IN_ORDER a used descriptor may stand for all chains up to the one that it names (VIRTIO 1.2, 2.8.8).
bool FakeDriver::see_used(PackedPosition& place, std::deque<std::uint16_t>& order,
                          std::vector<UsedElement>& seen) const {
  const auto& one = guest_.at_as<GuestPackedDescriptor>(descriptors_)[place.index()];
  const std::uint16_t flags = __atomic_load_n(&one.flags, __ATOMIC_ACQUIRE);
  constexpr std::uint16_t both = virtqueue::packed_avail_flag | virtqueue::packed_used_flag;
  if ((flags & both) != place.used()) return false;
  for (bool last = false; !last;) {
    const auto found = features_.in_order ? order.begin() : std::find(order.begin(), order.end(), one.id);
    if (found == order.end()) {
      std::fputs("fake driver: an id was used that is not out\n", stderr);
      std::abort();
    }
    const std::uint16_t id = *found;
    order.erase(found);
    last = id == one.id;
    seen.push_back({id, one.length});
    place = place.after(out_.at(id).entries, size_);
  }
  return true;
}

std::vector<UsedElement> FakeDriver::reap_packed() {
  std::vector<UsedElement> all;
  while (see_used(reaped_, order_, all)) {
  }
  for (const UsedElement& used : all) {
    const auto id = static_cast<std::uint16_t>(used.head);
    free_slots_ = static_cast<std::uint16_t>(free_slots_ + out_.at(id).entries);
    out_.erase(id);
    free_.push_back(id);
  }
  reaped_count_ += all.size();
  return all;
}

std::uint16_t FakeDriver::used_count() {
  if (kind_ == RingKind::split) return static_cast<std::uint16_t>(used_index() - start_);
  PackedPosition place = reaped_;
  auto order = order_;
  std::vector<UsedElement> seen;
  while (see_used(place, order, seen)) {
  }
  return static_cast<std::uint16_t>(reaped_count_ + seen.size());
}

std::uint32_t FakeDriver::base_after(std::uint16_t chains) const {
  if (kind_ == RingKind::split) return static_cast<std::uint16_t>(start_ + chains);
  return PackedPosition{start_}.after(chains, size_).value * 0x1'0001U;
}

std::uint32_t FakeDriver::base() const { return end() * (kind_ == RingKind::split ? 1U : 0x1'0001U); }

bool FakeDriver::has_back_up_to(std::uint32_t base) {
  if (kind_ == RingKind::split) return used_index() == base;
  PackedPosition place = reaped_;
  auto order = order_;
  std::vector<UsedElement> seen;
  while (see_used(place, order, seen)) {
  }
  return (base == 0 ? PackedPosition{}.value * 0x1'0001U : base) == place.value * 0x1'0001U;  // 0: of a fresh ring
}

void FakeDriver::lie() {
  if (kind_ == RingKind::split) return set_avail_index(static_cast<std::uint16_t>(avail_index_ + 1000));
  for (std::uint32_t i = 0; i < size_; ++i) {  // a chain that never ends
    const PackedPosition place = next_.after(i, size_);
    packed(place.index()).flags = static_cast<std::uint16_t>(place.available() | Descriptor::next_flag);
  }
}

VringFaultCause FakeDriver::lie_cause() const {
  return kind_ == RingKind::split ? VringFaultCause::avail_index_jump : VringFaultCause::chain_too_long;
}

void FakeDriver::start_anew() {
  if (kind_ == RingKind::split) return start_at(0);
  for (std::uint32_t i = 0; i < size_; ++i) packed(i) = {};
  next_ = reaped_ = {};
  start_ = next_.value;
  reaped_count_ = 0;
  order_.clear();
  out_.clear();
  reset_ids();
}

void FakeDriver::want_calls(bool wanted) {
  if (kind_ == RingKind::packed)
    driver_event() = std::uint32_t{wanted ? PackedEvent::enable : PackedEvent::disable} << 16;
  else
    avail_flags() = wanted ? std::uint16_t{0} : AvailRing::no_interrupt_flag;
}

void FakeDriver::want_call_at(int ahead, int descriptors) {
  if (kind_ == RingKind::split) return set_used_event(static_cast<std::uint16_t>(used_seen_ + ahead));
  const int entries = ahead * descriptors;
  const PackedPosition place = entries < 0 ? reaped_.before(static_cast<std::uint32_t>(-entries), size_)
                                           : reaped_.after(static_cast<std::uint32_t>(entries), size_);
  driver_event() = place.value | std::uint32_t{PackedEvent::at_place} << 16;
}

bool FakeDriver::device_wants_kicks() const {
  if (kind_ == RingKind::packed) return guest_.at_as<std::uint16_t>(used_)[1] != PackedEvent::disable;
  return guest_.at_as<std::uint16_t>(used_)[0] != UsedRing::no_notify_flag;
}

bool FakeDriver::device_wants_next_kick() const {
  const auto* const used = guest_.at_as<std::uint16_t>(used_);
  if (kind_ == RingKind::packed) return used[1] == PackedEvent::at_place && used[0] == next_.value;
  return used[2 + 4 * size_] == avail_index_;
}

std::vector<std::uint8_t> FakeDriver::bytes_of(const UsedElement& used) const {
  std::vector<std::uint8_t> out;
  for (const auto& buffer : chains_.at(static_cast<std::uint16_t>(used.head))) {
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
  if (kind_ != RingKind::split) std::fputs("fake driver: not a split ring\n", stderr), std::abort();
  return virtqueue::lay_out_ring(memory, addresses(), size_, features_);
}

Result<virtqueue::AnyLayout> FakeDriver::lay_out_any(const memory::GuestMemory& memory) const {
  return virtqueue::lay_out_ring(kind_, memory, addresses(), size_, features_);
}

std::span<const std::uint8_t> bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace vhostx::test
