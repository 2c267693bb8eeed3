// SPDX-License-Identifier: BSD-3-Clause
// Each kind of traffic of a guest that migrates: every page whose bytes changed is marked, and no other is.
#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include <vhostx/transfer.hpp>

#include "tests/backend/dirty_log_fixture.hpp"
#include "tests/net/packets.hpp"

namespace vhostx::test {
namespace {

using protocol::FeatureSet;

constexpr std::uint64_t page = LogFile::page;
constexpr std::uint8_t rubbish = 0xa5;  // in receive buffers, so that what is written there changes them

void free_them(const std::vector<rte_mbuf*>& packets) {
  for (rte_mbuf* packet : packets) rte_pktmbuf_free(packet);
}

struct DirtyPages : ::testing::Test, Migration {
  using Pieces = std::vector<std::uint32_t>;
  static constexpr std::uint64_t area_bytes = std::uint64_t{2} << 20;
  static constexpr std::uint16_t write_flag = 2;

  explicit DirtyPages(std::function<void(PortOptions&)> change = {}, FeatureSet negotiated = usual_features)
      : Migration(std::move(change), negotiated), area(machine.guest().allocate(area_bytes, page)) {}
  ~DirtyPages() override { EXPECT_EQ(rte_mempool_in_use_count(test_pool()), 0U); }

  /// Room on pages of its own; the same pages come again later.
  std::uint64_t room(std::uint64_t bytes) {
    bytes = (bytes + page - 1) / page * page;
    if (taken + bytes > area_bytes) taken = 0;
    const std::uint64_t at = area + taken;
    taken += bytes;
    std::memset(machine.guest().at(at), rubbish, bytes);
    return at;
  }
  /// Chains of these buffers, the first one beginning `offset` bytes into a page.
  void post(int chains, const Pieces& pieces, std::uint64_t offset = 0, bool indirect = false) {
    for (int i = 0; i < chains; ++i) {
      auto chain = machine.ring(0).driver.chain();
      if (indirect) chain.indirect();
      for (const std::uint32_t piece : pieces) chain.raw(room(offset + piece) + offset, piece, write_flag);
      chain.publish();
    }
  }
  std::uint16_t send(std::vector<rte_mbuf*> packets) {
    const auto count = static_cast<std::uint16_t>(packets.size());
    const auto sent = fixture.port->to_guest().enqueue_burst(packets.data(), count);
    rte_pktmbuf_free_bulk(packets.data(), count);
    return sent;
  }
  std::uint16_t send(int count, std::size_t bytes) {
    std::vector<rte_mbuf*> packets;
    for (int i = 0; i < count; ++i) packets.push_back(make_packet(test_pool(), pattern(bytes)));
    return send(packets);
  }
  /// A packet that must be cut or summed for this guest.
  rte_mbuf* demanding(std::size_t payload, std::uint16_t segment) {
    rte_mbuf* const packet = make_packet(test_pool(), test::make_packet(PacketShape{.payload = payload}).bytes);
    packet->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_NONE | (segment == 0 ? 0 : RTE_MBUF_F_RX_LRO);
    packet->tso_segsz = segment;
    return packet;
  }
  std::uint64_t counted(VringCounter id) { return fixture.port->to_guest().stats()[id]; }

