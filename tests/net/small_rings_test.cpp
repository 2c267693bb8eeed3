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
#include <array>
#include <cstdio>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "net/dequeue.hpp"
#include "net/enqueue.hpp"
#include "tests/net/ring_comparison.hpp"
#include "tests/net/ring_fixture.hpp"
#include "tests/support/eal.hpp"

namespace vhostx::net {
namespace {

using test::Bytes;
using test::FakeGuest;
using test::GuestDescriptor;

constexpr std::uint64_t ring_at = 0x10000;
constexpr std::uint64_t buffers_at = 0x20000;  // two regions of 0x100, neighbours for the guest
constexpr std::uint64_t border = buffers_at + 0x100;
constexpr std::uint64_t buffers_end = buffers_at + 0x200;
constexpr std::uint64_t tables_at = 0x30000;  // likewise
constexpr std::uint64_t tables_border = tables_at + 0x100;

struct Buffer {
  std::uint64_t address;
  std::uint32_t length;
};
/// By the net header's length: nothing, too little, all but a byte of it, it alone, it and an Ethernet header; at the
/// last byte, one too far, over a border, outside, wrapping; and what is a table behind INDIRECT: of one and of two
/// descriptors, over a border, of half a descriptor too much.
std::vector<Buffer> all_buffers(std::uint32_t header) {
  return {{buffers_at, 0},           {buffers_at, 1},
          {buffers_at, header - 1},  {buffers_at, header},
          {buffers_at, header + 14}, {buffers_end - 1, 1},
          {buffers_end - 1, 2},      {border - 8, header + 20},
          {0x5000, header + 14},     {0 - std::uint64_t{8}, header + 14},
          {tables_at, 16},           {tables_at, 32},
          {tables_border - 8, 32},   {tables_at, 24},
          {buffers_at, 0xffffffff}};
}

constexpr std::uint16_t next_flag = virtqueue::Descriptor::next_flag;
constexpr std::uint16_t write_flag = virtqueue::Descriptor::write_flag;

/// One driver's memory, and the comparison of all that can be done with it.
class SmallRings {
 public:
  explicit SmallRings(bool for_guest) : to_guest_(for_guest) { test::start_eal(); }

  /// The content of the ring's table, and which heads are available.
  void try_ring(const std::vector<GuestDescriptor>& table, const std::vector<std::uint16_t>& heads) {
    write_memory(table, heads);
    const test::WrittenRing written{guest_,      regions_, ring_at,  ring_at + 0x100,       ring_at + 0x200,
                                    size(table), start,    features, {.indirect = indirect}};
    ++cases_;
    const std::string difference = to_guest_ ? compare_enqueue(written, heads) : compare_dequeue(written, heads);
    ASSERT_EQ(difference, "") << describe(table, heads);
  }

  std::uint64_t cases() const { return cases_; }
  bool to_guest() const { return to_guest_; }
  std::uint16_t direction() const { return to_guest_ ? write_flag : std::uint16_t{0}; }
  std::uint32_t header() const { return header_length(features); }

  std::uint64_t features = feature_version_1 | feature_mrg_rxbuf;
  bool indirect = true;
  std::uint16_t start = 0;
  std::uint16_t ahead = 0xffff;  ///< avail->idx behind `start`, unless 0xffff: as many as there are heads.

 private:
  static std::uint32_t size(const std::vector<GuestDescriptor>& table) {
    return static_cast<std::uint32_t>(table.size());
  }

  void write_memory(const std::vector<GuestDescriptor>& table, const std::vector<std::uint16_t>& heads) {
    std::memset(guest_.at(ring_at), 0, 0x300);
    std::memcpy(guest_.at(ring_at), table.data(), table.size() * sizeof table[0]);
    auto* const avail = guest_.at_as<std::uint16_t>(ring_at + 0x100);
    for (std::size_t i = 0; i < heads.size(); ++i) avail[2 + (start + i) % table.size()] = heads[i];
    avail[1] = static_cast<std::uint16_t>(start + (ahead == 0xffff ? heads.size() : ahead));
    // Zeros where a net header may lie, numbers elsewhere.
    for (std::uint32_t i = 0; i < 0x100; ++i)
      guest_.at(buffers_at)[i] = static_cast<std::uint8_t>(i < 12 || i >= 0xf8 ? 0 : i);
    for (std::uint32_t i = 0; i < 0x100; ++i) guest_.at(border)[i] = static_cast<std::uint8_t>(i < 12 ? 0 : i * 3);
    const GuestDescriptor header{buffers_at, this->header(), static_cast<std::uint16_t>(next_flag | direction()), 1};
    const GuestDescriptor payload{border - 10, 40, direction(), 0};
    for (const std::uint64_t at : {tables_at, tables_border - 8}) {
      write(at, header);
      write(at + 16, payload);
    }
  }
  void write(std::uint64_t at, const GuestDescriptor& descriptor) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&descriptor);
    for (std::size_t i = 0; i < sizeof descriptor; ++i) *guest_.at(at + i) = bytes[i];
  }

