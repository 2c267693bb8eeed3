// SPDX-License-Identifier: BSD-3-Clause
// Attacks on what a keeper holds of a port, and on the port that comes to it: by other clients, by the front-end, by
// its guest, and by whoever could write to the keeper. Another port of the same keeper notices nothing.
#include "tests/hostile/keeper_attacks.hpp"

#include <array>
#include <atomic>
#include <fcntl.h>
#include <memory>
#include <poll.h>
#include <random>
#include <string>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "continuity/packet_socket.hpp"
#include "protocol/codec.hpp"

namespace vhostx::test {
namespace {

using continuity::ChildProcess;
using continuity::ClaimHow;
using continuity::FailedEvent;
using protocol::FrontEndRequest;

TEST_F(KeeperAttacks, WhoIsNotTheOwnerChangesNothing) {
  serve();
  auto attacker = client();
  const auto file = continuity::memory_file();
  must(attacker.hold(socket_, record_slot, file.get()));
  must(attacker.hold(socket_, continuity::front_end_slot, file.get()));
  must(attacker.drop(socket_, first_slot));
  must(attacker.forget(socket_));
  must(attacker.release(socket_));
  must(attacker.park(socket_, std::chrono::milliseconds(0)));
  for (int i = 0; i < 6; ++i) EXPECT_EQ(next<FailedEvent>(attacker).error.code, ErrorCode::busy);
  const auto refused = attacker.claim(socket_, ClaimHow::now);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::busy);
  kill();
  expect_adopted(*take_over());
}

TEST_F(KeeperAttacks, AClientThatFloodsHoldsUpNobody) {
  serve();
  std::vector<UniqueFd> flooders;
  for (int i = 0; i < 8; ++i) {
    flooders.push_back(continuity::make_packet_socket().value());
    ASSERT_EQ(continuity::connect_to_path(flooders.back().get(), path_), 0);
    const auto say = [&](const continuity::Request& request) {
      return continuity::send_packet(flooders.back().get(), encode(continuity::Tagged<continuity::Request>{1, request}),
                                     {});
    };
    ASSERT_EQ(say(continuity::Hello{}), 0);
    const continuity::Request asks = i % 2 == 0 ? continuity::Request{continuity::List{}}
                                                : continuity::Request{continuity::Look{socket_, record_slot, 0}};
    while (say(asks) == 0) {  // whose answers are not read
    }
  }
  for (int i = 0; i < 50; ++i) machine_->send_fds(0);
  machine_->sync();
  expect_victim_unharmed();
  kill();
  expect_adopted(*take_over());
}

/// It has the port's own records as copies, and nothing that is the front-end's.
TEST_F(KeeperAttacks, WhoLooksChangesNothingAndSeesNoGuest) {
  serve();
  auto looker = client();
  for (std::uint32_t slot = 0; slot < 40; ++slot) {
    const auto bytes = looker.look(socket_, slot, 0, 1 << 20);
    EXPECT_EQ(bytes.ok(), slot == record_slot || slot == continuity::own_inflight_slot) << slot;
  }
  for (const std::uint64_t offset : {std::uint64_t{1}, std::uint64_t{1} << 40, UINT64_MAX})
    EXPECT_TRUE(looker.look(socket_, record_slot, offset, 100).ok());
  EXPECT_FALSE(looker.look(folder_.path("nobody"), record_slot, 0, 1).ok());
  const auto seen = continuity::SessionRecord::read_copy(*looker.look(socket_, record_slot, 0, 1 << 20));
  ASSERT_TRUE(seen.ok()) << seen.error().message;
  EXPECT_EQ(seen->state.rings.size(), 2U);
  kill();
  expect_adopted(*take_over());
}

/// Each copy is a record that was written, or is refused.
TEST_F(KeeperAttacks, ARecordThatChangesWhileItIsCopiedIsWholeOrRefused) {
  auto owner = client();
  constexpr std::uint32_t rings = 256;
  auto record = must(continuity::SessionRecord::create({.rings = rings, .regions = 509}));
  must(owner.claim("changing", ClaimHow::now));
  must(owner.hold("changing", record_slot, record.fd()));
  settle(owner);
  std::atomic<bool> ends = false;
  std::thread writer([&] {
    for (std::uint32_t round = 0; !ends; ++round) {
      continuity::SessionState state;
      state.rings.resize(rings, {.size = round, .base = round});
      static_cast<void>(record.write(state));
    }
  });
  auto looker = client();
  for (int round = 0; round < 500; ++round) {
    const auto seen = continuity::SessionRecord::read_copy(*looker.look("changing", record_slot, 0, 1 << 20));
    if (!seen) continue;
    for (const auto& ring : seen->state.rings) {
      EXPECT_EQ(ring.size, seen->state.rings[0].size);
      EXPECT_EQ(ring.base, seen->state.rings[0].size);
    }
  }
  ends = true;
  writer.join();
}

/// Its socket fills, then it waits; afterwards all is answered, in order.
TEST_F(KeeperAttacks, AFrontEndThatGoesOnSendingIsAnsweredInOrder) {
  serve();
  kill();
  const std::array requests{FrontEndRequest::get_features, FrontEndRequest::get_queue_num,
                            FrontEndRequest::get_max_mem_slots};
  std::size_t sent = 0;
  for (;; ++sent) {
    const auto bytes = protocol::encode(protocol::make_request(requests[sent % requests.size()]));
    const auto put = ::send(machine_->front_end().fd(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put < 0) break;
    ASSERT_EQ(put, static_cast<ssize_t>(bytes.size()));
  }
  EXPECT_GT(sent, 10U);
  const auto server = take_over();
  for (std::size_t i = 0; i < sent; ++i)
    ASSERT_EQ(must(machine_->front_end().receive_reply()).front_end_request(), requests[i % requests.size()]) << i;
  expect_adopted(*server);
}

/// As at any start: the rings are the guest's, whatever is in them.
TEST_F(KeeperAttacks, AGuestThatRewritesItsRingsBetweenTwoOwnersHarmsItself) {
  std::minstd_rand random(4711);
  for (int round = 0; round < 40; ++round) {
    SCOPED_TRACE(round);
    serve();
    kill();
    FakeGuest& memory = machine_->guest();
    const std::size_t bytes = small_memory()[0].size;
    std::uint8_t* const all = memory.at(small_memory()[0].guest);
    for (std::size_t i = 0; i < bytes; ++i)
      if (round % 2 == 0 || random() % 8 == 0) all[i] = static_cast<std::uint8_t>(random());
    const auto server = take_over();
    ASSERT_NE(server->port, nullptr) << server->error.message;
    for (int burst = 0; burst < 4; ++burst) {
      take_burst(server->port->from_guest());
      rte_mbuf* packet = rte_pktmbuf_alloc(test_pool());
      rte_pktmbuf_append(packet, 60);
      server->port->to_guest().enqueue_burst(&packet, 1);
      rte_pktmbuf_free(packet);
    }
    machine_->sync();  // the connection goes on
    expect_victim_unharmed();
  }
}

/// A process that takes a port over, and what became of it.
class Rival {
 public:
  Rival(const std::string& keeper, const std::string& socket)
      : outcome_(new (::mmap(nullptr, sizeof(Outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))
                     Outcome),
        process_([] {},
                 [&keeper, &socket, this] {
                   pollfd one{go_.get(), POLLIN, 0};
                   ::poll(&one, 1, -1);
                   static Server server(keeper, socket);
                   server.error.message.copy(outcome_->error.data(), outcome_->error.size() - 1);
                   outcome_->state = server.port ? State::serves : State::refused;
                 }) {}
  ~Rival() {
    process_.kill();
    ::munmap(outcome_, sizeof(Outcome));
  }
  Rival(const Rival&) = delete;
  Rival& operator=(const Rival&) = delete;

  void go() const { go_.signal(); }
  pid_t pid() const { return process_.pid(); }
  bool serves() const {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (outcome_->state == State::running && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    EXPECT_NE(outcome_->state, State::running);
    return outcome_->state == State::serves;
  }
  std::string error() const { return outcome_->error.data(); }

 private:
  enum class State { running, serves, refused };
  struct Outcome {
    std::atomic<State> state{State::running};
    std::array<char, 512> error{};
  };
  Outcome* outcome_;
  const EventFd go_ = must(EventFd::create());
  ChildProcess process_;
};

TEST_F(KeeperAttacks, OfTwoThatTakeOverAtOnceOneWins) {
  serve();
  kill();
  for (int round = 0; round < 20; ++round) {
    const Rival rival(path_, socket_);
    rival.go();
    const auto mine = take_over();
    const bool rival_serves = rival.serves();
    ASSERT_NE(mine->port != nullptr, rival_serves);
    const std::string refusal = rival_serves ? mine->error.message : rival.error();
    const pid_t winner = rival_serves ? rival.pid() : ::getpid();
    EXPECT_NE(refusal.find("pid " + std::to_string(winner)), std::string::npos) << refusal;
  }
}

TEST_F(KeeperAttacks, ABundleOfAnotherVersionIsRefused) {
  serve();
  kill();
  auto attacker = client();
  const auto slots = claim(attacker);
  char version = 0;  // the last character of what the record begins with
  ASSERT_EQ(::pread(slots.at(record_slot).get(), &version, 1, 7), 1);
  ++version;
  ASSERT_EQ(::pwrite(slots.at(record_slot).get(), &version, 1, 7), 1);
  release(attacker);
  const auto server = take_over();
  EXPECT_TRUE(server->logged("of another version"));
  expect_closed_and_served(*server);
}

TEST_F(KeeperAttacks, DescriptorsInSlotsThatNobodyUsesAreLeftAlone) {
  serve();
  kill();
  auto attacker = client();
  claim(attacker);
  const auto [one, two] = continuity::socket_pair();
  for (const std::uint32_t slot : {2U, 15U, 4711U, UINT32_MAX}) must(attacker.hold(socket_, slot, one.get()));
  release(attacker);
  expect_adopted(*take_over());
}

TEST_F(KeeperAttacks, OddDescriptorsEndTheConnection) {
  const auto [one, two] = continuity::socket_pair();
  const UniqueFd folder(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto loose = continuity::memory_file();
  for (const int fd : {one.get(), folder.get(), loose.get()})
    for (const std::uint32_t slot : {record_slot, first_slot}) {
      SCOPED_TRACE("slot " + std::to_string(slot));
      serve();
      kill();
      auto attacker = client();
      claim(attacker);
      must(attacker.hold(socket_, slot, fd));
      release(attacker);
      expect_closed_and_served(*take_over());
    }
}

/// Nobody has the front-end's connection any more, so it is closed. What took its place is not a front-end.
TEST_F(KeeperAttacks, WhatIsNoConnectionIsNotServed) {
  const UniqueFd folder(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto file = continuity::memory_file();
  for (const int fd : {folder.get(), file.get()}) {
    serve();
    kill();
    auto attacker = client();
    claim(attacker);
    must(attacker.hold(socket_, continuity::front_end_slot, fd));
    release(attacker);
    expect_closed_and_served(*take_over());
  }
}

}  // namespace
}  // namespace vhostx::test
