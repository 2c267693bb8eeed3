// SPDX-License-Identifier: BSD-3-Clause
#include "base/releases.hpp"

#include <algorithm>
#include <cassert>
#include <new>
#include <unistd.h>

#include <sys/mman.h>

#include "base/release_item.hpp"
#include "base/release_pool.hpp"

namespace vhostx {
namespace {

std::atomic<std::size_t> pending_everywhere = 0;

// Unmapping a piece of which every page was touched takes less than 1 ms.
constexpr std::size_t piece_bytes = std::size_t{128} << 20;

void unmap(const ReleasedPages& pages) noexcept {
  const std::size_t piece = (piece_bytes + pages.page - 1) / pages.page * pages.page;
  std::uint8_t* const end = pages.begin + pages.bytes;
  for (std::uint8_t* at = pages.begin; at < end;) {
    const std::uint8_t* const border = at < pages.first ? pages.first : end;
    const std::size_t bytes = std::min(piece, static_cast<std::size_t>(border - at));
    ::munmap(at, bytes);
    at += bytes;
  }
}

}  // namespace

void release(ReleaseItem* item) noexcept {
  const std::unique_ptr<ReleaseItem> owned(item);
  if (item->fd >= 0)
    ::close(item->fd);
  else
    unmap(item->pages);
  item->releases->pending_.fetch_sub(1, std::memory_order_relaxed);
  pending_everywhere.fetch_sub(1);
}

std::size_t ReleasePool::pending_in_process() noexcept { return pending_everywhere.load(); }

// ---- ReleaseTicket

void ReleaseTicket::Forget::operator()(ReleaseItem* item) const noexcept { delete item; }

Releases* ReleaseTicket::releases() const noexcept { return item_ == nullptr ? nullptr : item_->releases.get(); }

void ReleaseTicket::close(int fd) noexcept {
  assert(item_ != nullptr);
  item_->fd = fd;
  hand_over();
}

void ReleaseTicket::unmap(const ReleasedPages& pages) noexcept {
  assert(item_ != nullptr);
  item_->pages = pages;
  hand_over();
}

void ReleaseTicket::hand_over() noexcept {
  ReleaseItem& item = *item_.release();
  const std::shared_ptr<Releases> releases = item.releases;  // it may be released before this returns
  releases->hand_over(item);
}

// ---- Releases

ReleaseTicket Releases::ticket() noexcept {
  return ReleaseTicket(new (std::nothrow) ReleaseItem{.releases = shared_from_this()});
}

void Releases::hand_over(ReleaseItem& item) noexcept {
  pending_.fetch_add(1, std::memory_order_relaxed);
  pending_everywhere.fetch_add(1);
  item.next = handed_over_.load(std::memory_order_relaxed);
  // Releases the item to next_item(), which may take it before it is counted (releases_order.pml).
  while (!handed_over_.compare_exchange_weak(item.next, &item)) {
  }
  // Counted only now that it is in the list. The pool may have taken it before it is counted, in place of another.
  if (queued_.fetch_add(1) == 0)
    pool_->add_ready(*this);
  else
    static_cast<void>(pool_->prepare());
}

bool Releases::stands_still() const noexcept { return held_up() == held_up_max || !pool_->has_thread(); }

ReleaseItem* Releases::next_item() noexcept {
  if (first_ == nullptr) {
    for (ReleaseItem* item = handed_over_.exchange(nullptr); item != nullptr;) {
      ReleaseItem* const earlier = item->next;
      item->next = std::exchange(first_, item);
      item = earlier;
    }
  }
  return std::exchange(first_, first_->next);
}

}  // namespace vhostx
