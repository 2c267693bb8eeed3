// SPDX-License-Identifier: BSD-3-Clause
// PackedStub: a packed ring (VIRTIO 1.2, 2.8) that models Virtqueue well enough to show that what stands on the concept
// does not know a split ring. Chains wrap round the end of the ring, ids are no index, used descriptors are kept aside
// until publish(). No indirect tables, no notifications; driver and device are one thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "memory/buffer_translator.hpp"
#include "virtqueue/chain.hpp"
#include "virtqueue/chain_ledger.hpp"
#include "virtqueue/chain_walker.hpp"
#include "virtqueue/ring_marks.hpp"
#include "virtqueue/virtqueue.hpp"
#include "virtqueue/vring_cursor.hpp"
#include "virtqueue/walk_budget.hpp"

namespace vhostx::test {

/// The ring and where its two sides stand in it: a number of descriptors since the beginning.
struct PackedRing {
  struct Descriptor {
    std::uint64_t address = 0;
    std::uint32_t length = 0;
    std::uint16_t id = 0;
    std::uint16_t flags = 0;
  };
  static constexpr std::uint16_t next = 1;
  static constexpr std::uint16_t write = 2;
  static constexpr std::uint16_t avail = 1 << 7;
  static constexpr std::uint16_t used = 1 << 15;

  explicit PackedRing(std::size_t size) : table(size) {}

  Descriptor& at(std::uint64_t position) { return table[position % table.size()]; }
  const Descriptor& at(std::uint64_t position) const { return table[position % table.size()]; }
  /// The wrap counter: 1 in the first lap.
  bool wrap(std::uint64_t position) const { return position / table.size() % 2 == 0; }
  bool is_available(std::uint64_t position) const {
    const std::uint16_t flags = at(position).flags;
    return ((flags & avail) != 0) == wrap(position) && ((flags & used) != 0) != wrap(position);
  }
  bool is_used(std::uint64_t position) const {
    const std::uint16_t flags = at(position).flags;
    return ((flags & avail) != 0) == wrap(position) && ((flags & used) != 0) == wrap(position);
  }

  /// Driver: one chain of these buffers, whose id is in its last descriptor alone.
  void post(std::uint16_t id, const std::vector<std::pair<std::uint64_t, std::uint32_t>>& buffers, bool writable) {
    for (std::size_t i = 0; i < buffers.size(); ++i, ++driver_at) {
      const bool last = i + 1 == buffers.size();
      const auto flags = (last ? 0 : next) | (writable ? write : 0) | (wrap(driver_at) ? avail : used);
      at(driver_at) = {buffers[i].first, buffers[i].second, last ? id : std::uint16_t{0xdead},
                       static_cast<std::uint16_t>(flags)};
    }
    sizes.push_back({id, buffers.size()});
  }
  /// Driver: the next used descriptor, as id and length. False: there is none.
  bool reap(std::pair<std::uint16_t, std::uint32_t>& out) {
    if (!is_used(reaped_at)) return false;
    out = {at(reaped_at).id, at(reaped_at).length};
    const auto found =
        std::find_if(sizes.begin(), sizes.end(), [&](const auto& chain) { return chain.first == out.first; });
    if (found == sizes.end()) return false;  // an id that nobody posted
    reaped_at += found->second;
    sizes.erase(found);
    return true;
  }

  std::vector<Descriptor> table;
  std::uint64_t driver_at = 0;
  std::uint64_t reaped_at = 0;
  std::uint64_t avail_at = 0;  // the device's
  std::uint64_t used_at = 0;
  std::vector<std::pair<std::uint16_t, std::size_t>> sizes;
};

class PackedStub {
  struct Found {
    std::uint64_t at;
    std::uint16_t id;
    std::uint32_t entries;
  };

 public:
  template <virtqueue::Direction direction>
  class Walker {
   public:
    using Span = typename virtqueue::ChainWalker<direction>::Span;
    enum class Step { buffer, end, invalid };

    Walker(const PackedRing& ring, const memory::GuestMemory& memory, memory::GuestMemory::Hint& hint,
           virtqueue::WalkMeter& meter, std::uint64_t at, std::uint16_t id)
        : ring_(ring), memory_(memory), hint_(hint), meter_(meter), at_(at), id_(id) {}

    Step next(Span& span) noexcept {
      if (ended_) return Step::end;
      const PackedRing::Descriptor descriptor = ring_.at(at_ + entries_++);
      meter_.count_descriptor();
      const bool writable = (descriptor.flags & PackedRing::write) != 0;
      const memory::HostSpan found = memory_.translate({descriptor.address}, descriptor.length, hint_);
      if (!found || writable != (direction == virtqueue::Direction::writable)) return Step::invalid;
      if constexpr (direction == virtqueue::Direction::readable)
        span = found;
      else
        span = {found, {descriptor.address}};
      ended_ = (descriptor.flags & PackedRing::next) == 0;
      return Step::buffer;
    }
    VringFault fault() const noexcept { return {VringFaultCause::outside_memory, id_, 0, 0}; }
    bool is_scattered() const noexcept { return false; }
    virtqueue::Chain chain() const noexcept { return {.id = id_, .entries = entries_}; }

