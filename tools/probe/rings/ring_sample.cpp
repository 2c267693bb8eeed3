// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/rings/ring_sample.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace vhostx::tools::probe {
namespace {

// Driver and device go on while they are read. More tries help little: a ring that is busy is so all the time.
constexpr int tries = 4;

RingSample unreadable(std::string problem) {
  RingSample sample;
  sample.problem = std::move(problem);
  return sample;
}

std::string not_there(const char* what, std::uint64_t address) {
  return fmt::format("{} at {:#x} cannot be read", what, address);
}

std::uint16_t distance(std::uint16_t from, std::uint16_t to) noexcept { return static_cast<std::uint16_t>(to - from); }

// ---- split

/// flags and idx, as they begin both rings.
using Head = std::array<std::uint16_t, 2>;

/// Both heads, and whether the used one stood still while the other was read: then their difference is exact.
struct Heads {
  Head available{};
  Head used{};
  bool exact = false;
};

// Used before available: the other way round the device might seem to be ahead of the driver.
std::optional<Heads> read_heads(const GuestMemory& memory, const RingPlace& place) {
  Heads heads;
  for (int i = 0; i < tries && !heads.exact; ++i) {
    const auto used = memory.load<Head>(place.addresses.used);
    const auto available = memory.load<Head>(place.addresses.available);
    const auto again = memory.load<Head>(place.addresses.used);
    if (!used || !available || !again) return std::nullopt;
    heads = {*available, *used, *used == *again};
  }
  return heads;
}

void set_in_flight(RingSample& sample, const SplitSample& split, std::uint32_t size, bool exact) {
  sample.in_flight = distance(split.used_index, split.available_index);
  if (!exact) sample.in_flight = std::min(sample.in_flight, size);
  sample.in_flight_min = sample.in_flight;
  if (sample.in_flight <= size) return;
  sample.findings.push_back(
      fmt::format("{} in flight, more than the ring's {} (VIRTIO 1.2, 2.7)", sample.in_flight, size));
}

void set_suppression(RingSample& sample, const SplitSample& split, std::uint32_t size) {
  constexpr std::uint16_t none_wanted = 1;  // VIRTQ_AVAIL_F_NO_INTERRUPT, VIRTQ_USED_F_NO_NOTIFY
  sample.calls_suppressed = split.used_event ? distance(split.used_index, *split.used_event) >= size
                                             : (split.available_flags & none_wanted) != 0;
  sample.kicks_suppressed = split.avail_event ? distance(split.available_index, *split.avail_event) >= size
                                              : (split.used_flags & none_wanted) != 0;
}

RingSample sample_split(const GuestMemory& memory, const RingPlace& place) {
  const RingAddresses& at = place.addresses;
  const auto heads = read_heads(memory, place);
  if (!heads) {
    const bool available = memory.load<Head>(at.available).has_value();
    return unreadable(available ? not_there("used ring", at.used) : not_there("available ring", at.available));
  }
  SplitSample split{heads->available[0], heads->available[1], heads->used[0], heads->used[1], {}, {}};
  if (place.event_index) {
    split.used_event = memory.load<std::uint16_t>(at.available + 4 + 2ULL * place.size);
    split.avail_event = memory.load<std::uint16_t>(at.used + 4 + 8ULL * place.size);
  }
  RingSample sample;
  sample.available_position = split.available_index;
  sample.used_position = split.used_index;
  set_in_flight(sample, split, place.size, heads->exact);
  set_suppression(sample, split, place.size);
  if (place.event_index && (!split.used_event || !split.avail_event))
    sample.findings.emplace_back("its event index lies where nothing can be read (VIRTIO 1.2, 2.7.10)");
  sample.layout = split;
  return sample;
}

// ---- packed

struct PackedDescriptor {
  std::uint64_t address;
  std::uint32_t length;
  std::uint16_t id;
  std::uint16_t flags;

