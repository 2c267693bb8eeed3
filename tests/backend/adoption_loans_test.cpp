// SPDX-License-Identifier: BSD-3-Clause
// A process ends with buffers of the guest out, and another one goes on: each is given back exactly once.
#include <algorithm>
#include <array>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "protocol/codec.hpp"
#include "tests/backend/adoption_fixture.hpp"
#include "tests/backend/loans_fixture.hpp"
#include "tests/support/packed_inflight_file.hpp"
#include "virtqueue/inflight_store.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using Request = FrontEndRequest;
using virtqueue::InflightArea;

constexpr std::uint64_t memory_at = 0x4000'0000;
constexpr std::size_t memory_bytes = std::size_t{8} << 20;
constexpr std::size_t region_of_the_port = virtqueue::InflightStore::bytes_of_a_ring;

struct KeptLoans : ::testing::Test, Continuity {
  explicit KeptLoans(bool zero_copy = true) {
    start_eal();
    options.zero_copy = zero_copy;
    options.loan_timeout = std::chrono::milliseconds(10);
  }
  ~KeptLoans() override {
    free_all(lent);
    while (!lives.empty()) lives.pop_front();
    EXPECT_EQ(rte_mempool_in_use_count(test_pool()), 0U);
  }

  void begin() {
    next();
    machine = std::make_unique<FakeMachine>(path());
    machine->bring_up();
    until_started(life());
  }
  /// Shared memory as it is now, in which the process is to end: whatever it does afterwards is undone.
  void end_here() {
    memory.assign(machine->guest().at(memory_at), machine->guest().at(memory_at) + memory_bytes);
    record = record_file().copy();
  }
  void next_life(bool starts = true) {
    if (memory.empty()) end_here();
    life().die(vault);
    free_all(lent);
    lent.clear();
    std::copy(memory.begin(), memory.end(), machine->guest().at(memory_at));
    record_file().restore(record);
    memory.clear();
    next();
    if (starts) until_started(life());
  }
  InflightFile record_file() { return {vault.file(own_inflight_slot), 2 * region_of_the_port}; }
  std::size_t in_flight(std::uint16_t ring) {
    return chains_in_flight(record_file(), driver(ring), ring * region_of_the_port);
  }

  Life& life() { return *lives.front(); }
  Port& port() { return *life().port; }
  FakeDriver& driver(std::uint16_t ring) { return machine->ring(ring).driver; }
  void transmit_numbered(std::uint8_t first, std::uint8_t count) {
    for (std::uint8_t i = 0; i < count; ++i) transmit_large(*machine, static_cast<std::uint8_t>(first + i));
  }
  /// The numbers of all packets that come now. They are freed, and their buffers are given back.
  std::vector<int> numbers() {
    std::vector<int> out;
    std::array<rte_mbuf*, 32> packets;
    while (const std::uint16_t count = port().from_guest().dequeue_burst(test_pool(), packets.data(), 32)) {
      for (std::uint16_t i = 0; i < count; ++i) out.push_back(*rte_pktmbuf_mtod(packets[i], const std::uint8_t*));
      rte_pktmbuf_free_bulk(packets.data(), count);
    }
    port().from_guest().poll_completions();
    return out;
  }
  /// Lends all there is, and frees all but those.
  void lend_and_free_all_but(std::initializer_list<std::size_t> kept) {
    const auto packets = take_lent(port());
    for (std::size_t i = 0; i < packets.size(); ++i)
      if (std::find(kept.begin(), kept.end(), i) == kept.end())
        rte_pktmbuf_free(packets[i]);
      else
        lent.push_back(packets[i]);
    port().from_guest().poll_completions();
  }
  /// All `count` buffers that the driver has posted since are back, each once.
  void expect_back(std::uint16_t ring, std::size_t count) {
    std::set<std::uint32_t> heads;
    for (const auto& used : driver(ring).reap()) EXPECT_TRUE(heads.insert(used.head).second) << used.head;
    EXPECT_EQ(heads.size(), count);
    EXPECT_EQ(driver(ring).free_descriptors(), 64);
  }

