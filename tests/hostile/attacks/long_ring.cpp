// SPDX-License-Identifier: BSD-3-Clause
#include "tests/hostile/attacks/long_ring.hpp"

#include <algorithm>
#include <vector>

namespace vhostx::hostile {

using virtqueue::Descriptor;

namespace {

void write_row(Descriptor* at, const Piece& piece, std::uint16_t flags, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    const bool last = i + 1 == count;
    at[i] = piece(i);
    at[i].flags = static_cast<std::uint16_t>(flags | (last ? 0 : next));
    at[i].next = static_cast<std::uint16_t>(last ? 0 : i + 1);
  }
}

Attacker& started(Attacker& attacker, FeatureSet features, unsigned pairs) {
  attacker.running(LongRing::plan(features, pairs));
  return attacker;
}

}  // namespace

GuestPlan LongRing::plan(FeatureSet features, unsigned pairs) {
  return {.features = features | FeatureSet{V::indirect_desc},
          .protocol = {P::configure_mem_slots, P::reset_device},
          .ring_size = long_ring_size,
          .receive_bytes = 128,
          .transmit_bytes = 128,
          .pairs = pairs};
}

LongRing::LongRing(Attacker& attacker, FeatureSet features, unsigned pairs)
    : attacker_(started(attacker, features, pairs)), memory_(attacker, memory_bytes) {}

void LongRing::write_table(const Piece& piece, std::uint16_t flags, std::uint32_t entries) {
  write_row(table(), piece, flags, entries);
  std::transform(table(), table() + entries, table(),
                 [this](const Descriptor& one) { return attacker_.in_table(one); });
}

void LongRing::point_to_table(std::uint32_t vring, std::uint32_t entries) {
  for (std::uint32_t i = 0; i < long_ring_size; ++i)
    attacker_.descriptor(vring, static_cast<std::uint16_t>(i)) = {
        memory_.guest(), static_cast<std::uint32_t>(sizeof(Descriptor)) * entries, indirect, 0};
}

void LongRing::write_chain(std::uint32_t vring, const Piece& piece, std::uint16_t flags) {
  write_row(&attacker_.descriptor(vring, 0), piece, flags, long_ring_size);
}

void LongRing::show(std::uint32_t vring, const std::function<std::uint16_t(std::uint32_t)>& head) {
  std::vector<std::uint16_t> heads;
  for (std::uint32_t i = 0; i < long_ring_size; ++i) heads.push_back(head ? head(i) : static_cast<std::uint16_t>(i));
  attacker_.show(vring, heads);
}

void LongRing::empty_tables(std::uint32_t vring) {
  const bool received = vring % 2 == 0;
  write_table([this](std::uint32_t) { return nothing(); }, received ? writable : std::uint16_t{0});
  point_to_table(vring);
}

}  // namespace vhostx::hostile
