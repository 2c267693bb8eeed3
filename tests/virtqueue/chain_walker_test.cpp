// SPDX-License-Identifier: BSD-3-Clause
// Descriptor chains, legal and not (VIRTIO 1.2, 2.7.5).
#include "virtqueue/chain_walker.hpp"

#include <string>

#include <gtest/gtest.h>

#include "tests/support/fake_driver.hpp"

namespace vhostx::virtqueue {
namespace {

using memory::HostSpan;
using test::bytes;
using test::FakeDriver;
using test::FakeGuest;
using test::GuestDescriptor;

constexpr std::uint64_t low = 0x4000'0000;
constexpr std::uint64_t region_size = 1 << 20;
constexpr std::uint64_t high = low + region_size;  // the neighbour: contiguous for the guest, another mapping for us

struct Walk {
  std::string text;  // of all buffers, when the chain is good
  int pieces = 0;
  VringFault fault;
  bool invalid() const { return fault.cause != VringFaultCause::none; }
};

class ChainWalkerTest : public ::testing::Test {
 protected:
  Walk walk(std::uint16_t head, Direction direction = Direction::readable) {
    return direction == Direction::readable ? walk_as<Direction::readable>(head) : walk_as<Direction::writable>(head);
  }
  static HostSpan seen(const HostSpan& span) { return span; }
  static HostSpan seen(const memory::WritableSpan& span) { return {span.data(), span.size()}; }
  template <Direction direction>
  Walk walk_as(std::uint16_t head) {
    using Walker = ChainWalker<direction>;
    memory::GuestMemory::Hint hint;
    virtqueue::WalkMeter meter;
    Walker walker(layout_, *memory_, hint, meter, {.id = head, .first = layout_.descriptor(head)});
    Walk result;
    for (typename Walker::Span span;;) {
      const auto step = walker.next(span);
      if (step == Walker::Step::invalid) result.fault = walker.fault();
      if (step != Walker::Step::buffer) return result;
      result.text.append(reinterpret_cast<const char*>(seen(span).data), seen(span).size);
      ++result.pieces;
    }
  }
  VringFaultCause cause(std::uint16_t head, Direction direction = Direction::readable) {
    return walk(head, direction).fault.cause;
  }
  /// An indirect table as written here, at a guest address.
  std::uint64_t table(std::initializer_list<GuestDescriptor> entries) {
    const std::uint64_t address = guest_.allocate(entries.size() * 16, 16);
    std::copy(entries.begin(), entries.end(), guest_.at_as<GuestDescriptor>(address));
    return address;
  }

