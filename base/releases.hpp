// SPDX-License-Identifier: BSD-3-Clause
// What a peer brought is released on threads of its own.
//
// close() and munmap() are not bounded where a peer chose what is behind them: the last reference to a TCP socket with
// SO_LINGER waits as long as the peer likes, to a file in memory 150 ms a GiB, to a Unix socket as long as the
// descriptors that are queued in it, a file of FUSE for ever. Neither a control thread nor a data thread can wait so.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace vhostx {

class ReleasePool;
class Releases;
struct ReleaseItem;

void release(ReleaseItem* item) noexcept;  // see release_item.hpp

/// A mapping to be undone: [begin, begin + bytes). It is undone piece by piece, because munmap() keeps every other
/// thread of the process from mapping and from page faults. Pieces end at multiples of `page` from `first`.
struct ReleasedPages {
  std::uint8_t* begin = nullptr;
  std::size_t bytes = 0;
  std::uint8_t* first = nullptr;  ///< In the mapping; before it lie only ordinary pages.
  std::size_t page = 0;           ///< Of the file's system, bytes.
};

/// Room for one hand-over, taken before there is something to hand over: so that handing over takes no memory and
/// cannot fail. Empty: there was no memory, or nothing needs it.
class ReleaseTicket {
 public:
  ReleaseTicket() noexcept = default;

  explicit operator bool() const noexcept { return item_ != nullptr; }
  /// Null where empty.
  Releases* releases() const noexcept;
  /// These use the ticket up; not of an empty one (asserted). Any thread. Two atomic operations, or four and a futex
  /// wake where the threads sleep.
  void close(int fd) noexcept;
  void unmap(const ReleasedPages& pages) noexcept;

 private:
  friend class Releases;
  struct Forget {
    void operator()(ReleaseItem* item) const noexcept;
  };
  explicit ReleaseTicket(ReleaseItem* item) noexcept : item_(item) {}
  void hand_over() noexcept;

  std::unique_ptr<ReleaseItem, Forget> item_;
};

/// What one port's peers brought and what is not released yet: in the order in which it was handed over, whatever other
/// ports' take. Any thread.
class Releases : public std::enable_shared_from_this<Releases> {
 public:
  /// At most so many threads wait for one port's.
  static constexpr std::uint32_t held_up_max = 4;

  explicit Releases(std::shared_ptr<ReleasePool> pool) noexcept : pool_(std::move(pool)) {}
  Releases(const Releases&) = delete;
  Releases& operator=(const Releases&) = delete;

  /// Empty: no memory.
  ReleaseTicket ticket() noexcept;
  /// Handed over and not yet released.
  std::uint32_t pending() const noexcept { return pending_.load(std::memory_order_relaxed); }
  /// Of those, how many have kept a thread for longer than ReleasePool::held_up_after; at most held_up_max.
  std::uint32_t held_up() const noexcept { return held_up_.load(std::memory_order_relaxed); }
  /// Whether nothing more of this port's is released at present: all its threads are held up, or there is no thread.
  bool stands_still() const noexcept;

 private:
  friend class ReleasePool;
  friend class ReleaseTicket;
  friend void release(ReleaseItem* item) noexcept;

  void hand_over(ReleaseItem& item) noexcept;
  // Under the pool's lock, of one that the pool knows: there is an item.
  ReleaseItem* next_item() noexcept;

  const std::shared_ptr<ReleasePool> pool_;
  std::atomic<ReleaseItem*> handed_over_{nullptr};  // the latest first
  std::atomic<std::uint32_t> pending_{0};           // a number to be told, as held_up_: nothing is read because of it
  std::atomic<std::uint32_t> held_up_{0};
  // Items that are counted after they were handed over, less those that the pool has done with (ReleasePool::relist):
  // whoever makes it 1 tells the pool, and as long as it is not 0 the pool knows, and an item keeps this alive.
  std::atomic<std::uint32_t> queued_{0};
  Releases* next_ready_ = nullptr;
  ReleaseItem* first_ = nullptr;  // the pool's: the oldest first
};

}  // namespace vhostx
