// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/check/raw_driver.hpp"

#include "tools/probe/check/dirty_log.hpp"

namespace vhostx::tools::probe {

using virtqueue::Descriptor;
using virtqueue::PackedPosition;

namespace {

std::uint64_t* packed_table(Guest& guest) {
  return reinterpret_cast<std::uint64_t*>(guest.transmit().addresses(1).descriptor);
}

}  // namespace

Descriptor honest_descriptor(Guest& guest) {
  return {guest_address_of(guest, guest.transmit().buffer(0)), guest.net_header_bytes() + 64, 0, 0};
}

Descriptor* split_table(Guest& guest) {
  return reinterpret_cast<Descriptor*>(guest.transmit().addresses(1).descriptor);
}

std::uint16_t* split_avail(Guest& guest) {
  return reinterpret_cast<std::uint16_t*>(guest.transmit().addresses(1).available);
}

void show_heads(Guest& guest, std::uint16_t count) {
  std::uint16_t* const avail = split_avail(guest);
  const std::uint16_t index = avail[1];
  const std::uint32_t size = guest.transmit().options().size;
  for (std::uint16_t i = 0; i < count; ++i) avail[2 + (index + i) % size] = i;
  __atomic_store_n(avail + 1, static_cast<std::uint16_t>(index + count), __ATOMIC_RELEASE);
}

void show_descriptor(Guest& guest, const Descriptor& one) {
  if (guest.packed()) {
    const RawPacked raw{one.address, one.length, 0, one.flags};
    return show_packed(guest, std::span(&raw, 1));
  }
  split_table(guest)[0] = one;
  show_heads(guest, 1);
}

PackedPosition packed_place(Guest& guest) { return {static_cast<std::uint16_t>(guest.transmit().base())}; }

void show_packed(Guest& guest, std::span<const RawPacked> descriptors) {
  const std::uint32_t size = guest.transmit().options().size;
  for (std::size_t i = descriptors.size(); i-- != 0;) {
    const RawPacked& one = descriptors[i];
    const PackedPosition at = packed_place(guest).after(static_cast<std::uint32_t>(i), size);
    const std::uint64_t flags = static_cast<std::uint16_t>(one.flags ^ at.available());
    std::uint64_t* const entry = packed_table(guest) + 2 * at.index();
    entry[0] = one.address;
    __atomic_store_n(entry + 1, one.length | std::uint64_t{one.id} << 32 | flags << 48, __ATOMIC_RELEASE);
  }
}

std::uint32_t packed_tail(Guest& guest, PackedPosition at) {
  return static_cast<std::uint32_t>(__atomic_load_n(packed_table(guest) + 2 * at.index() + 1, __ATOMIC_ACQUIRE) >> 32);
}

}  // namespace vhostx::tools::probe