   private:
    const PackedRing& ring_;
    const memory::GuestMemory& memory_;
    memory::GuestMemory::Hint& hint_;
    virtqueue::WalkMeter& meter_;
    std::uint64_t at_;
    std::uint16_t id_;
    std::uint32_t entries_ = 0;
    bool ended_ = false;
  };

  /// Simple is what has one descriptor.
  template <typename Shape>
  class Batch {
   public:
    std::uint16_t load(const PackedStub& queue, const memory::GuestMemory& memory, std::uint16_t count,
                       std::uint32_t body_max, memory::GuestMemory::Hint& hint) {
      return load(queue, memory, count, body_max, body_max, hint);
    }
    std::uint16_t load(const PackedStub& queue, const memory::GuestMemory& memory, std::uint16_t count,
                       std::uint32_t small_max, std::uint32_t body_max, memory::GuestMemory::Hint& hint) {
      one_piece_ = all_small_ = true;
      for (std::uint16_t i = 0; i < count; ++i) {
        const Found& found = queue.found_[queue.next_ + i];
        chains_.ids[i] = found.id;
        chains_.entries[i] = static_cast<std::uint16_t>(found.entries);
        const PackedRing::Descriptor descriptor = queue.ring_.at(found.at);
        const std::uint32_t length = descriptor.length - Shape::header_bytes;
        const bool writable = (descriptor.flags & PackedRing::write) != 0;
        const memory::HostSpan span = memory.translate({descriptor.address}, descriptor.length, hint);
        const bool simple = found.entries == 1 && span && descriptor.length >= Shape::header_bytes + Shape::body_min &&
                            writable == (Shape::direction == virtqueue::Direction::writable) && length <= body_max;
        headers_[i] = span.data;
        lengths_[i] = simple ? length : 0;
        one_piece_ = one_piece_ && simple;
        all_small_ = all_small_ && simple && length <= small_max;
      }
      return count;
    }
    bool one_piece() const { return one_piece_; }
    bool all_small() const { return all_small_; }
    bool is_simple(std::uint32_t i) const { return lengths_[i] != 0; }
    const std::uint8_t* header(std::uint32_t i) const { return headers_[i]; }
    template <bool>
    const std::uint8_t* body(std::uint32_t i) const {
      return headers_[i] + Shape::header_bytes;
    }
    const std::uint8_t* body(std::uint32_t i) const { return body<true>(i); }
    std::uint32_t length(std::uint32_t i) const { return lengths_[i]; }
    memory::WritableSpan room(std::uint32_t i, std::uint32_t bytes) const {
      return {{headers_[i], Shape::header_bytes + std::size_t{bytes}}, {}};
    }
    memory::WritableSpan header_room(std::uint32_t i) const { return room(i, 0); }
    memory::WritableSpan body_room(std::uint32_t i, std::uint32_t bytes) const {
      return room(i, bytes).after(Shape::header_bytes);
    }
    template <bool>
    void prefetch_body(std::uint32_t, std::uint32_t) const {}
    std::uint16_t id(std::size_t i) const { return chains_.ids[i]; }
    const virtqueue::ChainList& chains() const { return chains_; }
    virtqueue::Chain simple_chain(std::uint32_t i) const {
      return {.id = chains_.ids[i], .entries = chains_.entries[i]};
    }
    void copy_chains(std::uint16_t, virtqueue::ChainList& to) const { to = chains_; }

   private:
    virtqueue::ChainList chains_;
    std::array<const std::uint8_t*, virtqueue::batch_max> headers_;
    std::array<std::uint32_t, virtqueue::batch_max> lengths_;
    bool one_piece_ = true;
    bool all_small_ = true;
  };

  template <typename Shape>
  class Single {
   public:
    bool find(const PackedStub&, const memory::GuestMemory::Hint&, std::uint32_t) { return false; }
    virtqueue::Chain chain() const { return {}; }
    void copy_chain(virtqueue::ChainList&) const {}
    const std::uint8_t* header() const { return nullptr; }
    const std::uint8_t* body() const { return nullptr; }
    std::uint32_t length() const { return 0; }
    memory::WritableSpan room(std::uint32_t) const { return {}; }
  };

  static constexpr bool has_bad_chains = false;
  static bool can_walk_later(const virtqueue::Chain&) { return true; }

  struct Mark {
    std::size_t next;
    std::size_t shown;
    virtqueue::ChainLedger ledger;
  };