  std::uint64_t area;
  std::uint64_t taken = 0;
};

TEST_F(DirtyPages, OfCopiesIntoAnyChain) {
  begin();
  const std::vector<Pieces> shapes{{2048}, {12, 2048}, {10, 2, 100, 2048}, {5, 6, 2048}, {13, 50, 60, 70, 2000}};
  for (const auto& shape : shapes)
    for (const std::uint64_t offset : {0U, 2100U, 4090U})
      for (const bool indirect : {false, true})
        for (const int burst : {1, 2, 12})
          for (const std::size_t bytes : {64U, 1518U}) {
            post(burst, shape, offset, indirect);
            look();
            EXPECT_EQ(send(burst, bytes), burst);
            const std::string what = std::to_string(shape.size()) + " buffers " + std::to_string(offset) + "+" +
                                     std::to_string(bytes) + (indirect ? " indirect" : "");
            EXPECT_GT(expect_exact(what.c_str()), static_cast<std::size_t>(burst)) << what;
            machine.ring(0).driver.reap();
          }
  EXPECT_EQ(counted(VringCounter::packets), counted(VringCounter::bytes) / (64 + 1518) * 2);
}

TEST_F(DirtyPages, OfMergedBuffers) {
  begin();
  for (const bool indirect : {false, true}) {
    post(12, {3, 8, 600, 900}, 3000, indirect);  // num_buffers is cut in two
    look();
    EXPECT_EQ(send(3, 5000), 3);
    EXPECT_GT(expect_exact("merged"), 12U);
    machine.ring(0).driver.reap();
  }
}

TEST_F(DirtyPages, OfBuffersOverTheBorderOfTwoRegions) {
  begin();
  const std::uint64_t border = memory_at + region_bytes;
  machine.ring(0).driver.chain().raw(border - 100, 2048, write_flag).publish();
  look();
  EXPECT_EQ(send(1, 1500), 1);
  EXPECT_EQ(expect_exact("border"), 3U) << "two of the buffer, one of the ring";
}

/// Takes marks away and copies those pages, again and again, as QEMU does while the guest runs.
class Copier {
 public:
  explicit Copier(Migration& source) : source_(source), thread_([this](const std::stop_token& stop) { run(stop); }) {
    rounds_.wait(0);
  }

  /// Copies once more when nothing is written any more. The pages that differ then were lost.
  std::size_t lost_pages() {
    thread_.request_stop();
    thread_.join();
    copy();
    return source_.changed().size();
  }

 private:
  void run(const std::stop_token& stop) {
    for (; !stop.stop_requested(); ++rounds_, rounds_.notify_all()) copy();
  }
  void copy() {
    for (const std::uint64_t number : source_.log.take())
      std::memcpy(source_.copy.data() + (number * page - Migration::memory_at),
                  source_.machine.guest().at(number * page), page);
  }

