// SPDX-License-Identifier: BSD-3-Clause
// Descriptors that come with bytes: kept where there is room, closed where there is none, never lost track of.
#include "protocol/socket_io.hpp"

#include <array>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "tests/protocol/open_fds.hpp"
#include "tests/support/slow_releases.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;

std::vector<UniqueFd> memfds(std::size_t count) {
  std::vector<UniqueFd> fds;
  for (std::size_t i = 0; i < count; ++i) fds.emplace_back(::memfd_create("some", MFD_CLOEXEC));
  return fds;
}

class SocketIo : public ::testing::Test {
 protected:
  SocketIo() {
    std::array<int, 2> made{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, made.data()) != 0) throw std::runtime_error("socketpair");
    ends = {UniqueFd(made[0]), UniqueFd(made[1])};
  }
  void send(std::size_t fds) {
    ASSERT_EQ(transmit(ends[0].get(), std::as_bytes(std::span("x", 1)), memfds(fds), Blocking::no).bytes, 1U);
  }

  std::array<UniqueFd, 2> ends;
  std::array<std::byte, 16> into{};
};

TEST_F(SocketIo, WhatAListHasNoRoomForIsClosedAndTold) {
  FdList list;
  for (UniqueFd& fd : memfds(fds_max - 1)) list.add(std::move(fd));
  const auto before = open_fds();
  send(4);
  const Transfer got = receive(ends[1].get(), into, list, Blocking::no);
  EXPECT_EQ(got.bytes, 1U);
  EXPECT_TRUE(got.fds_lost);
  EXPECT_EQ(list.size(), fds_max);
  EXPECT_EQ(open_fds(), before + 1) << "one was kept, three are closed";
}

// Closed by the kernel inside of recvmsg(), or by us afterwards, the last one would keep us for ten minutes.
TEST_F(SocketIo, TheNinthDescriptorIsNotClosedHere) {
  auto pool = std::make_shared<ReleasePool>();
  auto releases = std::make_shared<Releases>(pool);
  LingeringSocket slow;
  std::vector<UniqueFd> sent = memfds(fds_max);
  sent.push_back(slow.take());
  ASSERT_EQ(transmit(ends[0].get(), std::as_bytes(std::span("x", 1)), sent, Blocking::no).bytes, 1U);
  ::close(sent.back().release());  // in flight there is another one
  FdList list;
  EXPECT_TRUE(receive(ends[1].get(), into, list, Blocking::no, releases.get()).fds_lost);
  UniqueFd(ends[1].release(), releases->ticket()).reset();
  list.clear();
  while (releases->pending() != 1 || releases->held_up() != 1) std::this_thread::yield();
  slow.let_go();
  while (releases->pending() != 0) std::this_thread::yield();
  pool->finish();
}

TEST_F(SocketIo, AllThatAMessageCanHaveIsReleased) {
  auto pool = std::make_shared<ReleasePool>();
  auto releases = std::make_shared<Releases>(pool);
  const auto before = open_fds();
  send(fds_of_a_message_max);
  FdList list;
  EXPECT_TRUE(receive(ends[1].get(), into, list, Blocking::no, releases.get()).fds_lost);
  EXPECT_EQ(list.size(), fds_max);
  while (releases->pending() != 0) std::this_thread::yield();
  EXPECT_EQ(open_fds(), before + static_cast<std::ptrdiff_t>(fds_max));
  list.clear();
  while (releases->pending() != 0) std::this_thread::yield();
  EXPECT_EQ(open_fds(), before);
  pool->finish();
}

TEST_F(SocketIo, AVectorTakesAllThatTheKernelLetsThrough) {
  send(fds_of_a_message_max);
  std::vector<UniqueFd> fds;
  const Transfer got = receive(ends[1].get(), into, fds, Blocking::no);
  EXPECT_FALSE(got.fds_lost);
  EXPECT_EQ(fds.size(), fds_of_a_message_max);
}

}  // namespace
}  // namespace vhostx::test