  FakeGuest guest_{{{low, region_size}, {high, region_size}}};
  FakeDriver driver_{guest_, 8, {.indirect = true}};
  std::shared_ptr<const memory::GuestMemory> memory_ = guest_.map();
  RingLayout layout_ = *driver_.lay_out(*memory_);
};

TEST_F(ChainWalkerTest, OneBuffer) {
  const Walk one = walk(driver_.chain().readable(bytes("packet")).publish());
  EXPECT_FALSE(one.invalid());
  EXPECT_EQ(one.text, "packet");
}

TEST_F(ChainWalkerTest, AsManyAsTheRingHas) {
  auto chain = driver_.chain();
  for (int i = 0; i < 8; ++i) chain.readable(bytes("ab"));
  EXPECT_EQ(walk(chain.publish()).text, "abababababababab");
}

TEST_F(ChainWalkerTest, EmptyBuffersArePassedOver) {
  const Walk some = walk(driver_.chain().readable({}).readable(bytes("x")).readable({}).publish());
  EXPECT_EQ(some.text, "x");
  EXPECT_EQ(some.pieces, 1);
}

TEST_F(ChainWalkerTest, ABufferOverABorderOfRegionsComesInTwoPieces) {
  std::copy_n("front", 5, guest_.at(high - 5));
  std::copy_n("back", 4, guest_.at(high));
  const Walk both = walk(driver_.chain().raw(high - 5, 9).publish());
  EXPECT_EQ(both.text, "frontback");
  EXPECT_EQ(both.pieces, 2);
}

TEST_F(ChainWalkerTest, Indirect) {
  EXPECT_EQ(walk(driver_.chain().indirect().readable(bytes("in")).readable(bytes("direct")).publish()).text,
            "indirect");
}

// 2.7.5.3.1 forbids INDIRECT together with NEXT, so that a table may end a chain but not begin one.
TEST_F(ChainWalkerTest, ATableMayFollowDirectDescriptors) {
  const std::uint64_t name = guest_.allocate(4);
  std::copy_n("tail", 4, guest_.at(name));
  const std::uint64_t tail = table({{name, 4, 0, 0}});
  const auto head = driver_.chain().readable(bytes("head")).raw(tail, 16, Descriptor::indirect_flag).publish();
  EXPECT_EQ(walk(head).text, "headtail");
}

TEST_F(ChainWalkerTest, ATableMayLieAcrossABorderOfRegions) {
  const std::uint64_t name = guest_.allocate(4);
  std::copy_n("over", 4, guest_.at(name));
  for (std::uint64_t before = 0; before <= 32; ++before) {  // unaligned tables too
    const GuestDescriptor entries[2] = {{name, 2, Descriptor::next_flag, 1}, {name + 2, 2, 0, 0}};
    const auto* raw = reinterpret_cast<const std::uint8_t*>(entries);
    for (std::uint64_t i = 0; i < sizeof entries; ++i) *guest_.at(high - before + i) = raw[i];
    driver_.descriptor(7) = {high - before, 32, Descriptor::indirect_flag, 0};
    EXPECT_EQ(walk(7).text, "over") << before;
  }
}

TEST_F(ChainWalkerTest, WrongDirection) {
  const auto mixed = driver_.chain().readable(bytes("a")).writable(4).publish();
  EXPECT_EQ(cause(mixed), VringFaultCause::wrong_direction);
  EXPECT_EQ(cause(mixed, Direction::writable), VringFaultCause::wrong_direction);
  EXPECT_EQ(cause(driver_.chain().writable(4).publish(), Direction::writable), VringFaultCause::none);
}

TEST_F(ChainWalkerTest, OutsideMemory) {
  for (const auto& [address, length] : {std::pair<std::uint64_t, std::uint32_t>{0, 1},
                                        {low - 1, 2},
                                        {high + region_size - 1, 2},
                                        {high + region_size, 1},
                                        {low, 0xffff'ffff},
                                        {0xffff'ffff'ffff'ffff, 2}}) {
    driver_.descriptor(0) = {address, length, 0, 0};
    const Walk outside = walk(0);
    EXPECT_EQ(outside.fault.cause, VringFaultCause::outside_memory) << address;
  }
  driver_.descriptor(0) = {high + region_size - 1, 1, 0, 0};
  EXPECT_FALSE(walk(0).invalid());  // the last byte is memory
}

TEST_F(ChainWalkerTest, NextOutsideTheTable) {
  const std::uint64_t page = guest_.allocate(64);
  driver_.descriptor(0) = {page, 4, Descriptor::next_flag, 8};
  const Walk direct = walk(0);
  EXPECT_EQ(direct.fault.cause, VringFaultCause::bad_next);
  EXPECT_EQ(direct.fault.a, 8U);
  EXPECT_EQ(direct.fault.b, 8U);
  driver_.descriptor(1) = {table({{page, 4, Descriptor::next_flag, 2}, {page, 4, 0, 0}}), 32, Descriptor::indirect_flag,
                           0};
  EXPECT_EQ(cause(1), VringFaultCause::bad_next);  // inside the ring, outside this table
}

TEST_F(ChainWalkerTest, LoopsEnd) {
  const std::uint64_t page = guest_.allocate(64);
  driver_.descriptor(0) = {page, 4, Descriptor::next_flag, 0};
  EXPECT_EQ(cause(0), VringFaultCause::chain_too_long);
  driver_.descriptor(1) = {page, 0, Descriptor::next_flag, 2};  // a loop without a byte in it
  driver_.descriptor(2) = {page, 0, Descriptor::next_flag, 1};
  EXPECT_EQ(cause(1), VringFaultCause::chain_too_long);
  driver_.descriptor(3) = {table({{page, 0, Descriptor::next_flag, 0}}), 16, Descriptor::indirect_flag, 0};
  EXPECT_EQ(cause(3), VringFaultCause::chain_too_long);
}

// 2.7.5.3.1: no chain is longer than the ring, whichever table it stands in.
TEST_F(ChainWalkerTest, ATableHoldsNoMoreThanTheRing) {
  for (const int length : {8, 9}) {
    auto chain = driver_.chain().indirect();
    for (int i = 0; i < length; ++i) chain.readable(bytes("x"));
    const Walk walked = walk(chain.publish());
    EXPECT_EQ(walked.fault.cause, length == 8 ? VringFaultCause::none : VringFaultCause::chain_too_long);
    EXPECT_EQ(walked.pieces, 8);
  }
}

TEST_F(ChainWalkerTest, BadTables) {
  const std::uint64_t page = guest_.allocate(64);
  const std::uint64_t good = table({{page, 4, 0, 0}, {page, 4, 0, 0}});
  const auto with = [this](std::uint64_t address, std::uint32_t length, std::uint16_t flags) {
    driver_.descriptor(0) = {address, length, flags, 1};
    driver_.descriptor(1) = {address, 4, 0, 0};
    return cause(0);
  };
  EXPECT_EQ(with(good, 32, Descriptor::indirect_flag), VringFaultCause::none);
  for (std::uint32_t length : {0U, 1U, 15U, 17U, 31U, 0xffff'ffffU})
    EXPECT_EQ(with(good, length, Descriptor::indirect_flag), VringFaultCause::bad_indirect) << length;
  EXPECT_EQ(with(good, 16, Descriptor::indirect_flag | Descriptor::next_flag), VringFaultCause::bad_indirect);
  EXPECT_EQ(with(0, 16, Descriptor::indirect_flag), VringFaultCause::outside_memory);
  EXPECT_EQ(with(high + region_size - 8, 16, Descriptor::indirect_flag), VringFaultCause::outside_memory);
  EXPECT_EQ(with(table({{good, 16, Descriptor::indirect_flag, 0}}), 16, Descriptor::indirect_flag),
            VringFaultCause::bad_indirect);
  const std::uint64_t later = table({{page, 4, Descriptor::next_flag, 1}, {good, 16, Descriptor::indirect_flag, 0}});
  EXPECT_EQ(with(later, 32, Descriptor::indirect_flag), VringFaultCause::bad_indirect);
  // 4 GiB of table of which only the first entry is used: its length is a multiple of 16, and that is all that is
  // asked.
  EXPECT_EQ(with(good, 0xffff'fff0, Descriptor::indirect_flag), VringFaultCause::none);
}

TEST_F(ChainWalkerTest, IndirectNeedsItsFeature) {
  layout_.features.indirect = false;
  EXPECT_EQ(cause(driver_.chain().indirect().readable(bytes("x")).publish()), VringFaultCause::indirect_unsupported);
}

}  // namespace
}  // namespace vhostx::virtqueue
