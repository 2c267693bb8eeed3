// SPDX-License-Identifier: BSD-3-Clause
// What fuzz_dequeue and fuzz_enqueue share: a HostileRing made of an input's choices, beside the model of it.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include "fuzz/choices.hpp"
#include "tests/net/hostile_ring.hpp"
#include "tests/net/ring_comparison.hpp"
#include "tests/support/eal.hpp"

namespace vhostx::fuzz {

inline void require_none(const std::string& difference) {
  if (difference.empty()) return;
  std::fprintf(stderr, "the data path and the model differ: %s\n", difference.c_str());
  std::abort();
}
inline void require(bool holds) {
  if (!holds) std::abort();
}

/// Few regions of which each has a slot of the index, or one more that makes them share slots.
inline test::HostileWorld& pick_world(Choices& choices) {
  test::start_eal();
  static test::HostileWorld near(false);
  static test::HostileWorld far(true);
  return choices.one_in(4) ? far : near;
}

/// By the first bit of an input.
inline virtqueue::RingKind kind_of(const std::uint8_t* data, std::size_t size) {
  return size != 0 && data[0] >= 128 ? virtqueue::RingKind::packed : virtqueue::RingKind::split;
}

inline test::HostileRing make_ring(test::HostileWorld& world, Choices& choices, bool to_guest,
                                   virtqueue::RingKind kind) {
  return {world, [&choices] { return std::uint64_t{choices.byte()}; }, to_guest, kind};
}

inline test::WrittenRing written(const test::HostileWorld& world, const test::HostileRing& ring) {
  return {world.guest,
          world.regions,
          test::HostileRing::table,
          test::HostileRing::avail,
          test::HostileRing::used,
          ring.size,
          ring.start,
          ring.features,
          ring.ring_features,
          ring.kind};
}

/// As a burst before may have left it: nothing, where some buffer lies, or elsewhere.
inline void warm_hint(test::ComparedRing& one, Choices& choices) {
  const auto& first = one.written.guest.at_as<test::GuestDescriptor>(one.written.table)[0];
  const auto address = choices.pick<std::uint64_t>({0, test::HostileWorld::large_at, first.address});
  one.memory.translate(memory::GuestAddress{address}, 1, one.cursor.hint);
}

}  // namespace vhostx::fuzz