  Migration& source_;
  std::atomic<int> rounds_{0};
  std::jthread thread_;
};

// A mark before its write, or one that is left out because the page has one already, is found here.
TEST_F(DirtyPages, AreNotLostToACopyInTheMidstOfABurst) {
  begin();
  for (int round = 0; round < 150; ++round) {
    post(60, {620}, 3500);
    look();
    Copier copier(*this);
    for (int burst = 0; burst < 3; ++burst) EXPECT_EQ(send(2, 5000), 2);
    EXPECT_EQ(copier.lost_pages(), 0U) << "round " << round;
    machine.ring(0).driver.reap();
    send(6, 60);  // the chains that are left
    machine.ring(0).driver.reap();
  }
}

TEST_F(DirtyPages, OfSegmentsAndChecksums) {
  begin();
  post(8, {1600}, 3900);
  look();
  EXPECT_EQ(send({demanding(3000, 1000), demanding(300, 0)}), 2);
  EXPECT_GT(expect_exact("segments"), 4U);
  EXPECT_EQ(counted(VringCounter::segmented), 1U);
  EXPECT_GE(counted(VringCounter::checksummed), 1U);
}

TEST_F(DirtyPages, AreNoneOfWhatDoesNotFitOrIsDropped) {
  begin();
  post(2, {600});
  look();
  EXPECT_EQ(send(1, 5000), 0);  // few buffers: what was written is in buffers that the driver still owns
  for (const std::uint64_t changed_page : changed()) EXPECT_TRUE(log.is_marked(changed_page * page));
}

TEST_F(DirtyPages, OfWhatTheGuestSendsAreItsUsedRings) {
  begin();
  transmit(machine, 5);
  look();
  EXPECT_EQ(take_burst(fixture.port->from_guest()), 5);
  EXPECT_EQ(expect_exact("from the guest"), 1U);
  transmit(machine, 1);
  look();
  EXPECT_EQ(take_burst(fixture.port->from_guest()), 1);
  EXPECT_EQ(expect_exact("one from the guest"), 1U);
}

TEST_F(DirtyPages, OfADisabledRingThatDrops) {
  begin();
  machine.enable(1, false);
  machine.sync();
  transmit(machine, 5);
  look();
  EXPECT_EQ(take_burst(fixture.port->from_guest()), 0);
  EXPECT_EQ(expect_exact("dropped"), 1U);
}

TEST_F(DirtyPages, OfNotificationsThatAreSwitched) {
  begin();
  for (const bool on : {true, false}) {
    look();
    fixture.port->to_guest().set_notifications(on);
    EXPECT_EQ(expect_exact(on ? "on" : "off"), 1U);
  }
}

TEST_F(DirtyPages, OfRingsWithoutALogAreOfBuffersAlone) {
  begin();
  EXPECT_EQ(log_ring(0, false), 0U);
  post(1, {2048});
  look();
  EXPECT_EQ(send(1, 64), 1);
  EXPECT_EQ(log.take().size(), 1U);
  EXPECT_EQ(changed().size(), 2U);
}

TEST_F(DirtyPages, AreNoneWhileNothingIsLogged) {
  EXPECT_EQ(set_log_base(log), 0U);
  post(4, {2048});
  look();
  EXPECT_EQ(send(2, 64), 2);
  EXPECT_TRUE(log.take().empty()) << "before LOG_ALL";
  begin();
  EXPECT_EQ(send(1, 64), 1);
  EXPECT_FALSE(log.take().empty());
  end();
  EXPECT_EQ(send(1, 64), 1);
  EXPECT_TRUE(log.take().empty()) << "after it";
}

TEST_F(DirtyPages, OfATransferAreBothGuests) {
  Migration sender;
  sender.begin();
  begin();
  const auto transfer = must(Transfer::create());
  for (const int count : {1, 6}) {
    for (int i = 0; i < count; ++i)
      sender.machine.ring(1).driver.chain().readable(join(Bytes(12), pattern(1500))).publish();
    post(count, {2048}, 3900);
    look();
    sender.look();
    std::array<std::uint8_t, 32> which{0, 1, 2, 3, 4, 5};
    ASSERT_EQ(transfer->begin(sender.fixture.port->from_guest(), 32), count);
    EXPECT_EQ(transfer->move(which.data(), static_cast<std::uint16_t>(count), fixture.port->to_guest()), count);
    transfer->end(static_cast<std::uint16_t>(count));
    EXPECT_GT(expect_exact("receiver"), static_cast<std::size_t>(count));
    EXPECT_EQ(sender.expect_exact("sender"), 1U);
    machine.ring(0).driver.reap();
    sender.machine.ring(1).driver.reap();
  }
}

struct DirtyPagesOfLoans : DirtyPages {
  DirtyPagesOfLoans() : DirtyPages([](PortOptions& options) { options.zero_copy = true; }) {}

