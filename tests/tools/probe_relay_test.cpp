// SPDX-License-Identifier: BSD-3-Clause
// The relay between two sockets: bytes, descriptors, the back-end's channel, ends of all kinds.
#include <array>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/event_fd.hpp"
#include "protocol/socket_io.hpp"
#include "tests/protocol/open_fds.hpp"
#include "tests/support/emulated_kernel.hpp"
#include "tests/tools/probe_events.hpp"
#include "tools/front_end/front_end.hpp"
#include "tools/probe/session/fd_facts.hpp"
#include "tools/probe/session/session.hpp"
#include "tools/probe/trace/relay.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using namespace tools::probe;
using tools::duplicate;

ino_t inode_of(int fd) {
  struct stat status {};
  EXPECT_EQ(::fstat(fd, &status), 0);
  return status.st_ino;
}

Transfer transmit_now(int socket, std::span<const std::byte> bytes, const std::vector<UniqueFd>& fds) {
  return transmit(socket, bytes, fds, Blocking::no);
}
Transfer receive_now(int socket, std::span<std::byte> into, std::vector<UniqueFd>& fds) {
  return protocol::receive(socket, into, fds, Blocking::no);
}

class ProbeRelay : public ::testing::Test {
 protected:
  void start(bool count_notifications = false) {
    auto [front, relay_front] = socket_pair();
    auto [back, relay_back] = socket_pair();
    front_end = std::move(front);
    back_end = std::move(back);
    const RelayOptions options{7, std::chrono::steady_clock::now(), count_notifications};
    relay = std::make_unique<Relay>(std::move(relay_front), std::move(relay_back), options,
                                    [this](Event&& event, std::vector<UniqueFd>&& files) {
                                      files_seen += files.size();
                                      events.push_back(std::move(event));
                                    });
  }
  /// Until nothing is left to do.
  void turn() {
    for (int ready = 1; ready > 0 && !relay->over();) {
      std::vector<pollfd> watched;
      relay->add_to(watched);
      ready = ::poll(watched.data(), watched.size(), 0);
      const pollfd* at = watched.data();
      if (ready > 0) relay->handle(at);
    }
  }
  static void send(const UniqueFd& socket, const Message& message) {
    std::vector<UniqueFd> fds;
    for (std::size_t i = 0; i < message.fd_count(); ++i) fds.push_back(duplicate(message.fd(i)));
    const auto bytes = encode(message);
    ASSERT_EQ(transmit_now(socket.get(), bytes, fds).bytes, bytes.size());
  }
  /// What has arrived, at most `most` bytes.
  static std::vector<std::byte> receive(const UniqueFd& socket, std::vector<UniqueFd>& fds, std::size_t most = 65536) {
    std::vector<std::byte> bytes(most);
    bytes.resize(receive_now(socket.get(), bytes, fds).bytes);
    return bytes;
  }
  static std::vector<std::byte> receive_all(const UniqueFd& socket, std::vector<UniqueFd>& fds) {
    std::vector<std::byte> all;
    for (auto piece = receive(socket, fds); !piece.empty(); piece = receive(socket, fds))
      all.insert(all.end(), piece.begin(), piece.end());
    return all;
  }
  Message kick(std::uint64_t vring, int fd) {
    auto message = make_request(FrontEndRequest::set_vring_kick, U64{vring});
    message.add_fd(duplicate(fd));
    return message;
  }

  UniqueFd front_end;
  UniqueFd back_end;
  std::unique_ptr<Relay> relay;
  std::vector<Event> events;
  std::size_t files_seen = 0;
};

