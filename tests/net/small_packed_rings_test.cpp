// SPDX-License-Identifier: BSD-3-Clause
// Packed rings of one to five entries, exhaustively over the sets below, against the slow model: as
// small_rings_test.cpp does it for split rings. Each from every place, in either lap. (packed_small_rings_test.cpp does
// the same with the queue alone.)
//
//   one entry       all 64 flags (NEXT, WRITE, INDIRECT, one unknown, AVAIL, USED), all buffers, INDIRECT negotiated or
//                   not, three kinds of net header and buffers, two ids
//   two entries     all 32 flags without the unknown one and all buffers in the first; the same flags and 3 buffers in
//   the
//                   second
//   three to five   what drivers, devices and laps before leave there: available in this lap or the other, used; alone,
//                   linked, of the wrong direction, indirect; of one byte and of a packet
#include <cstdio>
#include <vector>

#include <gtest/gtest.h>

#include "tests/net/small_rings.hpp"

namespace vhostx::net {
namespace {

using virtqueue::packed_avail_flag, virtqueue::packed_used_flag;
using virtqueue::PackedPosition;

constexpr std::uint16_t indirect_flag = virtqueue::Descriptor::indirect_flag;
constexpr std::initializer_list<std::uint16_t> all_turns{0, packed_avail_flag, packed_used_flag,
                                                         packed_avail_flag | packed_used_flag};

class SmallPackedRing : public ::testing::TestWithParam<bool> {
 protected:
  ~SmallPackedRing() override {
    std::printf("%s: %llu cases\n", ::testing::UnitTest::GetInstance()->current_test_info()->name(),
                static_cast<unsigned long long>(rings.cases()));
  }
  void try_ring(const std::vector<GuestDescriptor>& table) {
    const auto size = static_cast<std::uint32_t>(table.size());
    for (std::uint32_t i = 0; i < 2 * size && !HasFatalFailure(); ++i) {
      rings.start = PackedPosition{}.after(i % size, size).value;
      if (i >= size) rings.start ^= PackedPosition::wrap_bit;
      rings.try_ring(table, {});
    }
  }
  /// Each entry is one of these kinds, in a buffer of its own.
  void try_all(std::size_t size, const std::vector<GuestDescriptor>& kinds) {
    std::vector<std::size_t> which(size, 0);
    while (!HasFatalFailure()) {
      std::vector<GuestDescriptor> table;
      for (std::size_t i = 0; i < size; ++i) {
        table.push_back(kinds[which[i]]);
        if ((table[i].flags & indirect_flag) == 0) table[i].address += 0x20 * i;
        table[i].next = static_cast<std::uint16_t>(0xfffd + i);
      }
      try_ring(table);
      std::size_t i = 0;
      while (i < size && ++which[i] == kinds.size()) which[i++] = 0;
      if (i == size) return;
    }
  }
  std::uint16_t flags(int more) const { return static_cast<std::uint16_t>(rings.direction() | more); }

  SmallRings rings{GetParam(), virtqueue::RingKind::packed};
};
INSTANTIATE_TEST_SUITE_P(Both, SmallPackedRing, ::testing::Bool(),
                         [](const auto& param) { return param.param ? "ToTheGuest" : "FromTheGuest"; });

/// Calls `use` for every descriptor of these sets.
template <typename Use>
void for_each_packed_descriptor(const std::vector<Buffer>& buffers, std::uint16_t flags_end, std::uint16_t id,
                                Use use) {
  for (const Buffer& buffer : buffers)
    for (const std::uint16_t turn : all_turns)
      for (std::uint16_t flags = 0; flags < flags_end; ++flags)
        use(GuestDescriptor{buffer.address, buffer.length, static_cast<std::uint16_t>(flags | turn), id});
}

TEST_P(SmallPackedRing, OfOneEntry) {
  for (const std::uint64_t features : {feature_version_1 | feature_mrg_rxbuf, feature_version_1, std::uint64_t{0}})
    for (const bool indirect : {true, false})
      for (const std::uint16_t id : std::initializer_list<std::uint16_t>{0, 0xffff}) {
        rings.features = features;
        rings.indirect = indirect;
        for_each_packed_descriptor(all_buffers(rings.header()), 16, id,
                                   [&](const GuestDescriptor& one) { try_ring({one}); });
      }
}

TEST_P(SmallPackedRing, OfTwoEntries) {
  const auto first = all_buffers(rings.header());
  const std::vector<Buffer> second{{buffers_at + 0x40, 0}, {buffers_at + 0x40, 80}, {tables_at, 32}};
  for_each_packed_descriptor(first, 8, 7, [&](const GuestDescriptor& a) {
    for_each_packed_descriptor(second, 8, 9, [&](const GuestDescriptor& b) { try_ring({a, b}); });
  });
}

TEST_P(SmallPackedRing, OfThreeEntries) {
  std::vector<GuestDescriptor> kinds;
  for (const std::uint16_t turn : all_turns)
    for (const int more : {0, int{next_flag}, int{write_flag ^ rings.direction()}, int{indirect_flag}})
      for (const std::uint32_t length : {26U, 6U}) {
        if (more == indirect_flag)
          kinds.push_back({tables_at, length == 6 ? 16U : 32U, flags(more | turn), 0});
        else
          kinds.push_back({buffers_at, length, flags(more | turn), 0});
      }
  try_all(3, kinds);
}

TEST_P(SmallPackedRing, OfFourAndFiveEntries) {
  std::vector<GuestDescriptor> kinds;
  for (const std::uint16_t turn : {packed_avail_flag, packed_used_flag})
    for (const int more : {0, int{next_flag}})
      kinds.push_back({buffers_at, more == 0 ? 26U : 12U, flags(more | turn), 0});
  kinds.push_back({buffers_at, 26, flags(packed_avail_flag | packed_used_flag), 0});
  kinds.push_back({buffers_at, 5, flags(packed_avail_flag), 0});
  try_all(4, kinds);
  try_all(5, kinds);
}

}  // namespace
}  // namespace vhostx::net
