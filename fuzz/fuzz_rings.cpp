// SPDX-License-Identifier: BSD-3-Clause
// A guest that writes anything into its rings and buffers: both directions of the data path over it.
#include <rte_mbuf.h>

#include "fuzz/ring_world.hpp"
#include "net/dequeue.hpp"
#include "net/enqueue.hpp"
#include "virtqueue/posted_sample.hpp"

namespace {

using namespace vhostx;
using namespace vhostx::fuzz;

void from_guest(const net::SplitContext& context) {
  std::array<rte_mbuf*, burst_max> packets;
  const auto result = net::dequeue(context, pool(), packets.data(), burst_max);
  require(result.packets <= burst_max);
  for (std::uint16_t i = 0; i < result.packets; ++i) {
    const char* reason = nullptr;
    require(rte_mbuf_check(packets[i], 1, &reason) == 0);
    require(packets[i]->pkt_len >= net::ethernet_header_bytes && packets[i]->pkt_len <= net::packet_bytes_max);
    rte_pktmbuf_free(packets[i]);
  }
}

void to_guest(const net::SplitContext& context, std::uint32_t length) {
  std::array<rte_mbuf*, 8> packets;
  for (std::size_t i = 0; i < packets.size(); ++i) {
    packets[i] = rte_pktmbuf_alloc(pool());
    require(packets[i] != nullptr);
    const auto room = static_cast<std::uint16_t>(std::min<std::uint32_t>(length + 14, 2000));
    std::memset(rte_pktmbuf_append(packets[i], room), 0x5a, room);
  }
  const auto result = net::enqueue(context, packets.data(), static_cast<std::uint16_t>(packets.size()));
  require(result.packets <= packets.size());
  rte_pktmbuf_free_bulk(packets.data(), static_cast<unsigned>(packets.size()));
}

// What the control thread reads of a ring, to know where its buffers are: only of guest memory.
void look(const net::SplitContext& context) {
  std::array<const std::uint8_t*, 64> buffers;
  const std::size_t count = virtqueue::sample_posted(context.layout, context.memory, buffers);
  require(count <= buffers.size());
  for (std::size_t i = 0; i < count; ++i) {
    [[maybe_unused]] const volatile std::uint8_t first = *buffers[i];
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Control control;
  if (!read_input(data, size, control)) return 0;
  run_bursts(control, [&control](const net::SplitContext& context, bool) {
    if (control.to_guest % 2 == 1)
      to_guest(context, std::uint32_t{control.packet_length} * 16);
    else
      from_guest(context);
    look(context);
  });
  require(rte_mempool_in_use_count(pool()) == 0);  // nothing of ours stays behind
  return 0;
}
