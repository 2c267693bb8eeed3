// SPDX-License-Identifier: BSD-3-Clause
// Flow hashes: equal within a flow, spread between flows, bounded by the segment.
#include "tools/switch/flow_hash.hpp"

#include <array>
#include <cstring>
#include <map>

#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include "tools/switch/packet_template.hpp"

namespace vhostx::tools {
namespace {

/// An mbuf header over bytes; nothing else of it is looked at.
std::uint32_t hash_of(std::vector<std::byte>& frame, std::size_t length) {
  rte_mbuf packet{};
  packet.buf_addr = frame.data();
  packet.data_len = static_cast<std::uint16_t>(length);
  return flow_hash(&packet);
}
std::uint32_t hash_of(std::vector<std::byte> frame) { return hash_of(frame, frame.size()); }

std::vector<std::byte> tagged(const std::vector<std::byte>& frame, std::size_t tags) {
  auto out = frame;
  for (; tags != 0; --tags) {
    const std::array<std::byte, 4> tag{std::byte{0x81}, std::byte{0}, std::byte{0}, std::byte{5}};
    out.insert(out.begin() + 12, tag.begin(), tag.end());
  }
  return out;
}

TEST(FlowHash, SpreadsFlowsOverQueues) {
  for (const unsigned queues : {2u, 3u, 4u, 8u}) {
    std::map<std::uint32_t, int> seen;
    for (std::uint16_t flow = 0; flow < 1000; ++flow) ++seen[hash_of(udp_frame(100, flow)) % queues];
    ASSERT_EQ(seen.size(), queues);
    for (const auto& [queue, count] : seen) EXPECT_NEAR(count, 1000.0 / queues, 1000.0 / queues * 0.35) << queue;
  }
}

TEST(FlowHash, SpreadsAServersAnswersToAClientWithEvenPorts) {
  constexpr std::size_t destination_port = 14 + 20 + 2;
  std::map<std::uint32_t, int> seen;
  for (unsigned flow = 0; flow < 1000; ++flow) {
    const unsigned port = 32768 + 2 * flow;  // as Linux gives them out to connect()
    auto frame = udp_frame(100, 0);
    frame[destination_port] = std::byte(port >> 8);
    frame[destination_port + 1] = std::byte(port & 0xff);
    ++seen[hash_of(frame) % 2];
  }
  EXPECT_NEAR(seen[0], 500, 175);
}

TEST(FlowHash, IsTheSameForAllPacketsOfAFlow) {
  for (std::size_t tags = 0; tags <= 2; ++tags) {
    const auto small = tagged(udp_frame(60, 7), tags);
    const auto large = tagged(udp_frame(1500, 7), tags);
    EXPECT_EQ(hash_of(small), hash_of(large));
    EXPECT_EQ(hash_of(small), hash_of(udp_frame(60, 7)));
  }
}

TEST(FlowHash, FragmentsOfAPacketStayTogether) {
  auto first = udp_frame(200, 1);
  auto later = udp_frame(200, 2);  // what stands there is payload, not ports
  first[20] = std::byte{0x20};     // more fragments
  later[21] = std::byte{0x10};     // an offset
  EXPECT_EQ(hash_of(first), hash_of(later));
}

TEST(FlowHash, ReadsNothingPastTheSegment) {
  const auto whole = udp_frame(60, 3);
  for (std::size_t length = 14; length <= whole.size(); ++length) {
    // Exactly as long as said: a sanitizer sees a byte too many.
    std::vector<std::byte> frame(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    frame.shrink_to_fit();
    hash_of(frame, length);
  }
}

TEST(FlowHash, OtherProtocolsGoByTheirStations) {
  auto frame = udp_frame(60, 1);
  frame[12] = std::byte{0x88};
  frame[13] = std::byte{0xcc};
  auto other = frame;
  EXPECT_EQ(hash_of(frame), hash_of(other));
  other[11] = std::byte{9};
  EXPECT_NE(hash_of(frame), hash_of(other));
}

}  // namespace
}  // namespace vhostx::tools
