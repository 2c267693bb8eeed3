// SPDX-License-Identifier: BSD-3-Clause
// The driver of vhostx-bench against the device's side of virtqueue/, in one process (VIRTIO 1.2, 2.7 and 2.8).
#include <array>
#include <memory>
#include <numeric>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "memory/guest_memory.hpp"
#include "tools/driver/dirty_pages.hpp"
#include "tools/driver/driver_ring.hpp"
#include "virtqueue/chain_walker.hpp"
#include "virtqueue/packed_queue.hpp"
#include "virtqueue/split_queue.hpp"

namespace vhostx::tools::bench {
namespace {

using virtqueue::Chain;
using virtqueue::Direction;
using virtqueue::Take;

constexpr std::uint32_t buffer_bytes = 256;

struct Split {
  using Queue = virtqueue::SplitQueue<>;
  using Layout = virtqueue::RingLayout;
  static constexpr bool packed = false;
  static constexpr std::array<std::uint16_t, 2> places{65535, 20};
  static constexpr std::size_t available_bytes = virtqueue::AvailRing::extent(8, true);
  static Result<Layout> lay_out(const memory::GuestMemory& memory, const virtqueue::RingAddresses& at,
                                std::uint32_t size, virtqueue::RingFeatures features) {
    return virtqueue::lay_out_ring(memory, at, size, features);
  }
};

struct Packed {
  using Queue = virtqueue::PackedQueue<>;
  using Layout = virtqueue::PackedLayout;
  static constexpr bool packed = true;
  static constexpr std::array<std::uint16_t, 2> places{7, 0x8003};  // in the second lap, and in a first one
  static constexpr std::size_t available_bytes = virtqueue::PackedEvent::bytes;
  static Result<Layout> lay_out(const memory::GuestMemory& memory, const virtqueue::RingAddresses& at,
                                std::uint32_t size, virtqueue::RingFeatures features) {
    return virtqueue::lay_out_packed(memory, at, size, features);
  }
};

template <typename Kind = Split>
DriverRingOptions ring_of(std::uint16_t size, ChainLayout layout = ChainLayout::one, bool device_writes = false) {
  return {.size = size,
          .packed = Kind::packed,
          .layout = layout,
          .device_writes = device_writes,
          .buffer_bytes = buffer_bytes};
}

/// A ring, and the device that looks at it through memory of its own mapping.
template <typename Kind = Split>
struct Link {
  using Queue = typename Kind::Queue;

  explicit Link(const DriverRingOptions& options, unsigned regions = 1)
      : shared(*SharedMemory::create(DriverRing::memory_bytes(options), regions, DriverRing::piece_bytes_max(options))),
        ring(*DriverRing::create(shared, options)) {
    std::vector<std::shared_ptr<const memory::MappedRegion>> mapped;
    for (std::size_t i = 0; i < shared.region_count(); ++i) {
      const auto region = shared.description(i);
      const memory::RegionDescription description{
          .guest = {region.guest_address}, .front_end = {region.front_end_address}, .size = region.size};
      mapped.push_back(*memory::MappedRegion::map(description, UniqueFd(::dup(shared.fd(i)))));
    }
    memory = *memory::GuestMemory::create(std::move(mapped), {});
    const auto at = ring.addresses(0);
    layout = *Kind::lay_out(*memory, {{at.descriptor}, {at.available}, {at.used}}, options.size,
                            {.indirect = options.layout == ChainLayout::indirect, .event_idx = options.event_idx});
    begin_at(static_cast<std::uint16_t>(ring.base()));
    cursor.position.notifications = true;
  }

  void begin_at(std::uint16_t place) {
    cursor.position = {.avail_next = place, .used_next = place, .used_signalled = place};
  }
  static std::size_t size_of(const memory::HostSpan& span) { return span.size; }
  static std::size_t size_of(const memory::WritableSpan& span) { return span.size(); }

