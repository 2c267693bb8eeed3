// SPDX-License-Identifier: BSD-3-Clause
// The back-end that stands in, with its thread.
#include <array>
#include <poll.h>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/tools/probe_events.hpp"
#include "tools/front_end/config_messages.hpp"
#include "tools/front_end/front_end.hpp"
#include "tools/probe/listen/stand_in.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using namespace tools::probe;

TEST(ProbeStandIn, AnswersWhatItIsAsked) {
  auto [front, back] = socket_pair();
  StandInOptions options{stand_in_features(), stand_in_protocol_features(), 4, 32, 9000};
  StandIn stand_in(std::move(back), options);
  tools::FrontEnd front_end(std::move(front));
  ASSERT_TRUE(front_end.negotiate(stand_in_features(), stand_in_protocol_features()));
  EXPECT_EQ(front_end.features(), stand_in_features());
  EXPECT_EQ(front_end.get_u64(FrontEndRequest::get_queue_num).value(), 4U);
  EXPECT_EQ(front_end.get_u64(FrontEndRequest::get_max_mem_slots).value(), 32U);
  EXPECT_TRUE(front_end.set_u64(FrontEndRequest::set_status, 15));
  EXPECT_EQ(front_end.get_u64(FrontEndRequest::get_status).value(), 15U);
  EXPECT_TRUE(front_end.set_vring(FrontEndRequest::set_vring_base, 1, 77));
  EXPECT_EQ(front_end.get_vring_base(1).value(), 77U);
  EXPECT_EQ(front_end.acknowledged(make_request(FrontEndRequest::get_shared_object, SharedObject{})).value(), 1U);
}

TEST(ProbeStandIn, HasConfigAndInFlightMemory) {
  auto [front, back] = socket_pair();
  StandIn stand_in(std::move(back), {stand_in_features(), stand_in_protocol_features(), 4, 32, 9000});
  const auto config =
      stand_in.answer(make_config_request(FrontEndRequest::get_config, {10, 2, 0}, std::array<std::byte, 2>{}));
  ASSERT_TRUE(config);
  EXPECT_EQ(config->payload_padded_as<Config>().bytes[0], 9000 & 0xff);
  const auto beyond =
      stand_in.answer(make_config_request(FrontEndRequest::get_config, {255, 2, 0}, std::array<std::byte, 2>{}));
  ASSERT_TRUE(beyond);
  EXPECT_EQ(beyond->payload().size(), sizeof(ConfigHeader)) << "no bytes: an error";
  const auto memory = stand_in.answer(make_request(FrontEndRequest::get_inflight_fd, Inflight{0, 0, 2, 256, 0}));
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->fd_count(), 1U);
  EXPECT_TRUE(check_message(Incoming::replies_to_front_end, *memory));
}

TEST(ProbeStandIn, EndsWithRubbish) {
  auto [front, back] = socket_pair();
  const StandIn stand_in(std::move(back), {});
  const std::array<std::byte, 12> rubbish{std::byte{0xff}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff},
                                          std::byte{0xff}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff},
                                          std::byte{0xff}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff}};
  ASSERT_EQ(::send(front.get(), rubbish.data(), rubbish.size(), 0), 12);
  pollfd watched{front.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&watched, 1, 10'000), 1);
  char byte = 0;
  EXPECT_EQ(::recv(front.get(), &byte, 1, MSG_DONTWAIT), 0);
}

}  // namespace
}  // namespace vhostx::test
