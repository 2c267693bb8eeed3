// SPDX-License-Identifier: BSD-3-Clause
#include "backend/ring/heavy_fence.hpp"

#include <chrono>
#include <thread>
#include <unistd.h>

#include <linux/membarrier.h>
#include <sys/syscall.h>

namespace vhostx::backend {
namespace {

#if defined(__SANITIZE_THREAD__)
constexpr bool watched_by_tsan = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
constexpr bool watched_by_tsan = true;
#else
constexpr bool watched_by_tsan = false;
#endif
#else
constexpr bool watched_by_tsan = false;
#endif

bool membarrier(int command) noexcept { return ::syscall(SYS_membarrier, command, 0, 0) == 0; }

}  // namespace

bool enable_heavy_fence() noexcept {
  static const bool enabled = !watched_by_tsan && membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
  return enabled;
}

void heavy_fence() noexcept {
  if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) return;
  // The call was forbidden after it was enabled (a seccomp filter that came later). Processors complete their stores
  // and loads within microseconds without a fence; this waits a thousand times that.
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

}  // namespace vhostx::backend