  std::unique_ptr<FakeMachine> machine;
  std::vector<rte_mbuf*> lent;
  Bytes memory, record;
};

/// It was handled: the process that ends answers it, and who goes on does not.
TEST_F(KeptLoans, AMessageThatWaitsForThemIsAnsweredByAProcessThatEnds) {
  options.loan_timeout = std::chrono::minutes(1);
  begin();
  transmit_numbered(1, 1);
  lent = take_lent(port());
  must(machine->front_end().send(make_request(Request::get_vring_base, protocol::VringState{1, 0})));
  life().events.until<LoansRecalled>();
  life().end();
  next();
  EXPECT_TRUE(life().events.until<FrontEndConnected>().adopted);
  EXPECT_EQ(must(machine->front_end().receive_reply()).payload_padded_as<protocol::VringState>().num, driver(1).base());
  machine->sync();
  EXPECT_TRUE(port().vring(0).state().started);
  EXPECT_FALSE(port().vring(1).state().started);
}

TEST_F(KeptLoans, ComeAgainFirstAndAreGivenBackOnce) {
  begin();
  transmit_numbered(0, 6);
  lend_and_free_all_but({1, 4});
  EXPECT_EQ(driver(1).used_count(), 4);
  next_life();
  transmit_numbered(6, 1);
  EXPECT_EQ(numbers(), (std::vector<int>{1, 4, 6}));
  expect_back(1, 7);
  machine->sync();  // on the same connection
}

TEST_F(KeptLoans, OverManyLivesNothingIsLostOrGivenBackTwice) {
  begin();
  std::uint8_t number = 0;
  std::size_t given = 0;
  for (int i = 0; i < 8; ++i) {
    transmit_numbered(number, 3);
    number = static_cast<std::uint8_t>(number + 3);
    lend_and_free_all_but({static_cast<std::size_t>(i % 3), 2});
    next_life();
    given += driver(1).reap().size();
  }
  numbers();
  given += driver(1).reap().size();
  EXPECT_EQ(given, number);
  EXPECT_EQ(driver(1).free_descriptors(), 64);
}

/// The process ends after each call of the application, and its successor serves what is left.
TEST_F(KeptLoans, AtEveryCallOfTheApplication) {
  begin();
  std::array<rte_mbuf*, 4> borrowed{};
  const std::vector<std::function<void()>> calls{
      [] {},
      [&] { lent = take_lent(port()); },
      [&] { rte_pktmbuf_free(std::exchange(lent[2], nullptr)); },
      [&] { port().from_guest().poll_completions(); },
      [&] { EXPECT_EQ(port().to_guest().borrow_burst(test_pool(), borrowed.data(), 4), 4); },
      [&] {
        rte_pktmbuf_append(borrowed[1], 100);
        EXPECT_EQ(port().to_guest().commit_burst(&borrowed[1], 1), 1);
      },
      [&] { rte_pktmbuf_free(borrowed[0]); },
      [&] { port().to_guest().poll_completions(); },
  };
  for (std::size_t last = 0; last < calls.size(); ++last) {
    SCOPED_TRACE(last);
    transmit_numbered(0, 4);
    for (int i = 0; i < 4; ++i) driver(0).chain().writable(2048).publish();
    for (std::size_t i = 0; i <= last; ++i) calls[i]();
    end_here();
    if (last >= 4) {
      lent.insert(lent.end(), borrowed.begin() + 2, borrowed.end());
      if (last < 5) lent.push_back(borrowed[1]);
      if (last < 6) lent.push_back(borrowed[0]);
    }
    std::erase(lent, nullptr);
    next_life();
    const auto came = numbers();
    EXPECT_EQ(came, last < 3 ? (std::vector<int>{0, 1, 2, 3}) : (std::vector<int>{0, 1, 3}));
    expect_back(1, 4);
    // One was committed, and then one that came back untouched went to the driver.
    const auto left = static_cast<std::uint16_t>(4 - (last >= 5 ? 1 : 0) - (last >= 7 ? 1 : 0));
    ASSERT_EQ(port().to_guest().borrow_burst(test_pool(), borrowed.data(), 4), left);
    for (std::uint16_t i = 0; i < left; ++i) rte_pktmbuf_append(borrowed[i], 100);
    EXPECT_EQ(port().to_guest().commit_burst(borrowed.data(), left), left);
    expect_back(0, 4);
  }
}

