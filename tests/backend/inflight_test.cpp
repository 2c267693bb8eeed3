// SPDX-License-Identifier: BSD-3-Clause
// INFLIGHT_SHMFD: a front-end keeps the record of what its back-end has taken, and the next one goes on from it.
#include <fcntl.h>

#include <gtest/gtest.h>

#include <vhostx/transfer.hpp>

#include "tests/backend/loans_fixture.hpp"
#include "tests/support/packed_inflight_file.hpp"
#include "tests/support/under_tsan.hpp"
#include "virtqueue/inflight_area.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using Request = FrontEndRequest;
using virtqueue::InflightArea;

constexpr std::uint16_t queue_size = 64;
const std::size_t region_bytes = InflightArea::Shape{.queue_size = queue_size, .kind = tested_kind()}.region_bytes();

ProtocolFeatureSet with_inflight() {
  auto features = usual_protocol_features;
  features.set(ProtocolFeature::inflight_shmfd);
  return features;
}

Message inflight_request(Request id, const Inflight& what, int fd = -1) {
  Message message = make_request(id, what, id == Request::set_inflight_fd);
  if (fd >= 0) message.add_fd(duplicate(fd));
  return message;
}

/// A front-end whose back-ends come and go, while guest, rings and record stay.
struct Recorded : ::testing::Test {
  explicit Recorded(bool zero_copy = true) : zero_copy_(zero_copy) {
    start_eal();
    make_port();
    machine = std::make_unique<FakeMachine>(fixture->options.socket_path);
    machine->negotiate(usual_features, with_inflight());
    machine->send_memory();
    Message reply = must(machine->front_end().ask(inflight_request(Request::get_inflight_fd, asked)));
    area = reply.payload_padded_as<Inflight>();
    file = std::make_unique<InflightFile>(reply.take_fd(), area.mmap_size);
  }
  ~Recorded() override {
    free_all(lent);
    machine.reset();
    fixture.reset();
    EXPECT_EQ(rte_mempool_in_use_count(test_pool()), 0U);
  }

  void make_port() {
    fixture = std::make_unique<PortFixture>([this](PortOptions& options) {
      options.zero_copy = zero_copy_;
      options.loan_timeout = std::chrono::milliseconds(10);
      options.protocol_features_extra |= ProtocolFeatureSet{ProtocolFeature::inflight_shmfd}.bits();
    });
  }
  std::uint64_t set_record() { return set_record(area, file->fd()); }
  std::uint64_t set_record(const Inflight& where, int fd) {
    return must(machine->front_end().acknowledged(inflight_request(Request::set_inflight_fd, where, fd)));
  }
  void start() {
    machine->start_rings();
    for (int ring = 0; ring < 2; ++ring) fixture->events.until<VringStarted>();
  }
  void begin() {
    ASSERT_EQ(set_record(), 0U);
    start();
  }

  /// Shared memory as it is now, in which the back-end is to end.
  void end_here() {
    memory.assign(machine->guest().at(memory_at), machine->guest().at(memory_at) + memory_bytes);
    record = file->copy();
  }
  /// Whatever the back-end has done since end_here() is undone: it was not there any more. Another one takes its place.
  void next_back_end() {
    fixture.reset();
    free_all(lent);
    lent.clear();
    std::copy(memory.begin(), memory.end(), machine->guest().at(memory_at));
    file->restore(record);
    make_port();
    machine->front_end() = must(FakeFrontEnd::connect(fixture->options.socket_path));
    machine->negotiate(usual_features, with_inflight());
    machine->send_memory();
    begin();
  }

