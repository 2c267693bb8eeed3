// SPDX-License-Identifier: BSD-3-Clause
// Packed rings of one to five entries, exhaustively over the flags of every descriptor, from every place and with both
// wrap counters, against a model that looks at one descriptor after the other: the same chains, one by one and in a
// batch; the same faults; the same ring afterwards.
//
//   one to three entries  all 32 combinations of NEXT, WRITE, INDIRECT, AVAIL and USED in each
//   four and five         what a driver, a device and a stale chain leave there: available alone, linked, indirect and
//   of
//                         the wrong direction; the same of the other lap; used in either lap
#include <array>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "tests/virtqueue/queue_ring.hpp"

namespace vhostx::virtqueue {
namespace {

using test::GuestPackedDescriptor;

constexpr std::uint16_t next_flag = Descriptor::next_flag;
constexpr std::uint16_t write_flag = Descriptor::write_flag;
constexpr std::uint16_t indirect_flag = Descriptor::indirect_flag;
constexpr std::uint32_t header = 12;
using TestShape = Shape<Direction::writable, header, 1, 65535>;

struct ModelChain {
  std::uint16_t id = 0;
  std::uint32_t at = 0;
  std::uint32_t entries = 0;
  std::vector<std::uint32_t> pieces;
  VringFaultCause fault = VringFaultCause::none;  // of the walk
  bool has_table = false;

  bool is_simple() const {
    if (fault != VringFaultCause::none || entries > (has_table ? 1 : 2)) return false;
    return (pieces.size() == 1 && pieces[0] > header) || (pieces.size() == 2 && pieces[0] == header);
  }
};

struct Model {
  std::vector<ModelChain> chains;
  bool endless = false;  // what comes after them is a chain that is longer than the ring
};

class SmallPackedRings : public ::testing::Test {
 protected:
  static constexpr std::uint32_t size_max = 5;

  SmallPackedRings() {
    for (std::uint32_t i = 0; i < 2; ++i) guest_.at_as<GuestPackedDescriptor>(table_)[i] = {room_, 40 - 28 * i, 0, 2};
    std::swap(guest_.at_as<GuestPackedDescriptor>(table_)[0], guest_.at_as<GuestPackedDescriptor>(table_)[1]);
  }
  ~SmallPackedRings() override {
    std::printf("%s: %llu cases\n", ::testing::UnitTest::GetInstance()->current_test_info()->name(),
                static_cast<unsigned long long>(cases_));
  }

  void try_all(std::uint32_t size, const std::vector<std::uint16_t>& kinds) {
    start(size);
    std::vector<std::size_t> which(size, 0);
    for (;;) {
      for (std::uint32_t i = 0; i < size; ++i) flags_[i] = kinds[which[i]];
      for (std::uint32_t place = 0; place < 2 * size && !HasFatalFailure(); ++place)
        try_ring(PackedPosition{}.after(place % size, size).value ^ (place < size ? 0 : PackedPosition::wrap_bit));
      std::uint32_t i = 0;
      while (i < size && ++which[i] == kinds.size()) which[i++] = 0;
      if (i == size || HasFatalFailure()) return;
    }
  }

 private:
  void start(std::uint32_t size) {
    size_ = size;
    const auto at = [this](std::uint64_t address) { return guest_.front_end(address); };
    layout_ = *lay_out_packed(*memory_, {at(ring_), at(events_), at(events_ + 4)}, size, {.indirect = true});
  }

  void try_ring(int place) {
    ++cases_;
    const PackedPosition from{static_cast<std::uint16_t>(place)};
    const Model model = make_model(from);
    write_ring();
    ASSERT_NO_FATAL_FAILURE(look_in_a_batch(from, model));
    ASSERT_NO_FATAL_FAILURE(take_one_by_one(from, model));
    expect_used(from, model);
    if (HasFailure()) describe(from);
  }

  void write_ring() {
    for (std::uint32_t i = 0; i < size_; ++i)
      guest_.at_as<GuestPackedDescriptor>(ring_)[i] = {(flags_[i] & indirect_flag) != 0 ? table_ : room_, length(i),
                                                       id(i), flags_[i]};
  }
  /// The net header alone, header and more, less than it; tables of one and of two.
  std::uint32_t length(std::uint32_t i) const {
    if ((flags_[i] & indirect_flag) != 0) return i % 2 == 0 ? 32 : 16;
    return std::array<std::uint32_t, size_max>{header, 76, header, 60, 4}[i];
  }
  static std::uint16_t id(std::uint32_t i) { return static_cast<std::uint16_t>(0xfff0 + i); }

