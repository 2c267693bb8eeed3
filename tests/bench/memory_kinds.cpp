// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/memory_kinds.hpp"

#include <cinttypes>
#include <cstddef>
#include <cstdio>

#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_memzone.h>
#include <rte_ring.h>

#include "backend/ring/vring_core.hpp"

namespace vhostx::bench {
namespace {

void tell(const char* kind, const volatile void* begin, std::size_t bytes) {
  std::printf("%s %" PRIuPTR " %zu\n", kind, reinterpret_cast<std::uintptr_t>(begin), bytes);
}

// The more precise kind comes first: count-lines takes the first that fits.
void tell_ring(const virtqueue::RingLayout& layout, const virtqueue::RingAddresses& addresses) {
  // One region holds all three.
  const auto host = [&](memory::FrontEndAddress address) {
    return layout.descriptors + (address.value - addresses.descriptors.value);
  };
  tell("desc", layout.descriptors, layout.size * sizeof(virtqueue::Descriptor));
  tell("avail", host(addresses.avail), virtqueue::AvailRing::extent(layout.size, layout.features.event_idx));
  tell("used", host(addresses.used), virtqueue::UsedRing::extent(layout.size, layout.features.event_idx));
}

void tell_table(const memory::GuestMemory& memory) {
  tell("table", &memory, sizeof memory);
  tell("table", &memory.table().index().likely_entry(0),
       (memory.regions().size() + 1) * sizeof(memory::AddressTable::Entry));
}

}  // namespace

void tell_vring(Vring& vring, const virtqueue::RingAddresses& addresses) {
  const backend::VringCore& core = backend::VringCore::of(vring);
  const backend::RunningVring& running = *core.running();
  tell_ring(running.layout.split, addresses);
  // The cursor is the first of the state that the data thread writes.
  const auto* state = reinterpret_cast<const std::byte*>(&core.fault()) - offsetof(virtqueue::VringCursor, fault);
  tell("state_pages", state, sizeof(backend::VringDataState));
  tell("vring_core", &core, sizeof core);
  tell("running", &running, sizeof running);
  tell_table(*running.memory);
  for (const auto& region : running.memory->regions()) tell("buffers", region->host(), region->description().size);
}

void tell_pool(rte_mempool* pool) {
  const auto tell_mbuf = [](rte_mempool* from, void*, void* object, unsigned) {
    tell("mbufs", static_cast<const std::uint8_t*>(object) - from->header_size,
         from->header_size + sizeof(rte_mbuf) + rte_pktmbuf_priv_size(from));
  };
  rte_mempool_obj_iter(pool, tell_mbuf, nullptr);
  const auto tell_chunk = [](rte_mempool*, void*, rte_mempool_memhdr* chunk, unsigned) {
    tell("mbuf_data", chunk->addr, chunk->len);
  };
  rte_mempool_mem_iter(pool, tell_chunk, nullptr);
  tell("pool", pool->mz->addr, pool->mz->len);
  const auto* free = static_cast<const rte_ring*>(pool->pool_data);
  tell("pool", free->memzone->addr, free->memzone->len);
}

void tell_marks_and_wait() {
  tell("begin", &marks.begin, sizeof marks.begin);
  tell("end", &marks.end, sizeof marks.end);
  std::puts("ready");
  std::fflush(stdout);
  while (true)
    if (const int character = std::getchar(); character == '\n' || character == EOF) return;
}

}  // namespace vhostx::bench