TEST_F(KeptLoans, OfARingThatStoppedDoNotComeAgain) {
  begin();
  transmit_numbered(0, 3);
  lend_and_free_all_but({0});
  EXPECT_EQ(in_flight(1), 1U);
  const auto base = must(machine->front_end().get_vring_base(1));  // the application is late
  EXPECT_EQ(driver(1).used_count(), 3);
  next_life(false);
  machine->configure_ring(1, static_cast<std::uint16_t>(base));
  machine->send_fds(1);
  machine->enable(1);
  machine->sync();
  transmit_numbered(3, 2);
  EXPECT_EQ(numbers(), (std::vector<int>{3, 4}));
  expect_back(1, 5);
}

TEST_F(KeptLoans, OfAPortThatWasClosedAreGivenBackToo) {
  begin();
  transmit_numbered(0, 3);
  lend_and_free_all_but({1});
  life().end();
  EXPECT_EQ(driver(1).used_count(), 3);
  next();
  until_started(life());
  EXPECT_TRUE(numbers().empty());
  expect_back(1, 3);
}

TEST_F(KeptLoans, OfOneConnectionAreNotTheNextOnes) {
  begin();
  transmit_numbered(0, 3);
  lend_and_free_all_but({1});
  const auto bytes = encode(make_request(Request::get_queue_num));
  must(machine->front_end().send_bytes(std::span(bytes).first(5)));  // a message in work ends the connection
  while (must(continuity::SessionRecord::adopt(vault.file(record_slot), limits())).read()) std::this_thread::yield();
  life().die(vault);
  free_all(lent);
  lent.clear();
  next();
  machine = std::make_unique<FakeMachine>(path());
  machine->bring_up();
  until_started(life());
  transmit_numbered(7, 2);
  EXPECT_EQ(numbers(), (std::vector<int>{7, 8}));
  next_life();
  EXPECT_TRUE(numbers().empty());
  expect_back(1, 2);
}

/// The record is the connection's, not that of an option.
TEST_F(KeptLoans, ComeAgainWhereTheNextPortCopies) {
  begin();
  transmit_numbered(0, 3);
  lend_and_free_all_but({1});
  options.zero_copy = false;
  next_life();
  EXPECT_EQ(numbers(), std::vector<int>{1});
  expect_back(1, 3);
}

struct KeptCopies : KeptLoans {
  KeptCopies() : KeptLoans(false) {}
};

TEST_F(KeptCopies, OfSplitRingsHaveNoRecord) {
  VHOSTX_SPLIT_RINGS_ONLY;
  begin();
  for (std::size_t ring = 0; ring < 2; ++ring)
    EXPECT_EQ(record_file().get<std::uint16_t>(ring * region_of_the_port + 8), 0U) << "a version";
}

TEST_F(KeptCopies, AreFollowedByLoans) {
  begin();
  transmit_numbered(0, 2);
  EXPECT_EQ(numbers(), (std::vector<int>{0, 1}));
  life().die(vault);
  options.zero_copy = true;
  next();
  until_started(life());
  transmit_numbered(2, 3);
  lend_and_free_all_but({1});
  next_life();
  EXPECT_EQ(numbers(), std::vector<int>{3});
  expect_back(1, 5);
}