TEST(FdFacts, AreAskedOfTheKernel) {
  const UniqueFd memory(::memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(memory.get(), 1 << 20), 0);
  ASSERT_EQ(::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK), 0);
  const FdFacts facts = look_at_fd(memory.get());
  EXPECT_EQ(facts.kind, "memfd");
  EXPECT_EQ(facts.bytes, std::uint64_t{1} << 20);
  EXPECT_EQ(facts.page_bytes, static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
  EXPECT_EQ(facts.seals, std::vector<std::string>{"shrink"});
  EXPECT_EQ(facts.inode, inode_of(memory.get()));
  const UniqueFd program(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(look_at_fd(program.get()).kind, "file");
  EXPECT_EQ(look_at_fd(program.get()).page_bytes, 0U);
  const UniqueFd event(::eventfd(0, EFD_CLOEXEC));
  EXPECT_EQ(look_at_fd(event.get()).kind, "eventfd");
  EXPECT_EQ(look_at_fd(socket_pair()[0].get()).kind, "socket");
}

TEST_F(ProbeRelay, PassesBytesAndDescriptorsOnAsTheyCame) {
  start();
  const UniqueFd kick_fd(::eventfd(0, EFD_CLOEXEC));
  send(front_end, kick(1, kick_fd.get()));
  turn();
  std::vector<UniqueFd> fds;
  EXPECT_EQ(receive(back_end, fds, message_header_bytes).size(), message_header_bytes);
  ASSERT_EQ(fds.size(), 1U) << "with the header's first byte";
  EXPECT_EQ(inode_of(fds[0].get()), inode_of(kick_fd.get()));
  EXPECT_EQ(receive(back_end, fds), bytes_of(U64{1}));
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].kind, EventKind::opened);
  EXPECT_EQ(events[0].front_end.pid, ::getpid());
  EXPECT_EQ(events[1].connection, 7U);
  EXPECT_EQ(events[1].fds.at(0).kind, "eventfd");
  EXPECT_EQ(files_seen, 1U);
}

TEST_F(ProbeRelay, PassesRubbishOnToo) {
  start();
  std::vector<std::byte> rubbish(100'000);
  for (std::size_t i = 0; i < rubbish.size(); ++i) rubbish[i] = static_cast<std::byte>(i * 31 >> 3);
  const std::uint32_t size = static_cast<std::uint32_t>(rubbish.size() - message_header_bytes);
  std::memcpy(rubbish.data() + 8, &size, sizeof size);
  std::vector<std::byte> arrived;
  std::vector<UniqueFd> fds;
  for (std::size_t sent = 0; sent < rubbish.size();) {
    sent += transmit_now(front_end.get(), std::span(rubbish).subspan(sent), {}).bytes;
    turn();
    const auto piece = receive_all(back_end, fds);
    arrived.insert(arrived.end(), piece.begin(), piece.end());
  }
  turn();
  EXPECT_EQ(arrived, rubbish);
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[1].header.size, size);
  EXPECT_EQ(events[1].payload.size(), payload_bytes_max);
}

TEST_F(ProbeRelay, PassesMoreDescriptorsOnThanTheSpecificationAllows) {
  start();
  const UniqueFd file(::memfd_create("nine", MFD_CLOEXEC));
  std::vector<UniqueFd> fds;
  for (int i = 0; i < 100; ++i) fds.push_back(duplicate(file.get()));
  const auto bytes = encode(make_request(FrontEndRequest::set_owner));
  ASSERT_EQ(transmit_now(front_end.get(), bytes, fds).bytes, bytes.size());
  turn();
  std::vector<UniqueFd> arrived;
  EXPECT_EQ(receive(back_end, arrived), bytes);
  EXPECT_EQ(arrived.size(), 100U);
  EXPECT_EQ(events.back().fds.size(), 100U);
}

