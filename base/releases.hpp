// SPDX-License-Identifier: BSD-3-Clause
// Descriptors and mappings that a peer sent are released on threads of their own.
//
// close() and munmap() may take any time if a peer chose the file. Closing the last reference to a TCP socket with
// SO_LINGER waits as long as the peer likes. A file in memory takes 150 ms a GiB, a Unix socket as long as the
// descriptors queued in it, a file of FUSE for ever. Neither a control thread nor a data thread can wait that long.
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

/// A mapping to be unmapped: [begin, begin + bytes). It is unmapped piece by piece, because munmap() blocks mmap() and
/// page faults in all other threads of the process. Pieces end at multiples of `page` from `first`.
struct ReleasedPages {
  std::uint8_t* begin = nullptr;
  std::size_t bytes = 0;
  std::uint8_t* first = nullptr;  ///< First page of the file; only ordinary pages are before it.
  std::size_t page = 0;           ///< Page size of the file system, bytes.
};

/// Memory for one hand-over, allocated beforehand, so that the hand-over cannot fail. Empty: there was no memory, or
/// the descriptor needs none.
class ReleaseTicket {
 public:
  ReleaseTicket() noexcept = default;

  explicit operator bool() const noexcept { return item_ != nullptr; }
  /// Null where empty.
  Releases* releases() const noexcept;
  /// These use the ticket up. It must not be empty (asserted). Any thread. Two atomic operations, or four and a futex
  /// wake if the threads sleep.
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

/// What one port's peers sent and what is not released yet, in the order of the hand-overs. Other ports do not delay
/// it. Any thread.
class Releases : public std::enable_shared_from_this<Releases> {
 public:
  /// At most so many threads are held up by one port's releases.
  static constexpr std::uint32_t held_up_max = 4;

  explicit Releases(std::shared_ptr<ReleasePool> pool) noexcept : pool_(std::move(pool)) {}
  Releases(const Releases&) = delete;
  Releases& operator=(const Releases&) = delete;

  /// Empty: no memory.
  ReleaseTicket ticket() noexcept;
  /// Items handed over and not yet released.
  std::uint32_t pending() const noexcept { return pending_.load(std::memory_order_relaxed); }
  /// Of those, how many have kept a thread for longer than ReleasePool::held_up_after; at most held_up_max.
  std::uint32_t held_up() const noexcept { return held_up_.load(std::memory_order_relaxed); }
  /// Whether none of this port's items can be released now: all its threads are held up, or there is no thread.
  bool stands_still() const noexcept;

 private:
  friend class ReleasePool;
  friend class ReleaseTicket;
  friend void release(ReleaseItem* item) noexcept;

  void hand_over(ReleaseItem& item) noexcept;
  // Under the pool's lock, for a port in its list: it has an item.
  ReleaseItem* next_item() noexcept;

  const std::shared_ptr<ReleasePool> pool_;
  std::atomic<ReleaseItem*> handed_over_{nullptr};  // the latest first
  std::atomic<std::uint32_t> pending_{0};           // only reported, like held_up_: it orders nothing
  std::atomic<std::uint32_t> held_up_{0};
  // Hand-overs, counted after the item is in the list, less the items that are done (ReleasePool::relist()). Whoever
  // makes it 1 announces this to the pool. While it is not 0 the pool knows of it, and an item keeps it alive.
  std::atomic<std::uint32_t> queued_{0};
  Releases* next_ready_ = nullptr;
  ReleaseItem* first_ = nullptr;  // the pool's: the oldest first
};

}  // namespace vhostx
