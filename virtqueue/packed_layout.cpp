// SPDX-License-Identifier: BSD-3-Clause
#include "virtqueue/packed_layout.hpp"

#include <utility>

#include "base/error.hpp"

namespace vhostx::virtqueue {
namespace {

constexpr std::uint16_t both_flags = packed_avail_flag | packed_used_flag;

// A device has used the descriptor in this lap or the one before, or nobody has written it.
bool looks_used(std::uint16_t flags) noexcept {
  return (flags & both_flags) == 0 || (flags & both_flags) == both_flags;
}

bool was_marked(std::uint16_t flags) noexcept { return looks_used(flags) && PackedTable::is_whole(flags); }

// Of chains that look available.
bool has_long_chain(const PackedLayout& ring) noexcept {
  for (std::uint32_t i = 0; i < ring.size; ++i) {
    const std::uint16_t flags = ring.table.flags_acquire(i);
    if (!looks_used(flags) && (flags & Descriptor::next_flag) != 0) return true;
  }
  return false;
}

}  // namespace

std::array<memory::HostSpan, 3> PackedLayout::areas() const noexcept {
  return {{{table.begin(), size * PackedTable::entry_bytes},
           {driver.begin(), PackedEvent::bytes},
           {device.begin(), PackedEvent::bytes}}};
}

bool PackedLayout::was_used() const noexcept {
  const auto wanted = device.load();
  return !is_untouched() || wanted.flags != 0 || wanted.place.value != 0;
}

bool PackedLayout::is_untouched() const noexcept {
  const PackedDescriptor first = table.load(0);
  return first.address == 0 && first.rest == 0;
}

// Where the driver makes available next. It writes the avail flag of every descriptor of a chain, with the wrap counter
// of that lap, and a used descriptor repeats it: so the flag is the same from entry 0 to the driver's place, and the
// opposite from there on. None: the driver is just writing a chain, or does not keep to that.
std::optional<PackedPosition> PackedLayout::find_driver() const noexcept {
  const auto lap = [this](std::uint32_t i) { return (table.flags_acquire(i) & packed_avail_flag) != 0; };
  const bool first = lap(0);
  std::uint32_t end = 1;
  while (end < size && lap(end) == first) ++end;
  for (std::uint32_t i = end; i < size; ++i)
    if (lap(i) == first) return std::nullopt;
  const bool wraps = end == size;  // the next lap begins
  return PackedPosition{
      static_cast<std::uint16_t>((wraps ? 0 : end) | (first != wraps ? PackedPosition::wrap_bit : 0))};
}

// A driver in its first lap of which nothing was used: some entry was never written, and none has the used flag, which
// a driver sets from its second lap on and a device in the first. It may be writing meanwhile.
bool PackedLayout::is_fresh() const noexcept {
  bool has_room = false;
  for (std::uint32_t i = 0; i < size; ++i) {
    const PackedDescriptor entry = table.load(i);
    if ((entry.flags() & packed_used_flag) != 0) return false;
    has_room |= entry.address == 0 && entry.rest == 0;
  }
  return has_room;
}

// From the driver's place (find_driver()) backwards, every descriptor that looks available belongs to a chain that was
// not used, or is not the first of one that was. The next one further back looks used. The position is behind it, if
//
//   * it is marked (PackedTable::used_whole()): then a device of this library has used it, and no entry of a used chain
//     looks available;
//   * it was never written: no chain has begun there, the driver is in its first lap;
//   * nothing is between it and the driver's place: then all chains were used;
//   * the chain behind it ends with another id than the one that was used: the rest of that chain would end with its
//     own, as devices use chains in the order in which they were made available. With IN_ORDER one used descriptor may
//     stand for several chains and has the id of the last: then none of the chains may have it.
//
// Else that chain is the first that was not used, or the rest of the last one that was: whichever the base says. If
// none looks used, the ring is full. With IN_ORDER, or where chains have several entries, the driver may also have
// written over the beginning of a used chain and not over its rest, if that was not marked: then, too, the base says
// whether the first chain was used. A ring that lends uses chains in any order. It has used all when it stops, so that
// only a crash leaves it in doubt.
std::optional<PackedPosition> PackedLayout::find_position(PackedPosition expected) const noexcept {
  if (is_fresh()) return PackedPosition{};
  const auto end = find_driver();
  if (!end) return std::nullopt;
  std::uint32_t open = 0;
  PackedPosition place = *end;
  for (; open < size; ++open) {
    const PackedPosition earlier = place.before(1, size);
    if (looks_used(table.flags_acquire(earlier.index()))) break;
    place = earlier;
  }
  if (open == 0) return place;
  if (open == size)
    return features.in_order || has_long_chain(*this) ? find_in_doubt(place, expected, open, nullptr) : place;
  const PackedDescriptor last = table.load(place.before(1, size).index());
  if (was_marked(last.flags()) || (last.address == 0 && last.rest == 0)) return place;
  return find_in_doubt(place, expected, open, &last);
}

// last: the used descriptor before `place`; null: none looks used.
std::optional<PackedPosition> PackedLayout::find_in_doubt(PackedPosition place, PackedPosition expected,
                                                          std::uint32_t open,
                                                          const PackedDescriptor* last) const noexcept {
  bool doubtful = last == nullptr;
  bool agrees = expected == place;
  for (PackedPosition at = place; open != 0;) {
    const auto [id, entries] = find_end(at.index(), table.load(at.index()), open);
    doubtful |= entries == 0 || last == nullptr || id == last->id();
    at = at.after(entries, size);
    agrees |= expected == at;
    if (!features.in_order || entries == 0) break;
    open -= entries;
  }
  if (!doubtful) return place;
  return agrees ? std::optional(expected) : std::nullopt;
}

// A device of this library shows a burst of used descriptors by the first one. If it died before that, the driver waits
// for it. From `place` back everything is marked, or still looks available: of the burst's first chain, and of the one
// that was just being written, from its last entry on. The farthest that looks available is the burst's first one. What
// the burst was about is lost: its buffers come back empty, and drivers drop those. Whatever the driver writes
// meanwhile stays: then it was no such burst. With IN_ORDER chains that were used look available.
void PackedLayout::finish_burst(PackedPosition place) const noexcept {
  if (features.in_order) return;
  PackedPosition first = place;
  std::uint32_t entries = 0;
  for (std::uint32_t behind = 1; behind <= size; ++behind) {
    const PackedPosition at = place.before(behind, size);
    const std::uint16_t flags = table.flags_acquire(at.index());
    const bool waits = at.is_available(flags);
    if (!waits && !was_marked(flags)) break;
    if (waits) first = at, entries = behind;
  }
  if (entries == 0) return;
  const PackedDescriptor shown = table.load(first.index());
  const std::uint16_t id = find_torn_id(first, entries);
  for (std::uint32_t i = 1; i < entries; ++i) {
    const PackedPosition at = first.after(i, size);
    if (!finish_entry(at, table.load(at.index()), find_torn_id(at, entries - i))) return;
  }
  finish_entry(first, shown, id);
}

// The id of the chain at `at`, which may have been used in part: in its last entry, or in the first one that was used.
std::uint16_t PackedLayout::find_torn_id(PackedPosition at, std::uint32_t entries) const noexcept {
  PackedDescriptor entry = table.load(at.index());
  for (std::uint32_t i = 1;
       i < entries && at.is_available(entry.flags()) && (entry.flags() & Descriptor::next_flag) != 0; ++i) {
    at = at.after(1, size);
    entry = table.load(at.index());
  }
  return entry.id();
}

bool PackedLayout::finish_entry(PackedPosition at, const PackedDescriptor& was, std::uint16_t id) const noexcept {
  PackedTable ring = table;
  if (!at.is_available(was.flags()) && !was_marked(was.flags())) return false;
  return ring.replace(at.index(), was.rest, PackedTable::used_whole(at, id, 0));
}

Result<void> check_packed_size(std::uint32_t size) {
  if (size == 0 || size > ring_size_max)
    return protocol_violation("ring size {}: expected 1 to {} on a packed ring", size, ring_size_max);
  return {};
}

Result<PackedLayout> lay_out_packed(const memory::GuestMemory& memory, const RingAddresses& addresses,
                                    std::uint32_t size, RingFeatures features) {
  if (auto good = check_packed_size(size); !good) return good.error();
  auto found = find_areas(memory, {{{"descriptor ring", addresses.descriptors, size * PackedTable::entry_bytes, 16},
                                    {"driver event structure", addresses.avail, PackedEvent::bytes, 4},
                                    {"device event structure", addresses.used, PackedEvent::bytes, 4}}});
  if (!found) return std::move(found).error();
  // The first byte is in one region, also of an area that is in two.
  const auto first = memory.address_of(memory.translate(addresses.descriptors, 1).data);
  return PackedLayout{.table = PackedTable(found->spans[0].data),
                      .driver = PackedEvent(found->spans[1].data),
                      .device = PackedEvent(found->spans[2].data),
                      .size = size,
                      .features = features,
                      .address = first.value_or(memory::GuestAddress{}),
                      .windows = std::move(found->windows),
                      .asides = std::make_shared<PackedAsides>(size)};
}

}  // namespace vhostx::virtqueue