  std::vector<rte_mbuf*> borrow(std::uint16_t count) {
    std::vector<rte_mbuf*> buffers(count);
    buffers.resize(fixture.port->to_guest().borrow_burst(test_pool(), buffers.data(), count));
    return buffers;
  }
  static void fill(rte_mbuf* buffer, std::uint16_t bytes) {
    std::memset(rte_pktmbuf_append(buffer, bytes), 0x42, bytes);
  }
};

TEST_F(DirtyPagesOfLoans, CommittedThatWereOutBefore) {
  post(4, {2048}, 3900);
  const auto buffers = borrow(3);
  ASSERT_EQ(buffers.size(), 3U);
  begin();
  post(2, {2048});
  EXPECT_TRUE(borrow(1).empty()) << "nothing more is lent";
  look();
  for (rte_mbuf* buffer : buffers) fill(buffer, 1500);
  std::vector<rte_mbuf*> packets = buffers;
  EXPECT_EQ(fixture.port->to_guest().commit_burst(packets.data(), 3), 3);
  EXPECT_EQ(expect_exact("commit"), 7U);
  EXPECT_EQ(counted(VringCounter::lent), 3U);
}

TEST_F(DirtyPagesOfLoans, CommittedWhoseHeaderHasAPageOfItsOwn) {
  post(2, {12, 2048}, 0, tested_kind() == virtqueue::RingKind::packed);  // where one entry alone can be borrowed
  const auto buffers = borrow(2);
  ASSERT_EQ(buffers.size(), 2U);
  begin();
  look();
  for (rte_mbuf* buffer : buffers) fill(buffer, 1500);
  std::vector<rte_mbuf*> packets = buffers;
  EXPECT_EQ(fixture.port->to_guest().commit_burst(packets.data(), 2), 2);
  EXPECT_EQ(expect_exact("commit"), 5U);
}

TEST_F(DirtyPagesOfLoans, CommittedOfMemoryThatWasSharedAnew) {
  post(1, {2048}, 3900);
  const auto buffers = borrow(1);
  ASSERT_EQ(buffers.size(), 1U);
  machine.send_memory();
  begin();
  look();
  fill(buffers[0], 1500);
  rte_mbuf* packet = buffers[0];
  EXPECT_EQ(fixture.port->to_guest().commit_burst(&packet, 1), 1);
  EXPECT_EQ(expect_exact("commit"), 3U);
}

TEST_F(DirtyPagesOfLoans, ThatComeBackAndMayHaveBeenWritten) {
  for (const bool indirect : {false, true}) {
    if (!indirect && tested_kind() == virtqueue::RingKind::packed) continue;  // one entry alone can be borrowed
    post(2, {12, 1000, 1000}, 0, indirect);
    const auto buffers = borrow(2);
    ASSERT_EQ(buffers.size(), 2U);
    begin();
    for (rte_mbuf* buffer : buffers) fill(buffer, 900);
    free_them(buffers);
    EXPECT_EQ(send(1, 3000), 0) << "too few: all are given back";
    const auto marked = log.take();
    for (const std::uint64_t one : changed()) EXPECT_TRUE(marked.contains(one));
    EXPECT_LE(marked.size(), 7U);
    machine.ring(0).driver.reap();
    end();
  }
}

// However large the guest says that its buffers are.
TEST_F(DirtyPagesOfLoans, ThatComeBackAreMarkedAsFarAsTheyWereLent) {
  post(1, {1 << 20});
  const auto buffers = borrow(1);
  ASSERT_EQ(buffers.size(), 1U);
  begin();
  free_them(buffers);
  EXPECT_EQ(fixture.port->to_guest().poll_completions(), 1);
  const auto marked = log.take().size();
  EXPECT_GE(marked, 17U) << "a packet of the largest size, and the used ring";
  EXPECT_LE(marked, 19U);
}

TEST_F(DirtyPagesOfLoans, LentByTheGuestAreOnlyRead) {
  begin();
  for (std::uint8_t i = 0; i < 3; ++i)
    machine.ring(1).driver.chain().readable(join(Bytes(12), pattern(1500, i))).publish();
  look();
  std::vector<rte_mbuf*> packets(8);
  packets.resize(fixture.port->from_guest().dequeue_burst(test_pool(), packets.data(), 8));
  ASSERT_EQ(packets.size(), 3U);
  EXPECT_TRUE(RTE_MBUF_HAS_EXTBUF(packets[0]));
  EXPECT_EQ(expect_exact("lent"), 0U);
  free_them(packets);
  EXPECT_EQ(fixture.port->from_guest().poll_completions(), 3);
  EXPECT_EQ(expect_exact("given back"), 1U);
}

}  // namespace
}  // namespace vhostx::test