  Vring& from_guest() { return fixture->port->from_guest(); }
  Vring& to_guest() { return fixture->port->to_guest(); }
  FakeDriver& driver(std::uint16_t ring) { return machine->ring(ring).driver; }
  void transmit_numbered(std::uint8_t first, std::uint8_t count) {
    for (std::uint8_t i = 0; i < count; ++i) transmit_large(*machine, static_cast<std::uint8_t>(first + i));
  }
  /// The numbers of all packets that come now. They are freed.
  std::vector<int> numbers() {
    std::vector<int> out;
    std::array<rte_mbuf*, 32> packets;
    while (const std::uint16_t count = from_guest().dequeue_burst(test_pool(), packets.data(), packets.size())) {
      for (std::uint16_t i = 0; i < count; ++i) out.push_back(*rte_pktmbuf_mtod(packets[i], const std::uint8_t*));
      rte_pktmbuf_free_bulk(packets.data(), count);
    }
    return out;
  }
  /// Lends all there is, and frees all but those.
  void lend_and_free_all_but(std::initializer_list<std::size_t> kept) {
    const auto packets = take_lent(*fixture->port);
    for (std::size_t i = 0; i < packets.size(); ++i)
      if (std::find(kept.begin(), kept.end(), i) == kept.end())
        rte_pktmbuf_free(packets[i]);
      else
        lent.push_back(packets[i]);
    from_guest().poll_completions();
  }

  static constexpr std::uint64_t memory_at = 0x4000'0000;
  static constexpr std::size_t memory_bytes = std::size_t{8} << 20;
  static constexpr Inflight asked{.queue_count = 2, .queue_size = queue_size};

  const bool zero_copy_;
  std::unique_ptr<PortFixture> fixture;
  std::unique_ptr<FakeMachine> machine;
  Inflight area;
  std::unique_ptr<InflightFile> file;
  std::vector<rte_mbuf*> lent;
  Bytes memory, record;
};

TEST_F(Recorded, AreaHasOneRegionAQueueAndAFileThatDoesNotShrink) {
  EXPECT_EQ(area.mmap_size, 2 * region_bytes);
  EXPECT_EQ(area.mmap_offset, 0U);
  EXPECT_EQ(area.queue_count, 2);
  EXPECT_EQ(area.queue_size, queue_size);
  EXPECT_NE(::ftruncate(file->fd(), 0), 0);
  EXPECT_EQ(set_record(), 0U);
  EXPECT_EQ(set_record(), 0U) << "in place of the one before";
}

TEST_F(Recorded, LoansOfABackEndThatEndedAreServedFirstAndGivenBackOnce) {
  begin();
  transmit_numbered(0, 6);
  lend_and_free_all_but({1, 4});
  EXPECT_EQ(driver(1).used_count(), 4);
  end_here();
  next_back_end();
  transmit_numbered(6, 1);
  EXPECT_EQ(numbers(), (std::vector<int>{1, 4, 6}));
  from_guest().poll_completions();
  EXPECT_EQ(driver(1).used_count(), 7);
  std::set<std::uint32_t> heads;
  for (const auto& used : driver(1).reap()) EXPECT_TRUE(heads.insert(used.head).second) << used.head;
  EXPECT_EQ(driver(1).free_descriptors(), 64);
}

// Without a record the position is used->idx: what was given back behind a loan would come twice, and the loan never.
TEST_F(Recorded, ManyEndsInARowLoseAndRepeatNothing) {
  begin();
  std::uint8_t number = 0;
  std::size_t given = 0;
  for (int life = 0; life < 10; ++life) {
    transmit_numbered(number, 3);
    number = static_cast<std::uint8_t>(number + 3);
    lend_and_free_all_but({static_cast<std::size_t>(life % 3), 2});
    end_here();
    next_back_end();
    given += driver(1).reap().size();
  }
  numbers();
  from_guest().poll_completions();
  given += driver(1).reap().size();
  EXPECT_EQ(given, number);
  EXPECT_EQ(driver(1).free_descriptors(), 64);
}

TEST_F(Recorded, LoansThatCameBackAndWereNotCollectedAreServedAgain) {
  begin();
  transmit_numbered(0, 2);
  free_all(take_lent(*fixture->port));
  end_here();
  next_back_end();
  EXPECT_EQ(numbers(), (std::vector<int>{0, 1}));
}

