// SPDX-License-Identifier: BSD-3-Clause
// A ring of either kind with a driver on it, for tests of queues that are the same text for both.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "tests/support/fake_driver.hpp"
#include "virtqueue/any_layout.hpp"

namespace vhostx::test {

struct SplitKind {
  using Layout = virtqueue::RingLayout;
  static constexpr auto kind = virtqueue::RingKind::split;
  static constexpr std::uint16_t powers_of_two = 1;
  /// Where both sides begin so that they soon come to the end of the index.
  static constexpr std::uint16_t late(std::uint16_t) { return 65530; }
  static Layout& of(virtqueue::AnyLayout& layout) { return layout.split; }
  static auto queue(const Layout& layout, virtqueue::VringCursor& cursor) {
    return virtqueue::SplitQueue(layout, cursor);
  }
};

struct PackedKind {
  using Layout = virtqueue::PackedLayout;
  static constexpr auto kind = virtqueue::RingKind::packed;
  static constexpr std::uint16_t powers_of_two = 0;
  static constexpr std::uint16_t late(std::uint16_t size) { return static_cast<std::uint16_t>(size - 1); }
  static Layout& of(virtqueue::AnyLayout& layout) { return layout.packed; }
  static auto queue(const Layout& layout, virtqueue::VringCursor& cursor) {
    return virtqueue::PackedQueue(layout, cursor);
  }
};

template <typename Kind>
struct QueueRing {
  explicit QueueRing(std::uint16_t size, virtqueue::RingFeatures features = {})
      : driver(guest, size, features, Kind::kind), memory(guest.map()), any(*driver.lay_out_any(*memory)) {
    cursor.position = driver.start();
  }
  void start_at(std::uint16_t index) {
    driver.start_at(index);
    cursor.position = driver.start();
  }

  auto queue() { return Kind::queue(layout, cursor); }
  /// Takes everything, gives it back, publishes. The ids taken.
  std::vector<std::uint16_t> turn(std::uint32_t written = 1) {
    auto one = queue();
    std::vector<std::uint16_t> ids;
    for (virtqueue::Chain chain; one.take(chain) == virtqueue::Take::chain;) {
      ids.push_back(chain.id);
      one.give_back(chain, written);
    }
    called = one.publish() && one.needs_call();
    return ids;
  }
  void post() { driver.chain().writable(1).publish(); }

  FakeGuest guest;
  FakeDriver driver;
  std::shared_ptr<const memory::GuestMemory> memory;
  virtqueue::AnyLayout any;
  typename Kind::Layout& layout = Kind::of(any);
  virtqueue::VringCursor cursor;
  bool called = false;
};

}  // namespace vhostx::test
