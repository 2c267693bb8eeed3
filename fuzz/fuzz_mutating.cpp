// SPDX-License-Identifier: BSD-3-Clause
// A guest that rewrites each byte right after it was read (CVE-2020-14375). Whatever the data path does with its ring,
// it must do with a guest that holds still and has what was read last: the same packets, requests, used entries,
// counters and faults. One that checks what it read first and uses what it reads then does something else.
//
// Input: Choices. The kind of ring is chosen with the way.
#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <numeric>
#include <vector>

#include <rte_mbuf.h>

#include "fuzz/mutating_ring.hpp"
#include "tests/net/any_context.hpp"
#include "tests/support/eal.hpp"
#include "tests/zerocopy/any_calls.hpp"

namespace {

using namespace vhostx;
using fuzz::Choices;
using fuzz::MutatingGuest;
using fuzz::MutatingRing;
using Bytes = std::vector<std::uint8_t>;

void require(bool holds) {
  if (!holds) std::abort();
}

rte_mempool* pool() { return test::test_pool(2048, 255); }

enum class Way { dequeue, enqueue, copy_out, move, lend };
constexpr std::uint8_t ways = 5;
bool is_peeking(Way way) { return way == Way::copy_out || way == Way::move; }

struct Plan {
  Way way;
  std::uint16_t burst;
  std::uint32_t copy_below;
  std::uint64_t receiver_features;
  std::uint32_t receiver_buffers;
  std::uint64_t hint;                  // where the burst before has looked
  std::vector<std::uint16_t> lengths;  // of packets to the guest
};

Plan make_plan(Choices& choices) {
  Plan plan{};
  plan.way = choices.pick({Way::dequeue, Way::enqueue, Way::copy_out, Way::move, Way::lend});
  plan.burst = choices.pick<std::uint16_t>({32, 1, 2, 3});
  // How far peek() looks depends on where it began anew.
  if (is_peeking(plan.way) && plan.burst != 1) plan.burst = 32;
  plan.copy_below = choices.pick({1U, 0U, 64U, 200U});
  plan.receiver_features = choices.pick({net::feature_version_1 | net::feature_mrg_rxbuf, net::feature_version_1,
                                         net::feature_mrg_rxbuf | net::feature_guest_csum | net::feature_guest_tso4});
  plan.receiver_buffers = choices.pick({2048U, 100U, 600U});
  plan.hint = choices.pick<std::uint64_t>({MutatingRing::large_at, 0, 0x100000});
  for (std::uint16_t i = 0; i < plan.burst; ++i)
    plan.lengths.push_back(choices.pick<std::uint16_t>({60, 14, 300, 700, 1}));
  return plan;
}

/// A guest that takes what is moved to it, and is honest.
struct Receiver {
  Receiver(std::uint64_t negotiated, std::uint32_t buffer_bytes, virtqueue::RingKind kind)
      : features(negotiated),
        guest({{0x4000'0000, 0x20000}}),
        driver(guest, 32, {}, kind),
        memory(guest.map()),
        layout(std::move(driver.lay_out_any(*memory)).value()) {
    cursor.position = driver.start();
    for (int i = 0; i < 32; ++i) driver.chain().writable(buffer_bytes).publish();
  }
  test::AnyContext context() { return {layout, *memory, cursor, counters, features, 9022}; }
  std::vector<Bytes> receive() {
    std::vector<Bytes> all;
    for (const auto& used : driver.reap()) all.push_back(driver.bytes_of(used));
    return all;
  }

  std::uint64_t features;
  test::FakeGuest guest;
  test::FakeDriver driver;
  std::shared_ptr<const memory::GuestMemory> memory;
  virtqueue::AnyLayout layout;
  virtqueue::VringCursor cursor;
  net::RingCounters counters;
};

using DmaMemory = std::shared_ptr<const zerocopy::DmaMemory>;

/// Made once for each of the two.
const DmaMemory& guest_memory_for_devices(const std::shared_ptr<const memory::GuestMemory>& memory) {
  static std::map<const memory::GuestMemory*, DmaMemory> all;
  DmaMemory& one = all[memory.get()];
  if (one == nullptr) one = zerocopy::DmaMemory::create(memory, nullptr);
  return one;
}

/// No limit is met: how full the table is counts chains of the batch as more than they are.
struct Loans {
  Loans(std::uint32_t copy_below, const DmaMemory& memory)
      : table(std::move(zerocopy::LoanTable::create(256, {.copy_below = copy_below, .entries_max = 4096})).value()),
        lending{*table, table->pin(memory)} {}

  zerocopy::LoanTable::Owned table;
  zerocopy::Lending lending;
};

/// What became of a burst, as far as anybody can see.
struct Outcome {
  std::vector<Bytes> packets;
  std::vector<std::uint64_t> numbers;

  template <typename Number>
  void add(Number number) {
    numbers.push_back(static_cast<std::uint64_t>(number));
  }
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

void print(const char* whose, const Outcome& outcome) {
  std::fprintf(stderr, "%s: %zu byte strings, numbers", whose, outcome.packets.size());
  for (const std::uint64_t number : outcome.numbers) std::fprintf(stderr, " %" PRIx64, number);
  std::fputs("\n", stderr);
}

void require_same(const Outcome& real, const Outcome& seen) {
  if (real == seen) return;
  print("a guest that rewrites", real);
  print("one that holds still", seen);
  for (std::size_t i = 0; i < std::min(real.packets.size(), seen.packets.size()); ++i) {
    const Bytes &a = real.packets[i], &b = seen.packets[i];
    const auto [at, other] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    if (at != a.end() || other != b.end())
      std::fprintf(stderr, "byte string %zu (%zu and %zu bytes) differs from byte %td on\n", i, a.size(), b.size(),
                   at - a.begin());
  }
  std::abort();
}

/// One ring with the data path over it.
class Side {
 public:
  Side(MutatingGuest& world, const MutatingRing& ring, const Plan& plan, const test::FakeGuest& guest,
       const std::shared_ptr<const memory::GuestMemory>& memory)
      : world_(world),
        ring_(ring),
        plan_(plan),
        guest_(guest),
        memory_(*memory),
        layout_(std::move(ring.lay_out(guest, *memory)).value()),
        loans_(plan.way == Way::lend ? new Loans(plan.copy_below, guest_memory_for_devices(memory)) : nullptr),
        receiver_(plan.way == Way::move ? new Receiver(plan.receiver_features, plan.receiver_buffers, ring.kind)
                                        : nullptr) {
    cursor_.position.avail_next = cursor_.position.used_next = ring.start;
    cursor_.position.notifications = true;
    memory_.translate(memory::GuestAddress{plan.hint}, 1, cursor_.hint);
  }

  Outcome burst() {
    Outcome outcome;
    const std::uint16_t used_before = cursor_.position.used_next;
    const auto result = run(outcome);
    outcome.add(result.packets);
    outcome.add(result.needs_call);
    add_position(outcome, used_before);
    return outcome;
  }
  bool broken() const { return cursor_.fault.cause != VringFaultCause::none; }
  /// Whether packets were tried that did not fit: the next one found the guest's memory changed, and its twin did not.
  /// Whoever asks then whether the ring is full reads the index, or the flags of all descriptors, once more.
  bool gave_up() const {
    return counters_.value(VringCounter::drop_too_large) != 0 || counters_.value(VringCounter::stall_no_buffer) != 0 ||
           counters_.value(VringCounter::stall_few_buffers) != 0;
  }
  /// Packets that were copied for what was seen of them first. The copying way begins anew, and copies what it finds:
  /// its twin, who finds that from the beginning, may lend it. Both are right.
  std::uint64_t copied() const {
    return counters_.value(VringCounter::copied_shape) + counters_.value(VringCounter::copied_small) +
           counters_.value(VringCounter::copied_full);
  }
  std::uint64_t stalls() const { return counters_.value(VringCounter::stall_no_mbuf); }

 private:
  test::AnyContext context() { return {layout_, memory_, cursor_, counters_, ring_.features, 9022}; }

  net::BurstResult run(Outcome& outcome) {
    switch (plan_.way) {
      case Way::dequeue:
        return take(outcome, net::dequeue(context(), pool(), mbufs_.data(), plan_.burst));
      case Way::lend:
        return take(outcome, zerocopy::dequeue(context(), loans_->lending, pool(), mbufs_.data(), plan_.burst));
      case Way::enqueue:
        return send(outcome);
      default:
        return transfer(outcome);
    }
  }

  net::BurstResult take(Outcome& outcome, net::BurstResult result) {
    require(result.packets <= plan_.burst);
    for (std::uint16_t i = 0; i < result.packets; ++i) add_packet(outcome, mbufs_[i]);
    return result;
  }

  void add_packet(Outcome& outcome, rte_mbuf* packet) {
    const char* reason = nullptr;
    require(rte_mbuf_check(packet, 1, &reason) == 0);
    require(packet->pkt_len >= net::ethernet_header_bytes && packet->pkt_len <= net::packet_bytes_max);
    outcome.add(packet->ol_flags);
    outcome.add(packet->packet_type);
    if ((packet->ol_flags & RTE_MBUF_F_RX_LRO) != 0) outcome.add(packet->tso_segsz);
    Bytes bytes;
    for (const rte_mbuf* segment = packet; segment != nullptr; segment = segment->next) {
      outcome.add(segment->data_len);
      const auto* data = rte_pktmbuf_mtod(segment, const std::uint8_t*);
      if (RTE_MBUF_HAS_EXTBUF(segment))
        outcome.add(world_.guest_address(data));
      else
        bytes.insert(bytes.end(), data, data + segment->data_len);
    }
    outcome.packets.push_back(std::move(bytes));
    rte_pktmbuf_free(packet);
  }

  net::BurstResult send(Outcome& outcome) {
    std::uint16_t count = 0;
    for (const std::uint16_t length : plan_.lengths) {
      mbufs_[count] = rte_pktmbuf_alloc(pool());
      require(mbufs_[count] != nullptr);
      std::memset(rte_pktmbuf_append(mbufs_[count], length), 0x40 + count, length);
      ++count;
    }
    const auto result = net::enqueue(context(), mbufs_.data(), count);
    rte_pktmbuf_free_bulk(mbufs_.data(), count);
    if (gave_up() || broken()) return result;
    MutatingRing::for_each_buffer([&](std::uint64_t at, std::uint64_t size) {
      outcome.packets.emplace_back(guest_.at(at), guest_.at(at) + size);
    });
    return result;
  }

  net::BurstResult transfer(Outcome& outcome) {
    static const auto burst = std::make_unique<net::PeekedBurst>();
    auto result = net::peek(context(), plan_.burst, *burst);
    if (result.packets == 0) return result;
    std::uint16_t done = result.packets;
    for (std::uint16_t i = 0; i < result.packets; ++i) add_head(outcome, burst->packets[i]);
    if (plan_.way == Way::move) {
      std::array<std::uint8_t, net::batch_max> which{};
      std::iota(which.begin(), which.end(), std::uint8_t{0});
      done = net::move(receiver_->context(), *burst, which.data(), result.packets).packets;
      for (Bytes& bytes : receiver_->receive()) outcome.packets.push_back(std::move(bytes));
    } else {
      for (std::uint16_t i = 0; i < done; ++i) {
        rte_mbuf* const packet = net::copy_out(*burst, i, pool());
        require(packet != nullptr);
        add_packet(outcome, packet);
      }
    }
    outcome.add(done);
    // peek() may have decided about a call already, for chains that it gave back.
    return {.packets = net::give_back(context(), *burst, done).packets};
  }

  static void add_head(Outcome& outcome, const PeekedPacket& packet) {
    outcome.add(packet.length);
    outcome.packets.emplace_back(packet.head, packet.head + packet.head_length);
  }

  void add_position(Outcome& outcome, std::uint16_t used_before) {
    outcome.add(cursor_.position.avail_next);
    outcome.add(cursor_.position.used_next);
    outcome.add(cursor_.bad_heads);
    outcome.add(cursor_.fault.cause);
    outcome.add(cursor_.fault.head);
    outcome.add(cursor_.fault.a);
    outcome.add(cursor_.fault.b);
    for (const std::uint64_t value : counters_.snapshot().values) outcome.add(value);
    if (ring_.is_packed()) return add_used_descriptors(outcome, used_before);
    for (std::uint16_t i = used_before; i != cursor_.position.used_next; ++i) {
      const auto& element = guest_.at_as<test::UsedElement>(MutatingRing::used + 4)[i % ring_.size];
      outcome.add(element.head);
      outcome.add(element.length);
    }
  }

  /// A look ahead may have come to what was used in this burst: then it is where the guest keeps the other version.
  void add_used_descriptors(Outcome& outcome, std::uint16_t used_before) {
    constexpr std::uint16_t both = virtqueue::packed_avail_flag | virtqueue::packed_used_flag;
    for (virtqueue::PackedPosition place{used_before}; place.value != cursor_.position.used_next;
         place = place.after(1, ring_.size))
      for (const auto* const version : std::initializer_list<const test::FakeGuest*>{&guest_, &world_.hostile}) {
        const auto& one = version->at_as<test::GuestPackedDescriptor>(MutatingRing::table)[place.index()];
        if ((one.flags & both) != place.used()) continue;
        outcome.add(one.id);
        outcome.add(one.length);
        break;
      }
  }

  MutatingGuest& world_;
  const MutatingRing& ring_;
  const Plan& plan_;
  const test::FakeGuest& guest_;
  const memory::GuestMemory& memory_;
  virtqueue::AnyLayout layout_;
  virtqueue::VringCursor cursor_;
  net::RingCounters counters_;
  std::unique_ptr<Loans> loans_;
  std::unique_ptr<Receiver> receiver_;
  std::array<rte_mbuf*, 32> mbufs_{};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::start_eal();
  static MutatingGuest world(MutatingRing::places());
  Choices choices(data, size);
  const Plan plan = make_plan(choices);
  const bool packed = size != 0 && data[0] / ways % 2 == 1;
  const auto kind = packed ? virtqueue::RingKind::packed : virtqueue::RingKind::split;
  const std::uint64_t pattern = choices.one_in(2) ? ~std::uint64_t{0} : choices.number();
  const MutatingRing ring(world, choices, plan.way == Way::enqueue, kind, !is_peeking(plan.way));
  {
    Side real(world, ring, plan, world.real, world.real_memory);
    Side seen(world, ring, plan, world.seen, world.seen_memory);
    for (int i = 0; i < 6 && !real.broken() && !real.gave_up(); ++i) {
      world.synchronise();
      world.start(pattern);
      const Outcome outcome = real.burst();
      world.stop();
      if (!ring.is_comparable()) continue;
      if (real.gave_up()) break;
      const Outcome twin = seen.burst();
      if (real.copied() != seen.copied()) break;
      require_same(outcome, twin);
    }
    require(real.stalls() == 0);
  }
  require(rte_mempool_in_use_count(pool()) == 0);
  return 0;
}
