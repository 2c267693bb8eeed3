// SPDX-License-Identifier: BSD-3-Clause
// A session that is observed, for tests of what is concluded from it.
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/tools/probe_events.hpp"
#include "tools/probe/session/session.hpp"

namespace vhostx::test {

using namespace protocol;
using namespace tools::probe;
using Request = FrontEndRequest;
using Way = Incoming;

inline std::vector<std::string> texts(const Decoded& decoded) {
  std::vector<std::string> texts;
  for (const auto& finding : decoded.findings) texts.push_back(finding.text);
  return texts;
}

inline bool says(const Decoded& decoded, const std::string& text) {
  for (const auto& finding : decoded.findings)
    if (finding.text.find(text) != std::string::npos) return true;
  return false;
}

#define EXPECT_SAYS(decoded, text) EXPECT_TRUE(says(decoded, text)) << ::testing::PrintToString(texts(decoded))
#define EXPECT_QUIET(decoded) EXPECT_EQ(texts(decoded), std::vector<std::string>{})

/// A session as a good front-end and a good back-end have it, up to memory and one ring.
class ProbeSession : public ::testing::Test {
 protected:
  Decoded request(Request id, auto payload, std::vector<FdFacts> fds = {}, std::uint32_t flags = 0) {
    return session.take(message_event(Way::front_end_requests, static_cast<std::uint32_t>(id), bytes_of(payload),
                                      std::move(fds), flags));
  }
  Decoded request(Request id) { return request(id, Nothing{}); }
  Decoded reply(Request id, auto payload, std::vector<FdFacts> fds = {}) {
    return session.take(message_event(Way::replies_to_front_end, static_cast<std::uint32_t>(id), bytes_of(payload),
                                      std::move(fds), Header::reply));
  }
  void negotiate(ProtocolFeatureSet chosen = {ProtocolFeature::reply_ack, ProtocolFeature::configure_mem_slots},
                 FeatureSet more = {}) {
    const FeatureSet features =
        more | FeatureSet{VirtioFeature::version_1, VirtioFeature::vhost_user_protocol_features};
    const ProtocolFeatureSet offered{ProtocolFeature::mq, ProtocolFeature::reply_ack,
                                     ProtocolFeature::configure_mem_slots, ProtocolFeature::pagefault};
    request(Request::get_features);
    reply(Request::get_features, U64{features.bits()});
    request(Request::get_protocol_features);
    reply(Request::get_protocol_features, U64{offered.bits()});
    request(Request::set_protocol_features, U64{chosen.bits()});
    request(Request::set_owner);
    request(Request::set_features, U64{features.bits()});
  }
  Decoded add_region(MemoryRegion region = {0x1000, 0x10000, 0x7000'0000, 0}, std::uint64_t file_bytes = 0x10000) {
    return request(Request::add_mem_reg, SingleMemoryRegion{0, region}, {memfd(file_bytes)});
  }
  void configure_ring() {
    request(Request::set_vring_num, VringState{0, 256});
    request(Request::set_vring_base, VringState{0, 7});
    request(Request::set_vring_addr, VringAddress{0, 0, 0x7000'0000, 0x7000'2000, 0x7000'1000, 0});
  }

  Session session;
};

}  // namespace vhostx::test
