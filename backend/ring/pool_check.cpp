// SPDX-License-Identifier: BSD-3-Clause
#include "backend/ring/pool_check.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>

#include <fmt/format.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

namespace vhostx::backend {
namespace {

using Cause = PoolFault::Cause;

/// The smallest Ethernet frame, without its checksum. A pool with less room would take a chain of mbufs for each
/// packet.
constexpr std::uint32_t room_min = 60;

bool is_pinned(const rte_pktmbuf_pool_private& mbufs) noexcept {
  return (mbufs.flags & RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF) != 0;
}

/// What rte_pktmbuf_pool_init() leaves in a pool; null: the pool has no place for it, or elements too small for it.
const rte_pktmbuf_pool_private* mbufs_of(const rte_mempool& pool) noexcept {
  if (pool.private_data_size < sizeof(rte_pktmbuf_pool_private) || pool.elt_size < sizeof(rte_mbuf)) return nullptr;
  // The function takes no const pointer, and reads.
  const auto* mbufs =
      static_cast<const rte_pktmbuf_pool_private*>(rte_mempool_get_priv(const_cast<rte_mempool*>(&pool)));
  const std::uint32_t data_room = is_pinned(*mbufs) ? 0 : mbufs->mbuf_data_room_size;
  return pool.elt_size < sizeof(rte_mbuf) + mbufs->mbuf_priv_size + data_room ? nullptr : mbufs;
}

PoolFault fault_of(const rte_mempool& pool, Cause cause, std::uint32_t bytes) noexcept {
  PoolFault fault{.cause = cause, .bytes = bytes};
  static_assert(sizeof pool.name < std::tuple_size_v<decltype(fault.name)>);
  std::copy(std::begin(pool.name), std::end(pool.name), fault.name.begin());
  return fault;
}

}  // namespace

PoolFault check_pool(const rte_mempool* pool, bool from_guest) noexcept {
  if (pool == nullptr) return {.cause = Cause::null};
  const rte_pktmbuf_pool_private* const mbufs = mbufs_of(*pool);
  if (mbufs == nullptr) return fault_of(*pool, Cause::no_mbufs, pool->elt_size);
  if (from_guest && mbufs->mbuf_data_room_size < RTE_PKTMBUF_HEADROOM + room_min)
    return fault_of(*pool, Cause::no_room, mbufs->mbuf_data_room_size);
  if (!from_guest && is_pinned(*mbufs)) return fault_of(*pool, Cause::pinned, 0);
  return {};
}

std::string describe(const PoolFault& fault) {
  const char* const name = fault.name.data();
  switch (fault.cause) {
    case Cause::none:
      break;
    case Cause::null:
      return "the mempool is null, expected one of rte_pktmbuf_pool_create()";
    case Cause::no_mbufs:
      return fmt::format(
          "the elements of mempool '{}' are no mbufs ({} bytes each), expected a pool of rte_pktmbuf_pool_create()",
          name, fault.bytes);
    case Cause::no_room:
      return fmt::format(
          "the mbufs of mempool '{}' have {} bytes of data room, expected at least {}: {} of headroom and {} for a "
          "packet",
          name, fault.bytes, RTE_PKTMBUF_HEADROOM + room_min, RTE_PKTMBUF_HEADROOM, room_min);
    case Cause::pinned:
      return fmt::format(
          "the mbufs of mempool '{}' have pinned external buffers and cannot be attached to a guest's, expected a pool "
          "of rte_pktmbuf_pool_create()",
          name);
  }
  return "the mempool is good";
}

}  // namespace vhostx::backend