  std::string compare_dequeue(const test::WrittenRing& written, const std::vector<std::uint16_t>& heads) {
    test::ComparedRing one(written, *memory_);
    std::array<rte_mbuf*, 8> mbufs;
    std::vector<Bytes> packets;
    for (std::size_t i = 0; i <= heads.size() && !one.broken(); ++i) {
      const auto taken = net::dequeue(one.context(), test::test_pool(), mbufs.data(), mbufs.size()).packets;
      for (std::uint16_t k = 0; k < taken; ++k) packets.push_back(test::bytes_of(mbufs[k]));
      rte_pktmbuf_free_bulk(mbufs.data(), taken);
    }
    if (jumps(written, heads))
      return one.cursor.fault.cause == VringFaultCause::avail_index_jump ? "" : "no jump was seen";
    const auto expected = test::model_dequeue(written.model(available(heads)));
    if (packets != expected.packets) return "other packets";
    return one.difference(expected);
  }

  std::string compare_enqueue(const test::WrittenRing& written, const std::vector<std::uint16_t>& heads) {
    static const std::vector<Bytes> packets{test::pattern(20, 1), test::pattern(60, 2)};
    static const std::array<rte_mbuf*, 2> mbufs{test::make_packet(test::test_pool(), packets[0]),
                                                test::make_packet(test::test_pool(), packets[1])};
    const auto before = memory();
    const auto expected = test::model_enqueue(written.model(available(heads)), packets);
    test::ComparedRing one(written, *memory_);
    const auto done = net::enqueue(one.context(), mbufs.data(), mbufs.size()).packets;
    if (jumps(written, heads))
      return one.cursor.fault.cause == VringFaultCause::avail_index_jump ? "" : "no jump was seen";
    if (expected.table_written) return "";  // what is seen of such a table depends on when it is looked at
    if (done != expected.done) return "done " + std::to_string(done) + ", expected " + std::to_string(expected.done);
    if (memory() != written_over(before, expected)) return "other bytes in the guest's memory";
    return one.difference(expected);
  }

  bool jumps(const test::WrittenRing& written, const std::vector<std::uint16_t>& heads) const {
    return (ahead == 0xffff ? heads.size() : ahead) > written.size;
  }
  std::vector<std::uint16_t> available(std::vector<std::uint16_t> heads) const {
    if (ahead != 0xffff && ahead < heads.size()) heads.resize(ahead);
    return heads;
  }

  /// What is no ring.
  Bytes memory() const {
    Bytes bytes;
    for (const std::uint64_t at : {buffers_at, border, tables_at, tables_border})
      bytes.insert(bytes.end(), guest_.at(at), guest_.at(at) + 0x100);
    return bytes;
  }
  static Bytes written_over(Bytes bytes, const test::ModelResult& expected) {
    for (const auto& [address, byte] : expected.memory)
      bytes[address < tables_at ? address - buffers_at : 0x200 + (address - tables_at)] = byte;
    return bytes;
  }

  std::string describe(const std::vector<GuestDescriptor>& table, const std::vector<std::uint16_t>& heads) const {
    std::string text = to_guest_ ? "to the guest, heads" : "from the guest, heads";
    for (const std::uint16_t head : heads) text += " " + std::to_string(head);
    for (const auto& one : table) {
      std::array<char, 96> line;
      std::snprintf(line.data(), line.size(), "; {%#llx, %#x, %#x, %u}", static_cast<unsigned long long>(one.address),
                    one.length, unsigned{one.flags}, unsigned{one.next});
      text += line.data();
    }
    return text;
  }

  const bool to_guest_;
  const std::vector<FakeGuest::Region> regions_{
      {ring_at, 0x300}, {buffers_at, 0x100}, {border, 0x100}, {tables_at, 0x100}, {tables_border, 0x100}};
  FakeGuest guest_{regions_};
  const std::shared_ptr<const memory::GuestMemory> memory_ = guest_.map();
  std::uint64_t cases_ = 0;
};

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
