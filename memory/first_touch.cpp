// SPDX-License-Identifier: BSD-3-Clause
#include "memory/first_touch.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "base/error.hpp"
#include "base/page_memory.hpp"
#include "base/unique_fd.hpp"

namespace vhostx::memory {
namespace {

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

/// The limit and the userfaultfd of the process. Never destroyed, as the handler of SIGBUS uses them.
struct Guarded {
  std::unique_ptr<const MemoryLimit> limit;
  UniqueFd faults;
};

std::atomic<const Guarded*> guarded = nullptr;
std::atomic<std::uint64_t> room_before = 0;  // what the last refill of any port left

// Any process may open one for faults in user mode (Linux 5.11). Older kernels do not know that flag.
Result<UniqueFd> open_faults() {
  UniqueFd faults(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY)));
  if (!faults && errno == EINVAL) faults.reset(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)));
  if (!faults) return make_system_error(errno, "userfaultfd");
  uffdio_api api{};
  api.api = UFFD_API;
  api.features = UFFD_FEATURE_SIGBUS | UFFD_FEATURE_MISSING_SHMEM;
  if (::ioctl(faults.get(), UFFDIO_API, &api) != 0) return make_system_error(errno, "userfaultfd: UFFDIO_API");
  return faults;
}

Result<void> prepare() {
  auto limit = MemoryLimit::find();
  if (limit == nullptr) return {};
  auto faults = open_faults();
  if (!faults) return std::move(faults).error();
  guarded.store(new Guarded{std::move(limit), std::move(faults).value()}, std::memory_order_release);
  return {};
}

}  // namespace

bool TouchBudget::take_left(std::int64_t bytes) noexcept {
  if (left_.fetch_sub(bytes, std::memory_order_relaxed) >= bytes) return true;
  left_.fetch_add(bytes, std::memory_order_relaxed);
  return false;
}

bool TouchBudget::take(std::uint64_t bytes) noexcept {
  const auto wanted = static_cast<std::int64_t>(bytes);
  return take_left(wanted) || (refill() && take_left(wanted));
}

// If much memory has become free, files were deleted. They are counted as old files of this port.
bool TouchBudget::refill() noexcept {
  const std::uint64_t part = limit_.bytes() / 8;
  const std::uint64_t room = limit_.room();
  const std::uint64_t before = room_before.exchange(room, std::memory_order_relaxed);
  if (before != 0 && room > before + part / 8) {
    const std::uint64_t taken = scarce_.load(std::memory_order_relaxed);
    scarce_.store(taken - std::min(taken, room - before), std::memory_order_relaxed);
  }
  if (room <= part) return false;
  const auto more = std::clamp<std::uint64_t>((room - part) / 16, std::uint64_t{64} << 10, std::uint64_t{4} << 20);
  if (room > 4 * part)
    scarce_.store(0, std::memory_order_relaxed);
  else if (scarce_.load(std::memory_order_relaxed) + more > part)
    return false;
  else
    scarce_.fetch_add(more, std::memory_order_relaxed);
  room_before.store(room - more, std::memory_order_relaxed);  // the room once `more` is used
  left_.fetch_add(static_cast<std::int64_t>(more), std::memory_order_relaxed);
  return true;
}

Result<void> guard_first_touches() {
  static const Result<void> prepared = prepare();
  return prepared;
}

std::shared_ptr<TouchBudget> make_touch_budget() {
  const Guarded* const now = guarded.load(std::memory_order_acquire);
  return now == nullptr ? nullptr : std::make_shared<TouchBudget>(*now->limit);
}

bool guard(HostSpan mapping) noexcept {
  const Guarded* const now = guarded.load(std::memory_order_acquire);
  if (now == nullptr) return false;
  uffdio_register range{};
  range.range = {reinterpret_cast<std::uint64_t>(mapping.data), mapping.size};
  range.mode = UFFDIO_REGISTER_MODE_MISSING;
  return ::ioctl(now->faults.get(), UFFDIO_REGISTER, &range) == 0;
}

FirstTouch allocate(std::uint64_t address, TouchBudget& budget) noexcept {
  const Guarded* const now = guarded.load(std::memory_order_acquire);
  if (now == nullptr) return FirstTouch::none;
  if (!budget.take(page_bytes())) return FirstTouch::no_room;
  uffdio_zeropage page{};
  page.range = {address / page_bytes() * page_bytes(), page_bytes()};
  if (::ioctl(now->faults.get(), UFFDIO_ZEROPAGE, &page) == 0) return FirstTouch::allocated;
  // Another thread was first, or the address space is changing; the access is made again.
  return errno == EEXIST || errno == EAGAIN ? FirstTouch::allocated : FirstTouch::none;
}

}  // namespace vhostx::memory