  bool available() const noexcept { return (flags & 1U << 7) != 0; }
  bool used() const noexcept { return (flags & 1U << 15) != 0; }
  bool is_marked_available() const noexcept { return available() != used(); }
  bool has_next() const noexcept { return (flags & 1U) != 0; }
  bool was_written() const noexcept { return address != 0 || length != 0 || id != 0 || flags != 0; }
};
static_assert(sizeof(PackedDescriptor) == 16);

using Descriptors = std::vector<PackedDescriptor>;

EventArea area_of(std::uint32_t word) noexcept {
  return {static_cast<std::uint16_t>(word & 0x7fff), (word & 0x8000) != 0, static_cast<std::uint16_t>(word >> 16 & 3)};
}

/// As of a split ring: whether the place, if it asks for one, is not among the next `size` from `position` on.
bool is_suppressed(const EventArea& area, std::uint32_t position, std::uint32_t size) noexcept {
  const std::uint32_t place = area.offset + (area.wrap ? 0 : size);
  return area.flags == 1 ||
         (area.flags == 2 && (area.offset >= size || (place + 2 * size - position) % (2 * size) >= size));
}

// The driver's place, which is where AVAIL changes. False: it changes more than once, which no honest ring does, and
// one that moves while it is read may.
bool find_driver(const Descriptors& ring, PackedSample& packed) {
  std::uint32_t changes = 0;
  packed.next_available = 0;
  for (std::uint32_t i = 1; i < ring.size(); ++i)
    if (ring[i].available() != ring[i - 1].available()) {
      ++changes;
      packed.next_available = i;
    }
  packed.driver_wrap = changes == 0 ? !ring.front().available() : ring.front().available();
  return changes <= 1;
}

/// Descriptors from the last that the device wrote on, up to the driver's place: what is in flight, perhaps with the
/// rest of the chain that the device used last.
struct Run {
  std::uint32_t begin = 0;
  std::uint32_t length = 0;
  std::uint32_t chains = 0;
  std::uint16_t first_id = 0;  ///< Of its first chain.
  bool several = false;        ///< It has chains of several descriptors.
};

Run find_run(const Descriptors& ring, const PackedSample& packed) {
  const auto size = static_cast<std::uint32_t>(ring.size());
  Run run;
  while (run.length < size && ring[(packed.next_available + size - 1 - run.length) % size].is_marked_available())
    ++run.length;
  run.begin = (packed.next_available + size - run.length) % size;
  for (std::uint32_t i = 0; i < run.length; ++i) {
    const PackedDescriptor& one = ring[(run.begin + i) % size];
    run.several |= one.has_next();
    if (!one.has_next() && run.chains++ == 0) run.first_id = one.id;
  }
  return run;
}

/// In a ring in which nothing tells of chains of several descriptors: whether the run may begin with the rest of one.
bool may_begin_with_rest(const Descriptors& ring, const Run& run) {
  const std::size_t size = ring.size();
  const PackedDescriptor& last_used = ring[(run.begin + size - 1) % size];
  const PackedDescriptor& before = ring[(run.begin + size - 2 % size) % size];
  const bool used_one_by_one = before.was_written() && !before.is_marked_available();
  return run.chains != 0 && last_used.was_written() && last_used.id == run.first_id && !used_one_by_one;
}

/// Of a chain that was used as a rule only the first descriptor looks used. Devices on vhostx mark used descriptors
/// with NEXT, and make all of them look used: then what is in flight has to tell.
double chains_per_step(const Descriptors& ring, const PackedSample& packed, const Run& run) {
  const bool all_look_used = std::any_of(ring.begin(), ring.end(), [](const PackedDescriptor& one) {
    return !one.is_marked_available() && one.has_next();
  });
  if (all_look_used && run.length != 0) return static_cast<double>(std::max(run.chains, 1U)) / run.length;
  return static_cast<double>(std::max(packed.marked_used + run.chains, 1U)) / static_cast<double>(ring.size());
}

void set_in_flight(const Descriptors& ring, const RingPlace& place, const PackedSample& packed, RingSample& sample) {
  const Run run = find_run(ring, packed);
  sample.modulus = 2 * place.size;
  sample.available_position = packed.next_available + (packed.driver_wrap ? 0 : place.size);
  sample.used_position = (sample.available_position + sample.modulus - run.length) % sample.modulus;
  sample.in_flight = sample.in_flight_min = run.chains;
  sample.chains_per_step = chains_per_step(ring, packed, run);
  const bool several = run.several || packed.marked_available != run.length;
  if (place.in_order && run.length != place.size) {
    sample.in_flight_min = 0;  // one used descriptor may stand for all in the run
  } else if (run.length != place.size && run.chains != 0 && (several || may_begin_with_rest(ring, run))) {
    --sample.in_flight_min;
  }
}

RingSample sample_packed(const GuestMemory& memory, const RingPlace& place) {
  const RingAddresses& at = place.addresses;
  const auto driver = memory.load<std::uint32_t>(at.available);
  const auto device = memory.load<std::uint32_t>(at.used);
  if (!driver) return unreadable(not_there("driver event", at.available));
  if (!device) return unreadable(not_there("device event", at.used));
  PackedSample packed;
  packed.driver = area_of(*driver);
  packed.device = area_of(*device);
  Descriptors ring(place.size);
  bool whole = false;
  for (int i = 0; i < tries && !whole; ++i) {
    if (!memory.read(at.descriptor, std::as_writable_bytes(std::span(ring))))
      return unreadable(not_there("descriptor ring", at.descriptor));
    whole = find_driver(ring, packed);
  }
  if (!whole) return unreadable("the descriptors' AVAIL bits make no ring, or it moves faster than it can be read");
  RingSample sample;
  packed.marked_available = static_cast<std::uint32_t>(
      std::count_if(ring.begin(), ring.end(), [](const auto& each) { return each.is_marked_available(); }));
  packed.marked_used = place.size - packed.marked_available;
  set_in_flight(ring, place, packed, sample);
  sample.calls_suppressed = is_suppressed(packed.driver, sample.used_position, place.size);
  sample.kicks_suppressed = is_suppressed(packed.device, sample.available_position, place.size);
  sample.layout = packed;
  return sample;
}

}  // namespace

RingSample sample_ring(const GuestMemory& memory, const RingPlace& place) {
  if (place.size == 0 || place.size > ring_descriptors_max)
    return unreadable(fmt::format("a ring of {} descriptors, expected 1 to {}", place.size, ring_descriptors_max));
  return place.packed ? sample_packed(memory, place) : sample_split(memory, place);
}

}  // namespace vhostx::tools::probe
