// SPDX-License-Identifier: BSD-3-Clause
// Life: a back-end on a ring whose chains are recorded, which may end after any store that another process could see.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <vector>

#include "virtqueue/chain.hpp"

namespace vhostx::test {

using namespace virtqueue;

/// Where a Life keeps guest memory.
inline constexpr std::uint64_t recorded_at = 0x10'0000;
inline constexpr std::size_t recorded_bytes = 1 << 14;

/// A back-end that does anything its layers above may do, by chance, and may end after any store.
template <typename Ring>
class Life {
 public:
  Life(Ring& ring, std::uint32_t seed) : ring_(ring), random_(seed) { ring_.open(); }

  /// Ends after `stores` of them. True: it did; then memory is as it left it. False: there were not that many.
  bool run(int bursts, std::size_t stores) {
    std::size_t left = stores;
    bool ended = false;
    std::vector<std::uint8_t> guest, record;
    ring_.stored = [&] {
      if (left == 0 || --left != 0) return;
      guest.assign(ring_.guest.at(recorded_at), ring_.guest.at(recorded_at) + recorded_bytes);
      record = ring_.file.copy();
      ended = true;
    };
    for (int i = 0; i < bursts && !ended; ++i) {
      drive();
      burst();
    }
    ring_.stored = [] {};
    if (!ended) return false;
    std::copy(guest.begin(), guest.end(), ring_.guest.at(recorded_at));
    ring_.file.restore(record);
    return true;
  }

  /// Serves all there is and gives all back.
  void finish() {
    ring_.reap();
    for (int i = 0; i < 4; ++i) {
      auto queue = ring_.queue();
      for (const Chain& chain : kept_) queue.give_back_kept(chain, 0);
      kept_.clear();
      queue.give_back_all();
      queue.publish();
      ring_.reap();
    }
  }

 private:
  using Queue = typename Ring::Queue;

  std::uint32_t below(std::uint32_t bound) {
    return std::uniform_int_distribution<std::uint32_t>(0, bound - 1)(random_);
  }

  void drive() {
    ring_.reap();
    for (std::uint32_t i = below(4); i != 0 && ring_.driver.free_descriptors() != 0; --i) ring_.post();
  }

  void burst() {
    auto queue = ring_.queue();
    if (below(3) == 0) give_kept(queue);
    for (std::uint32_t i = below(5); i != 0; --i) step(queue);
    if (below(3) == 0) give_kept(queue);
    if (queue.publish()) queue.needs_call();
  }

  void step(Queue& queue) {
    const auto mark = queue.mark();
    Chain chain;
    if (below(4) == 0) return batch(queue);
    if (queue.take(chain) != Take::chain) return;
    switch (below(5)) {
      case 0:  // a packet that did not fit
        queue.give_back(chain, 0);
        if (queue.take(chain) == Take::chain) queue.give_back(chain, 0);
        return queue.rewind(mark);
      case 1:
        return queue.untake(chain);
      case 2:
      case 3:
        kept_.push_back(chain);
        return queue.keep(1);
      default:
        return queue.give_back(chain, 7);
    }
  }

  void batch(Queue& queue) {
    typename Queue::template Batch<Shape<Direction::readable, 0, 1, 100>> batch;
    const auto wanted = std::min<std::uint16_t>(batch_max, queue.ready());
    const auto count = batch.load(queue, *ring_.memory, wanted, 100, hint_);
    const auto given = static_cast<std::uint16_t>(below(count + 1U));
    for (std::uint16_t i = given; i < count; ++i) kept_.push_back(queue.chain(batch.chains(), i));
    queue.give_back(batch.chains(), 0, given, [](std::size_t) { return 0U; });
    queue.keep(static_cast<std::uint16_t>(count - given));
    queue.take(batch.chains(), count);
  }

  void give_kept(Queue& queue) {
    for (std::uint32_t i = below(4); i != 0 && !kept_.empty(); --i) {
      const auto which = kept_.begin() + static_cast<std::ptrdiff_t>(below(static_cast<std::uint32_t>(kept_.size())));
      queue.give_back_kept(*which, 0);
      kept_.erase(which);
    }
  }

  Ring& ring_;
  std::minstd_rand random_;
  std::vector<Chain> kept_;
  memory::GuestMemory::Hint hint_;
};

}  // namespace vhostx::test