TEST_F(ProbeRelay, PassesDescriptorsOnWithTheByteThatTheyCameWith) {
  start();
  const auto bytes = encode(make_request(FrontEndRequest::set_vring_num, VringState{1, 256}));
  std::vector<UniqueFd> fds;
  fds.emplace_back(::memfd_create("late", MFD_CLOEXEC));
  const std::span all(bytes);
  ASSERT_EQ(transmit_now(front_end.get(), all.first(message_header_bytes), {}).bytes, message_header_bytes);
  ASSERT_EQ(transmit_now(front_end.get(), all.subspan(message_header_bytes), fds).bytes,
            bytes.size() - message_header_bytes);
  turn();
  std::vector<UniqueFd> arrived;
  EXPECT_EQ(receive(back_end, arrived, message_header_bytes).size(), message_header_bytes);
  EXPECT_TRUE(arrived.empty());
  EXPECT_EQ(receive(back_end, arrived), bytes_of(VringState{1, 256}));
  ASSERT_EQ(arrived.size(), 1U);
  EXPECT_EQ(inode_of(arrived[0].get()), inode_of(fds[0].get()));
}

TEST_F(ProbeRelay, PassesOnThatASideSendsNoMore) {
  start();
  send(front_end, make_request(FrontEndRequest::get_features));
  ::shutdown(front_end.get(), SHUT_WR);
  turn();
  std::vector<UniqueFd> fds;
  EXPECT_EQ(receive(back_end, fds).size(), message_header_bytes);
  char byte = 0;
  EXPECT_EQ(::recv(back_end.get(), &byte, 1, MSG_DONTWAIT), 0) << "its end is seen";
  EXPECT_FALSE(relay->over());
  send(back_end, make_reply(make_request(FrontEndRequest::get_features).header(), U64{1}));
  turn();
  EXPECT_EQ(receive(front_end, fds).size(), message_header_bytes + 8) << "and what the other one still says arrives";
}

TEST_F(ProbeRelay, PassesOnByteByByte) {
  start();
  const auto bytes = encode(make_request(FrontEndRequest::set_vring_num, VringState{1, 256}));
  std::vector<UniqueFd> fds;
  for (const auto byte : bytes) {
    ASSERT_EQ(transmit_now(front_end.get(), std::span(&byte, 1), {}).bytes, 1U);
    turn();
  }
  EXPECT_EQ(receive_all(back_end, fds), bytes);
  EXPECT_EQ(events.size(), 2U);
}

TEST_F(ProbeRelay, WaitsForASlowReaderAndHoldsLittle) {
  start();
  const auto bytes = encode(make_request(FrontEndRequest::get_features));
  std::size_t sent = 0;
  for (bool room = true; room;) {
    const auto put = transmit_now(front_end.get(), bytes, {});
    sent += put.bytes;
    turn();
    room = put.error == 0;
  }
  std::vector<UniqueFd> fds;
  std::size_t arrived = 0;
  while (true) {
    const auto piece = receive_all(back_end, fds);
    turn();
    if (piece.empty()) break;
    arrived += piece.size();
  }
  EXPECT_EQ(arrived, sent);
}

TEST_F(ProbeRelay, EndsWhenEitherEndLeaves) {
  const auto before = open_fds();
  for (UniqueFd* const leaving : {&front_end, &back_end}) {
    events.clear();
    start();
    send(leaving == &front_end ? front_end : back_end, make_request(FrontEndRequest::get_features));
    leaving->reset();
    turn();
    EXPECT_TRUE(relay->over());
    EXPECT_EQ(events.back().kind, EventKind::closed);
    EXPECT_EQ(events.back().text, leaving == &front_end ? "the front-end left" : "the back-end left");
    EXPECT_EQ(events.at(1).header.request, 1U) << "what was sent before is seen";
    const UniqueFd& other = leaving == &front_end ? back_end : front_end;
    std::vector<UniqueFd> fds;
    EXPECT_EQ(receive_all(other, fds).size(), message_header_bytes) << "and passed on";
    relay.reset();
    char byte = 0;
    EXPECT_EQ(::recv(other.get(), &byte, 1, MSG_DONTWAIT), 0);
    front_end.reset();
    back_end.reset();
  }
  EXPECT_EQ(open_fds(), before);
}