  Model make_model(PackedPosition from) const {
    Model model;
    std::uint32_t index = from.index();
    bool wrap = from.wrap();
    for (std::uint32_t left = size_; left != 0;) {
      const bool avail = (flags_[index] & packed_avail_flag) != 0;
      const bool used = (flags_[index] & packed_used_flag) != 0;
      if (avail != wrap || used == wrap) break;
      ModelChain chain{.at = index};
      for (bool more = true; more; --left, ++chain.entries) {
        if (left == 0) {
          model.endless = true;
          return model;
        }
        chain.id = id(index);
        more = (flags_[index] & next_flag) != 0;
        if (++index == size_) {
          index = 0;
          wrap = !wrap;
        }
      }
      walk(chain);
      model.chains.push_back(chain);
    }
    return model;
  }
  void walk(ModelChain& chain) const {
    for (std::uint32_t i = 0; i < chain.entries && chain.fault == VringFaultCause::none; ++i) {
      const std::uint32_t index = (chain.at + i) % size_;
      const bool table = (flags_[index] & indirect_flag) != 0;
      if (table && (flags_[index] & next_flag) != 0)
        chain.fault = VringFaultCause::bad_indirect;
      else if (!table && (flags_[index] & write_flag) == 0)
        chain.fault = VringFaultCause::wrong_direction;
      else if (table)
        add_table(chain, length(index) / 16, size_ - i);
      else
        chain.pieces.push_back(length(index));
    }
  }
  /// `most`: descriptors that a chain may still have.
  static void add_table(ModelChain& chain, std::uint32_t entries, std::uint32_t most) {
    chain.has_table = true;
    chain.pieces.push_back(header);
    if (entries == 2 && most >= 2)
      chain.pieces.push_back(40);
    else if (entries == 2)
      chain.fault = VringFaultCause::chain_too_long;
  }

  void look_in_a_batch(PackedPosition from, const Model& model) {
    VringCursor cursor{.position = {.avail_next = from.value, .used_next = from.value}};
    PackedQueue queue(layout_, cursor);
    memory::GuestMemory::Hint hint = hint_;
    auto batch = std::make_unique<PackedQueue<>::Batch<TestShape>>();
    const std::uint16_t found =
        queue.ready() == 0 ? std::uint16_t{0} : batch->load(queue, *memory_, queue.ready(), 1000, hint);
    ASSERT_LE(found, model.chains.size() + 1);
    // Where the last entry that it asks for is not there, it may stop early, and looks again.
    if (found == 0) {
      ASSERT_TRUE(model.chains.empty());
    }
    for (std::uint16_t i = 0; i < found; ++i) {
      if (i == model.chains.size()) {
        ASSERT_TRUE(model.endless);
        ASSERT_FALSE(batch->is_simple(i));
        continue;
      }
      const ModelChain& chain = model.chains[i];
      ASSERT_EQ(batch->id(i), chain.id);
      ASSERT_EQ(batch->is_simple(i), chain.is_simple()) << i;
      if (chain.is_simple()) {
        ASSERT_EQ(batch->simple_chain(i).entries, chain.entries);
        ASSERT_EQ(batch->length(i), chain.pieces.back() - (chain.pieces.size() == 1 ? header : 0));
      }
    }
  }

  void take_one_by_one(PackedPosition from, const Model& model) {
    VringCursor cursor{.position = {.avail_next = from.value, .used_next = from.value}};
    std::optional<PackedQueue<>> queue(std::in_place, layout_, cursor);
    for (std::size_t i = 0; i < model.chains.size(); ++i) {
      const ModelChain& expected = model.chains[i];
      if (i != 0 && queue->ready() == 0) {  // the rest of a chain has not the flags that it should: the next burst sees
        ASSERT_TRUE(queue->publish());      // what is behind it
        queue.emplace(layout_, cursor);
      }
      PackedQueue<>::Single<TestShape> single;
      const bool alone = queue->ready() != 0 && single.find(*queue, hint_, 1000);
      Chain chain;
      ASSERT_EQ(queue->take(chain), Take::chain);
      ASSERT_EQ(chain.id, expected.id);
      ASSERT_EQ(chain.entries, expected.entries);
      ASSERT_EQ(alone,
                expected.is_simple() && expected.entries == 1 && !expected.has_table && expected.pieces[0] > header);
      ASSERT_NO_FATAL_FAILURE(compare_walk(*queue, chain, expected));
      queue->give_back(chain, written(i));
    }
    expect_end(*queue, cursor, model);
  }
  // An endless chain may be one that goes on into chains that were taken: to the next burst, too.
  void expect_end(PackedQueue<>& queue, VringCursor& cursor, const Model& model) {
    Chain chain;
    const bool sees_end = queue.ready() != 0;
    ASSERT_EQ(queue.take(chain), model.endless && sees_end ? Take::invalid : Take::empty);
    ASSERT_EQ(cursor.fault.cause, model.endless && sees_end ? VringFaultCause::chain_too_long : VringFaultCause::none);
    ASSERT_EQ(queue.publish(), !model.chains.empty());
  }

