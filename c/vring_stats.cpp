// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include <vhostx/c/packet_sizes.h>
#include <vhostx/c/vring_stats.h>
#include <vhostx/packet_sizes.hpp>
#include <vhostx/vring_stats.hpp>

namespace vhostx {

constexpr bool is(VringCounter counter, vhostx_counter number) { return static_cast<int>(counter) == number; }
static_assert(is(VringCounter::packets, VHOSTX_COUNTER_PACKETS) && is(VringCounter::bytes, VHOSTX_COUNTER_BYTES) &&
              is(VringCounter::bursts, VHOSTX_COUNTER_BURSTS) && is(VringCounter::calls, VHOSTX_COUNTER_CALLS) &&
              is(VringCounter::drop_disabled, VHOSTX_COUNTER_DROP_DISABLED) &&
              is(VringCounter::drop_bad_head, VHOSTX_COUNTER_DROP_BAD_HEAD) &&
              is(VringCounter::drop_bad_header, VHOSTX_COUNTER_DROP_BAD_HEADER) &&
              is(VringCounter::drop_short_chain, VHOSTX_COUNTER_DROP_SHORT_CHAIN) &&
              is(VringCounter::drop_too_large, VHOSTX_COUNTER_DROP_TOO_LARGE) &&
              is(VringCounter::drop_bad_offload, VHOSTX_COUNTER_DROP_BAD_OFFLOAD) &&
              is(VringCounter::stall_no_mbuf, VHOSTX_COUNTER_STALL_NO_MBUF) &&
              is(VringCounter::stall_no_buffer, VHOSTX_COUNTER_STALL_NO_BUFFER) &&
              is(VringCounter::short_buffers, VHOSTX_COUNTER_SHORT_BUFFERS) &&
              is(VringCounter::segmented, VHOSTX_COUNTER_SEGMENTED) &&
              is(VringCounter::checksummed, VHOSTX_COUNTER_CHECKSUMMED) &&
              is(VringCounter::moved, VHOSTX_COUNTER_MOVED) && is(VringCounter::broken, VHOSTX_COUNTER_BROKEN) &&
              is(VringCounter::lent, VHOSTX_COUNTER_LENT) &&
              is(VringCounter::copied_small, VHOSTX_COUNTER_COPIED_SMALL) &&
              is(VringCounter::copied_full, VHOSTX_COUNTER_COPIED_FULL) &&
              is(VringCounter::copied_shape, VHOSTX_COUNTER_COPIED_SHAPE) &&
              is(VringCounter::overdue, VHOSTX_COUNTER_OVERDUE) &&
              is(VringCounter::stall_few_buffers, VHOSTX_COUNTER_STALL_FEW_BUFFERS) &&
              is(VringCounter::stall_bad_pool, VHOSTX_COUNTER_STALL_BAD_POOL));
static_assert(vring_counter_count == VHOSTX_COUNTER_STALL_BAD_POOL + 1);  // a new one has its number above, too

// In the order of vhostx_size_counter.
static_assert(static_cast<int>(SizeCounter::below_64) == VHOSTX_SIZE_BELOW_64 &&
              static_cast<int>(SizeCounter::size_64) == VHOSTX_SIZE_64 &&
              static_cast<int>(SizeCounter::size_65_127) == VHOSTX_SIZE_65_127 &&
              static_cast<int>(SizeCounter::size_128_255) == VHOSTX_SIZE_128_255 &&
              static_cast<int>(SizeCounter::size_256_511) == VHOSTX_SIZE_256_511 &&
              static_cast<int>(SizeCounter::size_512_1023) == VHOSTX_SIZE_512_1023 &&
              static_cast<int>(SizeCounter::size_1024_1518) == VHOSTX_SIZE_1024_1518 &&
              static_cast<int>(SizeCounter::size_above_1518) == VHOSTX_SIZE_ABOVE_1518 &&
              static_cast<int>(SizeCounter::multicast) == VHOSTX_SIZE_MULTICAST &&
              static_cast<int>(SizeCounter::broadcast) == VHOSTX_SIZE_BROADCAST &&
              size_counter_count == VHOSTX_SIZE_BROADCAST + 1);

}  // namespace vhostx

using vhostx::vring_counters;

size_t vhostx_counter_count() { return vring_counters.size(); }

const char* vhostx_counter_name(size_t counter) {
  return counter < vring_counters.size() ? vring_counters[counter].name : nullptr;
}

bool vhostx_counter_is_drop(size_t counter) {
  return counter < vring_counters.size() && vring_counters[counter].is_drop;
}

uint64_t vhostx_counters_dropped(const uint64_t* values, size_t count) {
  vhostx::VringStats stats;
  std::copy_n(values, std::min(count, stats.values.size()), stats.values.begin());
  return stats.dropped();
}

size_t vhostx_size_counter_count() { return vhostx::size_counter_count; }

const char* vhostx_size_counter_name(size_t counter) {
  return counter < vhostx::size_counter_count ? vhostx::size_counter_names[counter] : nullptr;
}
