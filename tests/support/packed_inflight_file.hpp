// SPDX-License-Identifier: BSD-3-Clause
// The record of chains in flight of a packed ring, read as the specification has it (vhost-user, "Inflight I/O
// tracking").
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tests/support/fake_driver.hpp"
#include "tests/support/inflight_file.hpp"
#include "virtqueue/packed_layout.hpp"

namespace vhostx::test {

/// What the next back-end finds. It serves `again` first, in this order.
struct PackedRecovered {
  struct Chain {
    std::uint64_t counter = 0;
    std::uint16_t id = 0;       ///< Of its last descriptor.
    std::uint64_t address = 0;  ///< Of its first descriptor's buffer.
    std::uint32_t entries = 0;
  };
  virtqueue::PackedPosition used;  ///< Where used descriptors go on.
  virtqueue::PackedPosition next;  ///< Where chains go on that are not in flight.
  std::vector<Chain> again;
};

/// Changes nothing. The record begins at `region` of the file.
inline PackedRecovered recover_packed(const InflightFile& file, const virtqueue::PackedLayout& ring,
                                      std::size_t region = 0) {
  using virtqueue::PackedPosition;
  const auto field = [&](std::size_t at) { return file.get<std::uint16_t>(region + at); };
  const auto entry = [&](std::size_t i) { return region + 32 + i * 32; };
  const auto place = [&](std::size_t index, std::size_t wrap) {
    return PackedPosition{
        static_cast<std::uint16_t>(field(index) | (file.get<std::uint8_t>(region + wrap) != 0 ? 0x8000 : 0))};
  };
  const PackedPosition next = place(16, 20), old = place(18, 21);
  const bool published = next != old && !ring.is_available(old);
  PackedRecovered found{.used = published ? next : old};
  const std::size_t size = field(10);
  std::vector<bool> is_free(size);
  for (std::size_t i = field(published ? 12 : 14); i < size; i = file.get<std::uint16_t>(entry(i) + 2))
    is_free.at(i) = true;
  std::uint32_t entries = 0;
  for (std::size_t i = 0; i < size; ++i) {
    if (file.get<std::uint8_t>(entry(i)) == 0 || is_free[i]) continue;
    PackedRecovered::Chain chain{.counter = file.get<std::uint64_t>(entry(i) + 8),
                                 .id = file.get<std::uint16_t>(entry(file.get<std::uint16_t>(entry(i) + 4)) + 16),
                                 .address = file.get<std::uint64_t>(entry(i) + 24),
                                 .entries = file.get<std::uint16_t>(entry(i) + 6)};
    entries += chain.entries;
    found.again.push_back(chain);
  }
  std::sort(found.again.begin(), found.again.end(),
            [](const auto& one, const auto& other) { return one.counter < other.counter; });
  found.next = found.used.after(entries, ring.size);
  return found;
}

/// Of a ring of either kind.
inline std::size_t chains_in_flight(const InflightFile& file, FakeDriver& driver, std::size_t region = 0) {
  if (driver.kind() == virtqueue::RingKind::split) return file.recover(driver.used_index(), region).again.size();
  const auto memory = driver.guest().map();
  return recover_packed(file, driver.lay_out_any(*memory)->packed, region).again.size();
}

}  // namespace vhostx::test