TEST_F(ProbeRelay, TellsOfMessagesThatWereCutOff) {
  start();
  auto bytes = encode(make_request(FrontEndRequest::set_vring_num, VringState{1, 256}));
  bytes.resize(bytes.size() - 3);
  transmit_now(front_end.get(), bytes, {});
  front_end.reset();
  turn();
  ASSERT_EQ(events.size(), 3U);
  EXPECT_TRUE(events[1].cut_off);
  EXPECT_EQ(events[1].payload.size(), 5U);
  std::vector<UniqueFd> fds;
  EXPECT_EQ(receive_all(back_end, fds), bytes);

  start();
  events.clear();
  transmit_now(front_end.get(), std::span(bytes).first(5), {});
  front_end.reset();
  turn();
  EXPECT_EQ(events.at(0).kind, EventKind::note);
  EXPECT_NE(events.at(0).text.find("5 of 12 bytes"), std::string::npos) << events.at(0).text;
  EXPECT_EQ(receive_all(back_end, fds).size(), 5U);
}

TEST_F(ProbeRelay, StandsInTheBackEndsChannelToo) {
  start();
  auto [channel, theirs] = socket_pair();
  auto message = make_request(FrontEndRequest::set_backend_req_fd);
  message.add_fd(std::move(theirs));
  send(front_end, message);
  message = Message();
  turn();
  std::vector<UniqueFd> fds;
  receive_all(back_end, fds);
  ASSERT_EQ(fds.size(), 1U);
  send(fds[0], make_request(BackEndRequest::config_change_msg, true));
  turn();
  std::vector<UniqueFd> none;
  EXPECT_EQ(receive(channel, none), encode(make_request(BackEndRequest::config_change_msg, true)));
  EXPECT_EQ(events.back().way, Incoming::back_end_requests);
  send(channel, make_ack(make_request(BackEndRequest::config_change_msg).header(), 0));
  turn();
  EXPECT_EQ(receive(fds[0], none).size(), message_header_bytes + 8);
  EXPECT_EQ(events.back().way, Incoming::replies_to_back_end);
  fds.clear();
  turn();
  char byte = 0;
  EXPECT_EQ(::recv(channel.get(), &byte, 1, MSG_DONTWAIT), 0) << "a channel that is closed is closed for both";
}

TEST_F(ProbeRelay, AChannelThatIsNoSocketIsPassedOn) {
  start();
  auto message = make_request(FrontEndRequest::set_backend_req_fd);
  const UniqueFd file(::memfd_create("no-socket", MFD_CLOEXEC));
  message.add_fd(duplicate(file.get()));
  send(front_end, message);
  turn();
  std::vector<UniqueFd> fds;
  receive_all(back_end, fds);
  ASSERT_EQ(fds.size(), 1U);
  EXPECT_EQ(inode_of(fds[0].get()), inode_of(file.get()));
  EXPECT_EQ(events.at(1).kind, EventKind::note);
}

TEST_F(ProbeRelay, CountsKicksAndCallsWhenAsked) {
  if (!has_preadv2()) GTEST_SKIP() << no_preadv2;
  start(true);
  const UniqueFd kick_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), call_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  send(front_end, kick(1, kick_fd.get()));
  auto call = make_request(FrontEndRequest::set_vring_call, U64{1});
  call.add_fd(duplicate(call_fd.get()));
  send(front_end, call);
  turn();
  std::vector<UniqueFd> fds;
  receive_all(back_end, fds);
  receive_all(back_end, fds);
  ASSERT_EQ(fds.size(), 2U);
  ::eventfd_write(kick_fd.get(), 3);
  ::eventfd_write(fds[1].get(), 2);
  turn();
  eventfd_t value = 0;
  EXPECT_EQ(::eventfd_read(fds[0].get(), &value), 0) << "the back-end is kicked";
  EXPECT_EQ(::eventfd_read(call_fd.get(), &value), 0) << "the front-end is called";
  const auto& counts = relay->notifiers().counts().at(1);
  EXPECT_EQ(counts.kicks, 3U);
  EXPECT_EQ(counts.calls, 2U);
}

}  // namespace
}  // namespace vhostx::test