TEST_F(Recorded, BorrowedBuffersAreBorrowedAgain) {
  begin();
  for (int i = 0; i < 4; ++i) driver(0).chain().writable(2048).publish();
  std::array<rte_mbuf*, 4> buffers;
  ASSERT_EQ(to_guest().borrow_burst(test_pool(), buffers.data(), 3), 3);
  EXPECT_EQ(chains_in_flight(*file, driver(0)), 3U);
  rte_pktmbuf_append(buffers[1], 100);
  ASSERT_EQ(to_guest().commit_burst(buffers.data() + 1, 1), 1);
  rte_pktmbuf_free(buffers[0]);  // spare
  EXPECT_EQ(driver(0).used_count(), 1);
  EXPECT_EQ(chains_in_flight(*file, driver(0)), 2U);
  lent = {buffers[2]};
  end_here();
  next_back_end();
  ASSERT_EQ(to_guest().borrow_burst(test_pool(), buffers.data(), 4), 3);
  rte_pktmbuf_free_bulk(buffers.data(), 3);
  to_guest().poll_completions();
  rte_mbuf* packet = make_packet(test_pool(), pattern(64));
  EXPECT_EQ(to_guest().enqueue_burst(&packet, 1), 0) << "all are spare, and given back for it";
  rte_pktmbuf_free(packet);
  EXPECT_EQ(driver(0).used_count(), 4);
  driver(0).reap();
  EXPECT_EQ(driver(0).free_descriptors(), 64);
}

TEST_F(Recorded, RingsThatStopHaveNothingInFlight) {
  begin();
  transmit_numbered(0, 3);
  lend_and_free_all_but({0});
  EXPECT_EQ(chains_in_flight(*file, driver(1), region_bytes), 1U);
  must(machine->front_end().get_vring_base(1));  // the application is late
  EXPECT_EQ(driver(1).used_count(), 3);
  EXPECT_EQ(chains_in_flight(*file, driver(1), region_bytes), 0U);
}

TEST_F(Recorded, RingsThatRunDoNotChangeTheirRecord) {
  begin();
  EXPECT_NE(set_record(), 0U);
}

struct RecordedCopies : Recorded {
  RecordedCopies() : Recorded(false) {}
};

TEST_F(RecordedCopies, ComeOnceOverTwoBackEnds) {
  begin();
  for (int i = 0; i < 8; ++i) driver(0).chain().writable(512).publish();
  transmit_numbered(0, 40);
  EXPECT_EQ(numbers().size(), 40U);
  std::array<rte_mbuf*, 3> packets;
  for (rte_mbuf*& packet : packets) packet = make_packet(test_pool(), pattern(64));
  EXPECT_EQ(to_guest().enqueue_burst(packets.data(), 3), 3);
  EXPECT_EQ(to_guest().enqueue_burst(packets.data(), 1), 1);
  end_here();
  next_back_end();
  EXPECT_TRUE(numbers().empty());
  EXPECT_EQ(to_guest().enqueue_burst(packets.data(), 3), 3);
  rte_pktmbuf_free_bulk(packets.data(), 3);
  EXPECT_EQ(driver(0).used_count(), 7);
  EXPECT_EQ(driver(0).reap().size(), 7U);
  transmit_numbered(40, 1);
  EXPECT_EQ(numbers(), std::vector<int>{40});
}

TEST_F(RecordedCopies, OfATransferThatHasNotEndedComeAgain) {
  begin();
  transmit_numbered(0, 3);
  const auto transfer = must(Transfer::create());
  ASSERT_EQ(transfer->begin(from_guest(), 32), 3);
  end_here();
  transfer->end(2);
  EXPECT_EQ(driver(1).used_count(), 2);
  next_back_end();
  ASSERT_EQ(transfer->begin(from_guest(), 32), 3);
  transfer->end(3);
  EXPECT_EQ(driver(1).used_count(), 3);
}

TEST_F(RecordedCopies, OfADisabledRingAreDroppedOnce) {
  begin();
  machine->enable(1, false);
  machine->sync();
  transmit_numbered(0, 5);
  EXPECT_TRUE(numbers().empty());
  EXPECT_EQ(driver(1).used_count(), 5);
  end_here();
  next_back_end();
  EXPECT_TRUE(numbers().empty());
  EXPECT_EQ(driver(1).used_count(), 5);
}

struct RefusedRecord : RecordedCopies {
  std::string reason() { return fixture->events.until<FrontEndDisconnected>().reason.message; }
  void send(Request id, const Inflight& what, int fd = -1) {
    auto message = make_request(id, what);
    if (fd >= 0) message.add_fd(duplicate(fd));
    must(machine->front_end().send(message));
  }
  void expect_reason(const std::string& text) {
    const std::string said = reason();
    EXPECT_NE(said.find(text), std::string::npos) << said;
  }
};