  PackedStub(PackedRing& ring, virtqueue::VringCursor& cursor) : ring_(ring), cursor_(cursor) {
    for (std::uint64_t at = ring.avail_at; at < ring.avail_at + ring.table.size() && ring.is_available(at);) {
      std::uint32_t entries = 1;
      while ((ring.at(at + entries - 1).flags & PackedRing::next) != 0 && entries < ring.table.size()) ++entries;
      found_.push_back({at, ring.at(at + entries - 1).id, entries});
      at += entries;
    }
  }

  std::uint32_t size() const { return static_cast<std::uint32_t>(ring_.table.size()); }
  std::uint16_t ready() { return static_cast<std::uint16_t>(found_.size() - next_); }
  bool is_full() { return next_ == 0 && !found_.empty() && end() - ring_.avail_at == ring_.table.size(); }

  virtqueue::Take take(virtqueue::Chain& chain) {
    if (ready() == 0) return virtqueue::Take::empty;
    chain = {.id = found_[next_].id, .entries = found_[next_].entries};
    ++next_;
    ledger_.add(1);
    return virtqueue::Take::chain;
  }
  std::uint16_t give_back_all() {
    std::uint16_t count = 0;
    for (virtqueue::Chain chain; take(chain) == virtqueue::Take::chain; ++count) give_back(chain, 0);
    return count;
  }
  void take(const virtqueue::ChainList&, std::uint16_t count) {
    next_ += count;
    ledger_.add(count);
  }
  void take(const virtqueue::Chain&) { take(virtqueue::ChainList(), 1); }
  void untake(const virtqueue::Chain&) {
    --next_;
    ledger_.add(-1);
  }
  virtqueue::Chain chain(const virtqueue::ChainList& chains, std::uint32_t i) const {
    return {.id = chains.ids[i], .entries = chains.entries[i]};
  }
  template <virtqueue::Direction direction>
  Walker<direction> walk(const virtqueue::Chain& chain, const memory::GuestMemory& memory,
                         memory::GuestMemory::Hint& hint) const {
    const auto found = std::find_if(found_.begin(), found_.end(), [&](const Found& one) { return one.id == chain.id; });
    return {ring_, memory, hint, cursor_.meter, found->at, chain.id};
  }
  template <typename Store>
  void write(const memory::WritableSpan& to, Store store) const {
    memory::write(virtqueue::NoMarks(), to, store);
  }
  void wrote(const memory::GuestMemory&, const memory::HostSpan&) const {}
  bool skip_bad_chain(std::uint16_t) { return false; }
  std::uint16_t bad_chains() const { return 0; }

  void give_back(const virtqueue::Chain& chain, std::uint32_t written) {
    aside_.push_back({chain, written});
    ledger_.add(-1);
  }
  template <typename Written>
  void give_back(const virtqueue::ChainList& chains, std::uint16_t begin, std::uint16_t count, Written written) {
    for (std::uint16_t i = 0; i < count; ++i)
      give_back(chain(chains, static_cast<std::uint32_t>(begin + i)), written(std::size_t{i}));
  }
  void keep(std::uint16_t chains) { ledger_.add(-chains); }
  void give_back_kept(const virtqueue::Chain& chain, std::uint32_t written) {
    ledger_.add(1);
    give_back(chain, written);
  }

  Mark mark() const { return {next_, aside_.size(), ledger_}; }
  void rewind(const Mark& to) {
    next_ = to.next;
    aside_.resize(to.shown);
    ledger_ = to.ledger;
  }

  /// The first descriptor's flags go last, so that the driver sees the burst whole.
  bool publish() {
    ledger_.check();
    if (next_ != 0) ring_.avail_at = found_[next_ - 1].at + found_[next_ - 1].entries;
    if (aside_.empty()) return false;
    const std::uint64_t first = ring_.used_at;
    std::uint16_t first_flags = 0;
    for (const auto& [chain, written] : aside_) {
      const auto flags =
          static_cast<std::uint16_t>(ring_.wrap(ring_.used_at) ? PackedRing::avail | PackedRing::used : 0);
      PackedRing::Descriptor& descriptor = ring_.at(ring_.used_at);
      descriptor.id = chain.id;
      descriptor.length = written;
      if (ring_.used_at == first)
        first_flags = flags;
      else
        descriptor.flags = flags;
      ring_.used_at += chain.entries;
    }
    ring_.at(first).flags = first_flags;
    aside_.clear();
    return true;
  }
  void publish_position() {}
  bool needs_call() { return true; }
  void fail(const VringFault& fault) { cursor_.fault = fault; }
  bool broken() const { return cursor_.broken(); }

 private:
  std::uint64_t end() const { return found_.back().at + found_.back().entries; }

  PackedRing& ring_;
  virtqueue::VringCursor& cursor_;
  std::vector<Found> found_;  // what was available when the burst began
  std::size_t next_ = 0;      // of these
  std::vector<std::pair<virtqueue::Chain, std::uint32_t>> aside_;
  virtqueue::ChainLedger ledger_;
};

static_assert(virtqueue::Virtqueue<PackedStub>);

}  // namespace vhostx::test