/// Whoever can write to the keeper can forge.
struct ForgedRecord : KeptLoans {
  ForgedRecord() {
    begin();
    transmit_numbered(0, 3);
    lend_and_free_all_but({1});
    life().die(vault);
  }
  void expect_refused(const std::string& why) {
    next();
    EXPECT_TRUE(machine->front_end().closed_by_peer());
    life().events.until<FrontEndDisconnected>();
    EXPECT_NE(life().logged().find(why), std::string::npos) << life().logged();
    machine = std::make_unique<FakeMachine>(path());
    machine->bring_up();
    until_started(life());
    transmit_numbered(5, 1);
    EXPECT_EQ(numbers(), std::vector<int>{5});
  }
};

TEST_F(ForgedRecord, ThatIsMissing) {
  vault.forge(own_inflight_slot, -1);
  expect_refused("descriptor 4, is not in the keeper's bundle");
}
TEST_F(ForgedRecord, ThatCouldShrink) {
  const InflightFile own(2 * region_of_the_port);
  vault.forge(own_inflight_slot, own.fd());
  expect_refused("is not sealed");
}
TEST_F(ForgedRecord, ThatIsNoFile) {
  const EventFd event = must(EventFd::create());
  vault.forge(own_inflight_slot, event.get());
  expect_refused("is not sealed");
}
TEST_F(ForgedRecord, OfAnotherVersion) {
  record_file().set(region_of_the_port + 8, std::uint16_t{7});
  expect_refused("in-flight record: version 7, expected 1");
}
TEST_F(ForgedRecord, OfChainsThatTheDriverHasNotPosted) {
  VHOSTX_SPLIT_RINGS_ONLY;
  auto file = record_file();
  for (std::uint16_t head = 0; head < 64; ++head) file.set_entry(head, 1, 0, head, region_of_the_port);
  expect_refused("chains are in flight, the driver has made 1 available");
}

/// A front-end that keeps the record itself.
struct KeptShared : KeptLoans {
  KeptShared() {
    next();
    machine = std::make_unique<FakeMachine>(path());
    auto features = usual_protocol_features;
    features.set(ProtocolFeature::inflight_shmfd);
    machine->negotiate(usual_features, features);
    machine->send_memory();
    Message reply = must(
        machine->front_end().ask(make_request(Request::get_inflight_fd, Inflight{.queue_count = 2, .queue_size = 64})));
    area = reply.payload_padded_as<Inflight>();
    file = std::make_unique<InflightFile>(reply.take_fd(), area.mmap_size);
    Message set = make_request(Request::set_inflight_fd, area, true);
    set.add_fd(tools::duplicate(file->fd()));
    EXPECT_EQ(must(machine->front_end().acknowledged(std::move(set))), 0U);
    machine->start_rings();
    until_started(life());
  }
  Inflight area;
  std::unique_ptr<InflightFile> file;
};

TEST_F(KeptShared, LoansComeAgainFromItsRecord) {
  transmit_numbered(0, 4);
  lend_and_free_all_but({0, 3});
  const std::size_t region = InflightArea::Shape{.queue_size = 64, .kind = tested_kind()}.region_bytes();
  EXPECT_EQ(chains_in_flight(*file, driver(1), region), 2U);
  EXPECT_EQ(record_file().get<std::uint16_t>(region_of_the_port + 8), 0U) << "the port's own is not used";
  for (int i = 0; i < 2; ++i) next_life();
  EXPECT_EQ(numbers(), (std::vector<int>{0, 3}));
  expect_back(1, 4);
  EXPECT_EQ(chains_in_flight(*file, driver(1), region), 0U);
}

TEST_F(KeptShared, ItsFileIsDroppedWithTheConnection) {
  machine->front_end().disconnect();
  life().events.until<FrontEndDisconnected>();
  EXPECT_FALSE(vault.has(own_inflight_slot));
}

}  // namespace
}  // namespace vhostx::test