  void compare_walk(const PackedQueue<>& queue, const Chain& chain, const ModelChain& expected) {
    memory::GuestMemory::Hint hint = hint_;
    auto walker = queue.walk<Direction::writable>(chain, *memory_, hint);
    std::vector<std::uint32_t> pieces;
    memory::WritableSpan piece;
    auto step = walker.next(piece);
    for (; step == decltype(walker)::Step::buffer; step = walker.next(piece))
      pieces.push_back(static_cast<std::uint32_t>(piece.size()));
    ASSERT_EQ(pieces, expected.pieces);
    ASSERT_EQ(walker.fault().cause, expected.fault);
    ASSERT_EQ(step == decltype(walker)::Step::invalid, expected.fault != VringFaultCause::none);
    ASSERT_EQ(walker.chain().entries, expected.entries);
  }

  static std::uint32_t written(std::size_t chain) {
    return chain % 3 == 0 ? 0 : static_cast<std::uint32_t>(100 + chain);
  }

  void expect_used(PackedPosition from, const Model& model) {
    std::vector<std::optional<std::size_t>> used(size_);
    std::vector<bool> rest(size_);
    for (std::size_t i = 0; i < model.chains.size(); ++i) {
      const ModelChain& chain = model.chains[i];
      for (std::uint32_t entry = 0; entry < chain.entries; ++entry) {
        used[(chain.at + entry) % size_] = i;
        rest[(chain.at + entry) % size_] = entry != 0;
      }
    }
    for (std::uint32_t i = 0; i < size_; ++i) {
      const auto& found = guest_.at_as<GuestPackedDescriptor>(ring_)[i];
      if (!used[i]) {
        ASSERT_EQ(found.flags, flags_[i]);
        ASSERT_EQ(found.id, id(i));
        continue;
      }
      const bool wrap = from.wrap() == (i >= from.index());
      ASSERT_EQ(found.id, model.chains[*used[i]].id);
      const std::uint32_t length = rest[i] ? 0 : written(*used[i]);
      ASSERT_EQ(found.length, length);
      ASSERT_EQ(found.flags,
                (wrap ? packed_avail_flag | packed_used_flag : 0) | (length != 0 ? write_flag : 0) | next_flag);
    }
  }

  void describe(PackedPosition from) const {
    std::printf("from %u wrap %d:", from.index(), from.wrap() ? 1 : 0);
    for (std::uint32_t i = 0; i < size_; ++i) std::printf(" %#x", flags_[i]);
    std::printf("\n");
  }

  test::FakeGuest guest_{{{0x4000'0000, 0x10000}}};
  const std::shared_ptr<const memory::GuestMemory> memory_ = guest_.map();
  const std::uint64_t ring_ = guest_.allocate(size_max * sizeof(GuestPackedDescriptor), 16);
  const std::uint64_t events_ = guest_.allocate(8, 8);
  const std::uint64_t table_ = guest_.allocate(2 * sizeof(GuestPackedDescriptor), 16);
  const std::uint64_t room_ = guest_.allocate(256);
  memory::GuestMemory::Hint hint_ = [this] {
    memory::GuestMemory::Hint hint;
    memory_->translate_prefix({room_}, 1, hint);
    return hint;
  }();
  PackedLayout layout_;
  std::uint32_t size_ = 0;
  std::array<std::uint16_t, size_max> flags_{};
  std::uint64_t cases_ = 0;
};

std::vector<std::uint16_t> all_flags() {
  std::vector<std::uint16_t> all;
  for (std::uint16_t low = 0; low < 8; ++low)
    for (const int lap : {0, 0x80, 0x8000, 0x8080}) all.push_back(static_cast<std::uint16_t>(low | lap));
  return all;
}
std::vector<std::uint16_t> usual_flags() {
  std::vector<std::uint16_t> all{0, 0x8080};
  for (const int low : {2, 3, 4, 0})
    for (const int lap : {0x80, 0x8000}) all.push_back(static_cast<std::uint16_t>(low | lap));
  return all;
}

TEST_F(SmallPackedRings, OfOneToThreeEntries) {
  for (std::uint32_t size = 1; size <= 3; ++size) try_all(size, all_flags());
}
TEST_F(SmallPackedRings, OfFourEntries) { try_all(4, usual_flags()); }
TEST_F(SmallPackedRings, OfFiveEntries) { try_all(5, usual_flags()); }

}  // namespace
}  // namespace vhostx::virtqueue
