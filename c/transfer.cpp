// SPDX-License-Identifier: BSD-3-Clause
#include <vhostx/c/transfer.h>
#include <vhostx/transfer.hpp>

#include "c/handles.hpp"
#include "c/report.hpp"

using namespace vhostx::c;

static_assert(vhostx::Transfer::burst_max == VHOSTX_TRANSFER_BURST_MAX);

vhostx_transfer* vhostx_transfer_create(vhostx_error* error) {
  return handle(run_for_object(error, [] { return vhostx::Transfer::create(); }));
}

void vhostx_transfer_destroy(vhostx_transfer* transfer) { delete object(transfer); }

uint16_t vhostx_transfer_begin(vhostx_transfer* transfer, vhostx_vring* from, uint16_t count) {
  if (from == nullptr) [[unlikely]]
    return 0;
  return object(transfer)->begin(*object(from), count);
}

vhostx_peeked_packet* vhostx_transfer_packets(vhostx_transfer* transfer) { return &object(transfer)->packet(0); }

uint16_t vhostx_transfer_move(vhostx_transfer* transfer, const uint8_t* which, uint16_t count, vhostx_vring* to) {
  if (to == nullptr) [[unlikely]]
    return 0;
  return object(transfer)->move(which, count, *object(to));
}

rte_mbuf* vhostx_transfer_copy(vhostx_transfer* transfer, uint16_t i, rte_mempool* pool) {
  return object(transfer)->copy(i, pool);
}

void vhostx_transfer_end(vhostx_transfer* transfer, uint16_t taken) { object(transfer)->end(taken); }