  /// Takes one chain. Its pieces' lengths.
  template <Direction direction>
  std::vector<std::size_t> take(Queue& queue, Chain& chain) {
    using Walker = typename Queue::template Walker<direction>;
    std::vector<std::size_t> pieces;
    if (queue.take(chain) != Take::chain) return pieces;
    Walker walker = queue.template walk<direction>(chain, *memory, cursor.hint);
    typename Walker::Span span;
    auto step = walker.next(span);
    for (; step == Walker::Step::buffer; step = walker.next(span)) pieces.push_back(size_of(span));
    EXPECT_EQ(step, Walker::Step::end);
    return pieces;
  }
  /// The device gives an id back, whatever it is.
  void give_back(std::uint16_t id, std::uint32_t written = 0) {
    Queue queue(layout, cursor);
    queue.give_back_kept({.id = id, .entries = DriverChains::entries(ring.options().layout)}, written);
    queue.publish();
  }
  bool kicked() const {
    std::uint64_t count = 0;
    return ::read(ring.kick_fd(), &count, sizeof count) == sizeof count;
  }
  /// Of chain 0: shown to the device, taken by it, and given back.
  bool use_one() {
    ring.post(0, 76);
    ring.publish();
    Queue queue(layout, cursor);
    Chain chain;
    EXPECT_EQ(queue.take(chain), Take::chain);
    queue.give_back(chain, 0);
    queue.publish();
    const bool call = queue.needs_call();
    EXPECT_EQ(ring.used_waiting(), 1);
    ring.take(1, [](std::uint16_t) {});
    return call;
  }

  SharedMemory shared;
  DriverRing ring;
  std::shared_ptr<const memory::GuestMemory> memory;
  typename Kind::Layout layout;
  virtqueue::VringCursor cursor;
};

template <typename Kind>
class DriverRings : public testing::Test {};

struct KindName {
  template <typename Kind>
  static std::string GetName(int) {
    return Kind::packed ? "Packed" : "Split";
  }
};
using Kinds = testing::Types<Split, Packed>;
TYPED_TEST_SUITE(DriverRings, Kinds, KindName);

TYPED_TEST(DriverRings, LayPacketsOutAsTheyWereTold) {
  const std::vector<std::pair<ChainLayout, std::vector<std::size_t>>> cases{
      {ChainLayout::one, {12 + 64}}, {ChainLayout::two, {12, 64}}, {ChainLayout::indirect, {12, 64}}};
  for (const auto& [layout, pieces] : cases) {
    for (const bool device_writes : {false, true}) {
      Link<TypeParam> link(ring_of<TypeParam>(8, layout, device_writes));
      EXPECT_EQ(link.ring.chain_count(), layout == ChainLayout::two ? 4 : 8);
      link.ring.post(1, 12 + 64);
      link.ring.publish();
      typename TypeParam::Queue queue(link.layout, link.cursor);
      Chain chain;
      EXPECT_EQ(device_writes ? link.template take<Direction::writable>(queue, chain)
                              : link.template take<Direction::readable>(queue, chain),
                pieces);
      queue.give_back(chain, 0);
      queue.publish();
    }
  }
}

/// Over the end of a split ring's index too, and with chains that wrap round the end of a packed ring.
TYPED_TEST(DriverRings, TakeEveryBufferBackThroughManyWraps) {
  for (const ChainLayout layout : {ChainLayout::one, ChainLayout::two, ChainLayout::indirect}) {
    Link<TypeParam> link(ring_of<TypeParam>(TypeParam::packed ? 7 : 8, layout), 3);
    const std::uint16_t chains = link.ring.chain_count();
    for (unsigned round = 0; round < 20'000; ++round) {
      for (std::uint16_t chain = 0; chain < chains; ++chain) link.ring.post(chain, 76);
      EXPECT_EQ(link.ring.used_waiting(), 0);
      link.ring.publish();
      typename TypeParam::Queue queue(link.layout, link.cursor);
      std::uint32_t written = 0;
      for (Chain chain; queue.take(chain) == Take::chain;) queue.give_back(chain, written++);
      ASSERT_EQ(written, chains);
      ASSERT_TRUE(queue.publish());
      ASSERT_EQ(link.ring.used_waiting(), chains);
      unsigned expected = 0;
      for (std::uint16_t i = 0; i < chains; ++i) EXPECT_EQ(link.ring.peek(i).length, i);
      link.ring.take(chains, [&](std::uint16_t chain) { EXPECT_EQ(chain, expected++); });
    }
    EXPECT_EQ(link.ring.outstanding(), 0);
    EXPECT_EQ(link.ring.fault(), "");
  }
}

TEST(DriverRing, BuffersLieSideBySideBehindTheHeader) {
  const Link<> link(ring_of(8));
  for (std::uint16_t i = 0; i < 8; ++i) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(link.ring.buffer(i) + 12) % 64, 0U);
    EXPECT_EQ(link.ring.buffer(i), link.ring.buffer(0) + i * buffer_bytes);
  }
}

