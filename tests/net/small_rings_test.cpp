// SPDX-License-Identifier: BSD-3-Clause
// Rings of one, two and four entries, exhaustively over the sets below, against the slow model: the same verdict, the
// same packets or bytes in the guest's memory, the same used entries. Random rings (chain_model_test.cpp) meet what is
// large; these meet every combination of what is small:
//
//   one entry     all 16 flags (NEXT, WRITE, INDIRECT, one unknown), next inside, at and far behind the end, all 15
//   buffers,
//                 three heads, INDIRECT negotiated or not, three kinds of net header and buffers
//   two entries   the same first descriptor, before all 8 flags without the unknown one, every next, and 3 buffers; and
//   with
//                 four rows of heads
//   four entries  every graph of links (each ends, or leads to one of the four or behind them) with 2 buffers each,
//   from one
//                 head and from all
//   all           every distance of avail->idx that differs: none, some, all, one too many, behind; at the index's wrap
//   too
#include "tests/net/small_rings.hpp"

#include <cstdio>
#include <vector>

#include <gtest/gtest.h>

namespace vhostx::net {
namespace {

/// Calls `use` for every descriptor of these sets.
template <typename Use>
void for_each_descriptor(const std::vector<Buffer>& buffers, std::uint16_t flags_end, std::uint16_t ring_size,
                         Use use) {
  for (const Buffer& buffer : buffers)
    for (std::uint16_t flags = 0; flags < flags_end; ++flags)
      for (std::uint16_t next = 0; next <= ring_size + 1; ++next)
        use(GuestDescriptor{buffer.address, buffer.length, flags, next > ring_size ? std::uint16_t{0xffff} : next});
}

class SmallRing : public ::testing::TestWithParam<bool> {
 protected:
  ~SmallRing() override {
    std::printf("%s: %llu cases\n", ::testing::UnitTest::GetInstance()->current_test_info()->name(),
                static_cast<unsigned long long>(rings.cases()));
  }
  void try_ring(const std::vector<GuestDescriptor>& table, const std::vector<std::uint16_t>& heads) {
    if (!HasFatalFailure()) rings.try_ring(table, heads);
  }
  /// Of a ring that is otherwise right. Apart from where `all_buffers` has net headers: in what order a device writes
  /// into buffers that overlap is nobody's promise.
  GuestDescriptor good() const { return {buffers_at + 0x40, rings.header() + 60, rings.direction(), 0}; }

  SmallRings rings{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Both, SmallRing, ::testing::Bool(),
                         [](const auto& param) { return param.param ? "ToTheGuest" : "FromTheGuest"; });

TEST_P(SmallRing, OfOneEntry) {
  for (const std::uint64_t features : {feature_version_1 | feature_mrg_rxbuf, feature_version_1, std::uint64_t{0}})
    for (const bool indirect : {true, false})
      for (const std::uint16_t head : std::initializer_list<std::uint16_t>{0, 1, 0xffff}) {
        rings.features = features;
        rings.indirect = indirect;
        for_each_descriptor(all_buffers(rings.header()), 16, 1,
                            [&](const GuestDescriptor& one) { try_ring({one}, {head}); });
      }
}

TEST_P(SmallRing, OfTwoEntries) {
  const auto first = all_buffers(rings.header());
  const std::vector<Buffer> second{{buffers_at + 0x40, 0}, {buffers_at + 0x40, 80}, {tables_at, 32}};
  for_each_descriptor(first, 16, 2, [&](const GuestDescriptor& a) {
    for_each_descriptor(second, 8, 2, [&](const GuestDescriptor& b) { try_ring({a, b}, {0}); });
  });
}

TEST_P(SmallRing, OfTwoEntriesWithAnyHeads) {
  const std::vector<std::vector<std::uint16_t>> rows{{0, 1}, {1, 0}, {0, 0}, {2, 0}};
  for (const auto& heads : rows)
    for (const std::uint16_t start : std::initializer_list<std::uint16_t>{0, 0xffff}) {
      rings.start = start;
      for_each_descriptor(all_buffers(rings.header()), 8, 2, [&](const GuestDescriptor& one) {
        try_ring({one, good()}, heads);
      });
    }
}

TEST_P(SmallRing, OfFourEntriesLinkedInEveryWay) {
  constexpr std::uint32_t links = 6;  // none, to each of the four, behind them
  constexpr std::uint32_t graphs = links * links * links * links;
  for (std::uint32_t graph = 0; graph < graphs; ++graph)
    for (std::uint32_t lengths = 0; lengths < 16; ++lengths) {
      std::vector<GuestDescriptor> table;
      std::uint32_t rest = graph;
      for (std::uint32_t i = 0; i < 4; ++i, rest /= links) {
        const auto link = static_cast<std::uint16_t>(rest % links);
        const auto flags = static_cast<std::uint16_t>(rings.direction() | (link != 0 ? next_flag : 0));
        const std::uint32_t length = (lengths >> i & 1) != 0 ? 26U : 6U;
        table.push_back({buffers_at + 0x20 * i, length, flags, static_cast<std::uint16_t>(link == 0 ? 0 : link - 1)});
      }
      try_ring(table, {0});
      try_ring(table, {3, 2, 1, 0});
    }
}

TEST_P(SmallRing, AnyDistanceOfTheIndex) {
  for (const std::uint16_t size : std::initializer_list<std::uint16_t>{1, 2, 4})
    for (const std::uint16_t start : std::initializer_list<std::uint16_t>{0, 1, 0x7fff, 0xffff})
      for (std::uint32_t ahead = 0; ahead < 0xffff; ahead = ahead == 9u ? 0xfff0u : ahead + 1) {
        rings.start = start;
        rings.ahead = static_cast<std::uint16_t>(ahead);
        std::vector<std::uint16_t> heads;
        for (std::uint16_t i = 0; i < size; ++i) heads.push_back(i);
        try_ring(std::vector<GuestDescriptor>(size, good()), heads);
      }
}

}  // namespace
}  // namespace vhostx::net
