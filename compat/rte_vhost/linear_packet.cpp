// SPDX-License-Identifier: BSD-3-Clause
#include "compat/rte_vhost/linear_packet.hpp"

#include <algorithm>
#include <cstdint>

#include <rte_malloc.h>
#include <rte_mbuf.h>

namespace vhostx::compat {
namespace {

void free_buffer(void*, void* memory) { rte_free(memory); }

// Stored before the buffer in the same allocation, so that the buffer can have the full size of an mbuf's length field.
constexpr std::size_t info_bytes = RTE_ALIGN_CEIL(sizeof(rte_mbuf_ext_shared_info), RTE_CACHE_LINE_SIZE);

std::uint8_t* allocate(std::uint32_t bytes) noexcept {
  return static_cast<std::uint8_t*>(rte_malloc("vhostx-linear", info_bytes + bytes, RTE_CACHE_LINE_SIZE));
}

rte_iova_t io_address(const void* memory) noexcept {
  const rte_iova_t begin = rte_malloc_virt2iova(memory);
  return begin == RTE_BAD_IOVA ? RTE_BAD_IOVA : begin + info_bytes;
}

void copy_chain(const rte_mbuf* packet, std::uint8_t* to) noexcept {
  for (; packet != nullptr; packet = packet->next)
    to = std::copy_n(rte_pktmbuf_mtod(packet, const std::uint8_t*), packet->data_len, to);
}

}  // namespace

bool make_linear(rte_mbuf* packet, bool allowed) noexcept {
  const std::uint32_t length = packet->pkt_len;
  if (!allowed || length > UINT16_MAX) return false;
  const auto headroom = static_cast<std::uint16_t>(std::min<std::uint32_t>(RTE_PKTMBUF_HEADROOM, UINT16_MAX - length));
  const auto bytes = static_cast<std::uint16_t>(headroom + length);
  std::uint8_t* const memory = allocate(bytes);
  if (memory == nullptr) return false;
  std::uint8_t* const buffer = memory + info_bytes;
  copy_chain(packet, buffer + headroom);
  rte_pktmbuf_free(packet->next);
  packet->next = nullptr;
  packet->nb_segs = 1;
  auto* const info = new (memory) rte_mbuf_ext_shared_info{};
  info->free_cb = free_buffer;
  info->fcb_opaque = memory;
  rte_mbuf_ext_refcnt_set(info, 1);
  rte_pktmbuf_attach_extbuf(packet, buffer, io_address(memory), bytes, info);
  packet->data_off = headroom;
  packet->data_len = static_cast<std::uint16_t>(length);
  return true;
}

}  // namespace vhostx::compat