TYPED_TEST(DriverRings, RememberABufferThatTheDeviceNeverHad) {
  Link<TypeParam> link(ring_of<TypeParam>(8));
  link.ring.post(2, 76);
  link.ring.publish();
  link.give_back(5);
  link.give_back(77);
  link.give_back(2);
  link.give_back(2);
  unsigned taken = 0;
  link.ring.take(link.ring.used_waiting(), [&](std::uint16_t) { ++taken; });
  EXPECT_EQ(taken, 1U);
  EXPECT_EQ(link.ring.fault(), "3 used buffers that were not with the back-end (the first: id 5)");
}

TYPED_TEST(DriverRings, KickOnlyWhenTheDeviceWantsIt) {
  for (const bool event_idx : {false, true}) {
    auto options = ring_of<TypeParam>(8);
    options.event_idx = event_idx;
    Link<TypeParam> link(options);
    virtqueue::set_notifications(link.layout, link.cursor, true);
    link.ring.post(0, 76);
    link.ring.publish();
    EXPECT_FALSE(link.kicked());
    link.ring.notify();
    EXPECT_TRUE(link.kicked());
    if (!event_idx) virtqueue::set_notifications(link.layout, link.cursor, false);
    link.ring.post(1, 76);  // with event index, the device has not asked for another one
    link.ring.publish();
    link.ring.notify();
    EXPECT_FALSE(link.kicked());
  }
}

/// Of what was published since the last time, the device asked for one anywhere: in another lap too.
TEST(DriverRing, KicksWhenAPlaceIsPassedOfAPackedRing) {
  for (unsigned before = 0; before < 20; ++before) {
    for (unsigned place = 0; place < 8; ++place) {
      auto options = ring_of<Packed>(7);
      options.event_idx = true;
      Link<Packed> link(options);
      for (unsigned i = 0; i < before; ++i) link.use_one();
      link.ring.notify();
      link.kicked();
      const virtqueue::PackedPosition next{link.cursor.position.avail_next};
      link.layout.device.store(virtqueue::NoMarks(), {next.after(place, 7), virtqueue::PackedEvent::at_place});
      for (std::uint16_t chain = 0; chain < 5; ++chain) link.ring.post(chain, 76);
      link.ring.publish();
      link.ring.notify();
      EXPECT_EQ(link.kicked(), place < 5) << before << " before, place " << place;
    }
  }
}

TEST(DriverRing, LeavesAloneWhatSaysTheSameAlready) {
  for (const bool rewrite : {false, true}) {
    auto options = ring_of(8);
    options.rewrite = rewrite;
    Link<> link(options);
    const auto at = link.ring.addresses(0);
    const auto descriptors = reinterpret_cast<virtqueue::Descriptor*>(at.descriptor);
    const auto avail = reinterpret_cast<std::uint16_t*>(at.available) + 2;
    const auto lap = [&](std::uint32_t bytes) {
      for (std::uint16_t chain = 0; chain < 8; ++chain) link.ring.post(chain, bytes);
      link.ring.publish();
      for (std::uint16_t chain = 0; chain < 8; ++chain) link.give_back(chain);
      link.ring.take(link.ring.used_waiting(), [](std::uint16_t) {});
    };
    lap(76);
    descriptors[3].length = 1;  // not by the ring: whether it writes is to be seen
    avail[5] = 1;
    lap(76);
    EXPECT_EQ(descriptors[3].length, rewrite ? 76U : 1U);
    EXPECT_EQ(avail[5], rewrite ? 5U : 1U);
    lap(77);
    EXPECT_EQ(descriptors[3].length, 77U);
  }
}

