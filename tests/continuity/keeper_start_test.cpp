// SPDX-License-Identifier: BSD-3-Clause
// A keeper starts: its socket's file, others that start beside it, and how much it may hold.
#include <cstring>
#include <fcntl.h>
#include <future>
#include <unistd.h>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "keeper_fixture.hpp"

namespace vhostx::continuity {
namespace {

TEST_F(KeeperTest, AStaleFileIsReplacedAndALiveOneIsNot) {
  {
    const UniqueFd stale(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    ASSERT_EQ(::bind(stale.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  KeeperThread keeper(options());
  client();
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
  const auto second = Keeper::create(options());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::busy);
  EXPECT_EQ(second.error().message, "'" + path_ + "' is in use: this process listens on it");
  client();
}

TEST_F(KeeperTest, WhatIsNoKeepersSocketStays) {
  const UniqueFd file(::open(path_.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  EXPECT_EQ(Keeper::create(options()).error().message, "'" + path_ + "' exists and is no socket: it is not replaced");
  EXPECT_EQ(::access(path_.c_str(), F_OK), 0);
  auto elsewhere = options();
  elsewhere.path = folder_.path("missing/keeper.sock");
  EXPECT_EQ(Keeper::create(elsewhere).error().code, ErrorCode::system);
  elsewhere.path = std::string(108, 'x');
  EXPECT_EQ(Keeper::create(elsewhere).error().code, ErrorCode::invalid_argument);
}

TEST_F(KeeperTest, OfSeveralThatStartAtOnceOneIsTheKeeper) {
  for (int round = 0; round < 20; ++round) {
    std::vector<std::future<Result<std::unique_ptr<Keeper>>>> all;
    for (int i = 0; i < 6; ++i)
      all.push_back(std::async(std::launch::async, [this] { return Keeper::create(options()); }));
    int made = 0;
    std::vector<Result<std::unique_ptr<Keeper>>> keepers;
    for (auto& one : all) keepers.push_back(one.get());
    for (const auto& keeper : keepers) made += keeper.ok() ? 1 : 0;
    EXPECT_EQ(made, 1);
  }
}

TEST_F(KeeperTest, ItHoldsWhatTheProcessMayOpen) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit low = before;
  low.rlim_cur = 500;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  const auto none = Keeper::create(options());
  low.rlim_cur = 992;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  const auto some = Keeper::create(options());
  EXPECT_TRUE(raise_descriptor_limit().ok());
  rlimit raised{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &raised), 0);
  EXPECT_EQ(raised.rlim_cur, raised.rlim_max);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().message, "the process may open 500 descriptors (ulimit -n), expected more than 893");
  ASSERT_TRUE(some.ok()) << some.error().message;
  EXPECT_EQ(some.value()->descriptors_max(), 99u);
}

}  // namespace
}  // namespace vhostx::continuity