TEST_F(RefusedRecord, OfNoQueue) {
  send(Request::get_inflight_fd, {.queue_count = 0, .queue_size = 64});
  expect_reason("GET_INFLIGHT_FD: in-flight area for 0 queues, expected 1 to 2");
}
TEST_F(RefusedRecord, OfMoreQueuesThanThePortHas) {
  send(Request::get_inflight_fd, {.queue_count = 3, .queue_size = 64});
  expect_reason("GET_INFLIGHT_FD: in-flight area for 3 queues, expected 1 to 2");
}
TEST_F(RefusedRecord, OfQueuesThatAreTooLarge) {
  send(Request::get_inflight_fd, {.queue_count = 2, .queue_size = 32769});
  expect_reason("queues of 32769 entries, expected 1 to 32768");
}
TEST_F(RefusedRecord, ThatIsTooSmall) {
  auto small = area;
  small.mmap_size -= 1;
  send(Request::set_inflight_fd, small, file->fd());
  expect_reason(
      tested_kind() == virtqueue::RingKind::split
          ? "SET_INFLIGHT_FD: in-flight area of 0x87f bytes, expected at least 0x880 for 2 split queues of 64 entries"
          : "SET_INFLIGHT_FD: in-flight area of 0x107f bytes, expected at least 0x1080 for 2 packed queues of 64 "
            "entries");
}
TEST_F(RefusedRecord, ThatIsLargerThanItsFile) {
  auto later = area;
  later.mmap_offset = 64;
  send(Request::set_inflight_fd, later, file->fd());
  expect_reason("its file has");
}
TEST_F(RefusedRecord, ThatWraps) {
  auto later = area;
  later.mmap_offset = ~std::uint64_t{0} - 63;
  send(Request::set_inflight_fd, later, file->fd());
  expect_reason("SET_INFLIGHT_FD: in-flight area:");
}
TEST_F(RefusedRecord, ThatIsNotAligned) {
  auto later = area;
  later.mmap_offset = 4;
  send(Request::set_inflight_fd, later, file->fd());
  expect_reason("offset 0x4, expected a multiple of 8");
}
TEST_F(RefusedRecord, ThatIsNoFile) {
  const EventFd none = must(EventFd::create());
  send(Request::set_inflight_fd, area, none.get());
  expect_reason("expected a file or memfd");
}
TEST_F(RefusedRecord, ThatIsDamagedRefusesItsRing) {
  file->set_header(7, queue_size, 0, 0, region_bytes);
  ASSERT_EQ(set_record(), 0U);
  machine->configure_ring(0);
  machine->send_fds(0);
  machine->configure_ring(1, 5);  // a base: it does not wait for a kick
  must(machine->front_end().send([this] {
    auto kick = make_request(Request::set_vring_kick, U64{1});
    kick.add_fd(duplicate(machine->ring(1).kick.get()));
    return kick;
  }()));
  expect_reason("vring 1: in-flight record: version 7, expected 1");
}
TEST_F(RefusedRecord, WhoseFileIsShrunkBeforeItsRingsStart) {
  const InflightFile own(area.mmap_size);
  ASSERT_EQ(set_record(area, own.fd()), 0U);
  ASSERT_EQ(::ftruncate(own.fd(), 0), 0);
  machine->configure_ring(1);
  machine->send_fds(1);
  machine->kick(1);
  expect_reason("the in-flight area is lost");
  ASSERT_EQ(::ftruncate(own.fd(), static_cast<off_t>(own.bytes())), 0);
}
TEST_F(RefusedRecord, WhoseFileIsShrunkUnderTraffic) {
  if (under_tsan) GTEST_SKIP() << "TSan holds a lock of its own: the handler of SIGBUS waits for it";
  const InflightFile own(area.mmap_size);
  ASSERT_EQ(set_record(area, own.fd()), 0U);
  start();
  ASSERT_EQ(::ftruncate(own.fd(), 0), 0);
  transmit_numbered(0, 1);
  EXPECT_EQ(numbers(), std::vector<int>{0});
  expect_reason("the in-flight area is lost");
  ASSERT_EQ(::ftruncate(own.fd(), static_cast<off_t>(own.bytes())), 0);
}

}  // namespace
}  // namespace vhostx::test
