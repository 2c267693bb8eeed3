// SPDX-License-Identifier: BSD-3-Clause
// Frames that vhostx-bench sends are valid, and what happens to them on the way is found.
#include <vector>

#include <gtest/gtest.h>

#include "tools/bench/frame.hpp"

namespace vhostx::tools::bench {
namespace {

using Kind = Inspected::Kind;

FrameSpec spec_of(std::uint32_t bytes, std::uint16_t segment_bytes = 0) {
  return {{2, 0, 0, 0, 0, 2}, {2, 0, 0, 0, 0, 1}, bytes, 1234, segment_bytes};
}

std::vector<std::uint8_t> frame_of(const FrameTemplate& form, std::uint64_t number, std::uint64_t time_ns = 99) {
  std::vector<std::uint8_t> frame(form.bytes());
  form.lay_out(frame.data());
  form.stamp(frame.data(), number, time_ns);
  return frame;
}

Inspected look(const std::vector<std::uint8_t>& frame, Check check = Check::full) {
  return inspect(frame.data(), static_cast<std::uint32_t>(frame.size()), check);
}

unsigned big16(const std::vector<std::uint8_t>& frame, std::size_t at) { return frame[at] * 256U + frame[at + 1]; }

/// RFC 1071 over [begin, end), with a start value: 0xffff when the checksum in it is right.
unsigned internet_sum(const std::vector<std::uint8_t>& frame, std::size_t begin, std::size_t end, unsigned sum = 0) {
  for (std::size_t i = begin; i < end; i += 2) sum += frame[i] * 256U + (i + 1 < end ? frame[i + 1] : 0U);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

TEST(BenchFrame, OfAnyLengthArrivesAsItWasSent) {
  for (std::uint32_t bytes : {64U, 65U, 71U, 72U, 73U, 128U, 319U, 320U, 321U, 328U, 1518U, 9000U, frame_bytes_max}) {
    const FrameTemplate form(spec_of(bytes));
    const auto seen = look(frame_of(form, 0x1'0000'0001, 0xabcdef));
    ASSERT_EQ(seen.kind, Kind::intact) << bytes;
    EXPECT_EQ(seen.stream, 1234U);
    EXPECT_EQ(seen.number, 0x1'0000'0001U);
    EXPECT_EQ(seen.time_ns, 0xabcdefU);
  }
}

TEST(BenchFrame, HasHeadersThatABackEndPasses) {
  const auto frame = frame_of(FrameTemplate(spec_of(1000)), 5);
  EXPECT_EQ(big16(frame, 12), 0x0800U);
  EXPECT_EQ(big16(frame, 16), 1000U - 14);  // IPv4 total length
  EXPECT_EQ(internet_sum(frame, 14, 34), 0xffffU);
  EXPECT_EQ(frame[23], 17);
  EXPECT_EQ(big16(frame, 38), 1000U - 34);  // UDP length
}

TEST(BenchFrame, ToBeSegmentedAsksForItAndHasThePseudoHeadersSum) {
  const FrameTemplate form(spec_of(65536, 1448));
  const auto frame = frame_of(form, 5);
  EXPECT_EQ(look(frame).kind, Kind::intact);
  EXPECT_EQ(form.header().flags, VirtioNetHeader::needs_checksum_flag);
  EXPECT_EQ(form.header().gso_type, VirtioNetHeader::gso_tcp4);
  EXPECT_EQ(form.header().gso_size, 1448);
  EXPECT_EQ(form.header().header_length, 54);
  EXPECT_EQ(form.header().checksum_start, 34);
  EXPECT_EQ(form.header().checksum_offset, 16);
  EXPECT_EQ(big16(frame, 34 + 16), internet_sum(frame, 26, 34, 6 + 65536 - 34));
}

TEST(BenchFrame, ShowsEveryByteThatChanged) {
  for (std::uint32_t bytes : {64U, 333U, 1518U}) {
    const FrameTemplate form(spec_of(bytes));
    auto frame = frame_of(form, 77);
    for (std::size_t at = 44; at < bytes; ++at) {
      frame[at] ^= 0x10;
      EXPECT_EQ(look(frame).kind, Kind::damaged) << at << " of " << bytes;
      frame[at] ^= 0x10;
    }
    EXPECT_EQ(look(frame).kind, Kind::intact);
  }
}

TEST(BenchFrame, ShowsATailThatIsMissing) {
  auto frame = frame_of(FrameTemplate(spec_of(1518)), 3);
  frame.pop_back();
  EXPECT_EQ(look(frame).kind, Kind::damaged);
  EXPECT_EQ(look(frame, Check::head).kind, Kind::damaged);
}

TEST(BenchFrame, ShowsAPieceOfAnotherPacket) {
  const FrameTemplate form(spec_of(1518));
  const auto before = frame_of(form, 3);
  for (std::size_t at = 64; at + 256 <= 1518; at += 256) {
    auto frame = frame_of(form, 4);
    std::copy_n(before.begin() + static_cast<std::ptrdiff_t>(at), 256, frame.begin() + static_cast<std::ptrdiff_t>(at));
    EXPECT_EQ(look(frame).kind, Kind::damaged) << at;
    EXPECT_EQ(look(frame, Check::head).kind, Kind::intact);
  }
}

TEST(BenchFrame, ShowsWordsThatChangedPlaces) {
  auto frame = frame_of(FrameTemplate(spec_of(512)), 4);
  std::swap_ranges(frame.begin() + 72, frame.begin() + 80, frame.begin() + 80);
  EXPECT_EQ(look(frame).kind, Kind::damaged);
}

TEST(BenchFrame, OfOthersIsForeign) {
  EXPECT_EQ(look(std::vector<std::uint8_t>(60)).kind, Kind::foreign);
  EXPECT_EQ(look(std::vector<std::uint8_t>(1518, 0xff)).kind, Kind::foreign);
  auto frame = frame_of(FrameTemplate(spec_of(64)), 0);
  frame[13] = 6;  // ARP
  EXPECT_EQ(look(frame).kind, Kind::foreign);
}

}  // namespace
}  // namespace vhostx::tools::bench