TYPED_TEST(DriverRings, WriteWhatIsToBeOtherThanBefore) {
  for (const ChainLayout layout : {ChainLayout::one, ChainLayout::two, ChainLayout::indirect}) {
    Link<TypeParam> link(ring_of<TypeParam>(8, layout));
    for (unsigned turn = 0; turn < 64; ++turn) {
      typename TypeParam::Queue queue(link.layout, link.cursor);
      const auto number = static_cast<std::uint16_t>(turn * turn % 4);
      const std::size_t bytes = 76 + turn % 3;
      link.ring.post(number, static_cast<std::uint32_t>(bytes));
      link.ring.publish();
      Chain chain;
      const auto pieces = link.template take<Direction::readable>(queue, chain);
      EXPECT_EQ(std::accumulate(pieces.begin(), pieces.end(), std::size_t{0}), bytes);
      queue.give_back(chain, 0);
      queue.publish();
      link.ring.take(link.ring.used_waiting(), [&](std::uint16_t taken) { EXPECT_EQ(taken, number); });
    }
    EXPECT_EQ(link.ring.fault(), "");
  }
}

/// The device sees nothing of a burst before the flags of its first descriptor, which come last.
TEST(DriverRing, ShowsABurstOfAPackedRingWhole) {
  Link<Packed> link(ring_of<Packed>(8));
  const auto seen = [&] { return virtqueue::PackedQueue<>(link.layout, link.cursor).ready(); };
  link.ring.post(0, 76);
  for (std::uint16_t chain = 1; chain < 5; ++chain) link.ring.post(chain, 76);
  EXPECT_EQ(seen(), 0);
  link.ring.publish();
  EXPECT_EQ(seen(), 5);
}

TYPED_TEST(DriverRings, LookAtTheDevicesSideOnlyWhenTheyKnowOfTooFew) {
  Link<TypeParam> link(ring_of<TypeParam>(8));
  for (std::uint16_t chain = 0; chain < 4; ++chain) link.ring.post(chain, 76);
  link.ring.publish();
  link.give_back(0);
  link.give_back(1);
  EXPECT_EQ(link.ring.used_waiting(2), 2);
  link.give_back(2);
  EXPECT_EQ(link.ring.used_waiting(2), 2);
  EXPECT_EQ(link.ring.used_waiting(3), 3);
}

TYPED_TEST(DriverRings, BeginAndRestartWhereTheyAreTold) {
  auto options = ring_of<TypeParam>(8);
  options.first_index = TypeParam::places[0];
  Link<TypeParam> link(options);
  const auto use_two = [&](std::uint16_t place) {
    EXPECT_EQ(link.ring.base(), TypeParam::packed ? place * 0x1'0001U : place);
    link.begin_at(place);
    for (std::uint16_t chain = 3; chain <= 4; ++chain) link.ring.post(chain, 76);
    link.ring.publish();
    typename TypeParam::Queue queue(link.layout, link.cursor);
    for (Chain chain; queue.take(chain) == Take::chain;) queue.give_back(chain, 0);
    queue.publish();
    EXPECT_EQ(link.ring.used_waiting(), 2);
    EXPECT_EQ(link.ring.peek(1).chain, 4);
  };
  use_two(TypeParam::places[0]);
  link.ring.restart_at(TypeParam::places[1]);  // nothing was taken back: all of it is forgotten
  EXPECT_EQ(link.ring.outstanding(), 0);
  EXPECT_EQ(link.ring.used_waiting(), 0);
  use_two(TypeParam::places[1]);
  EXPECT_EQ(link.ring.fault(), "");
}

TEST(SharedMemory, MovesIntoNewFilesUnseen) {
  Link<> link(ring_of(8), 2);
  link.ring.buffer(2)[0] = 0x5a;
  ASSERT_TRUE(link.shared.replace_files());
  EXPECT_EQ(link.ring.buffer(2)[0], 0x5a) << "what was there is there";
  link.ring.post(0, 76);
  link.ring.publish();
  virtqueue::SplitQueue queue(link.layout, link.cursor);
  Chain chain;
  EXPECT_EQ(queue.take(chain), Take::empty) << "a device that keeps the old files sees nothing";
}

/// A guest that moves while its device writes has what was copied, page by page, and nothing else.
TEST(SharedMemory, MovesPageByPage) {
  auto memory = *SharedMemory::create(1 << 20, 2, 1 << 20);
  ASSERT_EQ(memory.region_count(), 2U);
  std::vector<std::uint8_t*> pages;  // the last is in the second region
  do pages.push_back(memory.allocate(4096, 4096).at);
  while (memory.guest_address(pages.back()) < memory.description(1).guest_address);
  ASSERT_GT(pages.size(), 3U);
  const auto number = [&](std::size_t page) { return memory.guest_address(pages[page]) / 4096; };
  const std::size_t last = pages.size() - 1;
  pages[0][7] = pages[1][7] = pages[2][7] = pages[last][7] = 1;
  ASSERT_TRUE(memory.begin_copy());
  memory.copy_all();
  pages[0][7] = pages[1][7] = pages[2][7] = pages[last][7] = 2;
  memory.copy_page(number(0));
  memory.copy_page(number(last));
  memory.copy_page(number(last) + 100'000);  // nowhere
  memory.copy_bytes(pages[2] + 100, 1);
  ASSERT_TRUE(memory.adopt_copy());
  EXPECT_EQ(pages[0][7], 2);
  EXPECT_EQ(pages[1][7], 1) << "nobody said that it was written again";
  EXPECT_EQ(pages[2][7], 2) << "all of a page of which a byte was named";
  EXPECT_EQ(pages[last][7], 2);
  EXPECT_EQ(memory.guest_address(&memory), 0U) << "no address of the guest's";
  EXPECT_EQ(memory.guest_end(), memory.description(1).guest_address + memory.description(1).size);
}

TYPED_TEST(DriverRings, NameWhatTheDriverWrites) {
  for (const bool device_writes : {false, true}) {
    Link<TypeParam> link(ring_of<TypeParam>(8, ChainLayout::indirect, device_writes));
    const auto buffer = reinterpret_cast<std::uint64_t>(link.ring.buffer(3));
    const auto at = link.ring.addresses(0);
    bool descriptors = false;
    bool avail = false;
    bool written_buffer = false;
    link.ring.for_each_written([&](const void* begin, std::size_t bytes) {
      const auto from = reinterpret_cast<std::uint64_t>(begin);
      const auto has = [&](std::uint64_t address) { return from <= address && address < from + bytes; };
      descriptors |= has(at.descriptor) && has(at.descriptor + 8 * 16 - 1);
      avail |= has(at.available) && has(at.available + TypeParam::available_bytes - 1);
      written_buffer |= has(buffer) && has(buffer + buffer_bytes - 1);
      EXPECT_FALSE(has(at.used)) << "the device writes it";
    });
    EXPECT_TRUE(descriptors && avail);
    EXPECT_EQ(written_buffer, !device_writes);
  }
}

TEST(DirtyPages, AreTakenOnce) {
  auto log = *DirtyPages::create((std::uint64_t{1} << 30) + 1);
  EXPECT_EQ(log.bytes(), ((std::uint64_t{1} << 30) / 4096 / 64 + 1) * 8) << "whole words";
  const auto size = log.bytes();
  auto* const bits = static_cast<std::uint8_t*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, log.fd(), 0));
  ASSERT_NE(bits, MAP_FAILED);
  bits[0] = 0x81;
  bits[size - 1] = 0x40;
  std::vector<std::uint64_t> pages;
  EXPECT_EQ(log.take([&](std::uint64_t page) { pages.push_back(page); }), 3U);
  EXPECT_EQ(pages, (std::vector<std::uint64_t>{0, 7, size * 8 - 2}));
  EXPECT_EQ(log.take([](std::uint64_t) {}), 0U);
  ::munmap(bits, size);
}

TYPED_TEST(DriverRings, WantCallsOnlyWhenAsked) {
  for (const bool event_idx : {false, true}) {
    auto options = ring_of<TypeParam>(8);
    options.event_idx = event_idx;
    Link<TypeParam> link(options);
    link.cursor.position.signalled_valid = true;
    EXPECT_FALSE(link.use_one());
    EXPECT_FALSE(link.ring.want_calls(true));
    EXPECT_TRUE(link.use_one());
    link.ring.want_calls(false);
    EXPECT_FALSE(link.use_one());
  }
}

}  // namespace
}  // namespace vhostx::tools::bench
