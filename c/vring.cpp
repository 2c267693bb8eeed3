// SPDX-License-Identifier: BSD-3-Clause
// Each call of the data path is the C++ interface's: the compiler makes a jump of it. Null is a vring that never
// starts: of a program that asked for an index that there is not, and did not look. The look costs a call two
// instructions.
#include <vhostx/c/vring.h>
#include <vhostx/vring.hpp>

#include "c/handles.hpp"
#include "c/placement.hpp"
#include "c/report.hpp"
#include "c/sized.hpp"
#include "c/vring_stats.hpp"

using namespace vhostx::c;

uint16_t vhostx_vring_index(const vhostx_vring* vring) {
  if (vring == nullptr) [[unlikely]]
    return 0;
  return object(vring)->index();
}

bool vhostx_vring_is_from_guest(const vhostx_vring* vring) {
  if (vring == nullptr) [[unlikely]]
    return false;
  return object(vring)->is_from_guest();
}

uint16_t vhostx_vring_dequeue_burst(vhostx_vring* vring, rte_mempool* pool, rte_mbuf** packets, uint16_t count) {
  if (vring == nullptr) [[unlikely]]
    return 0;
  return object(vring)->dequeue_burst(pool, packets, count);
}

uint16_t vhostx_vring_enqueue_burst(vhostx_vring* vring, rte_mbuf* const* packets, uint16_t count) {
  if (vring == nullptr) [[unlikely]]
    return 0;
  return object(vring)->enqueue_burst(packets, count);
}

uint16_t vhostx_vring_borrow_burst(vhostx_vring* vring, rte_mempool* pool, rte_mbuf** buffers, uint16_t count) {
  if (vring == nullptr) [[unlikely]]
    return 0;
  return object(vring)->borrow_burst(pool, buffers, count);
}

uint16_t vhostx_vring_commit_burst(vhostx_vring* vring, rte_mbuf** packets, uint16_t count) {
  if (vring == nullptr) [[unlikely]]
    return 0;
  return object(vring)->commit_burst(packets, count);
}

uint16_t vhostx_vring_poll_completions(vhostx_vring* vring) {
  if (vring == nullptr) [[unlikely]]
    return 0;
  return object(vring)->poll_completions();
}

bool vhostx_vring_set_notifications(vhostx_vring* vring, bool on) {
  if (vring == nullptr) [[unlikely]]
    return false;
  return object(vring)->set_notifications(on);
}
void vhostx_vring_hold_calls(vhostx_vring* vring, bool hold) {
  if (vring == nullptr) [[unlikely]]
    return;
  object(vring)->hold_calls(hold);
}
bool vhostx_vring_call_guest(vhostx_vring* vring) {
  if (vring == nullptr) [[unlikely]]
    return false;
  return object(vring)->call_guest();
}

uint16_t vhostx_vring_pending(vhostx_vring* vring) {
  if (vring == nullptr) [[unlikely]]
    return 0;
  return object(vring)->pending();
}

static_assert(static_cast<int>(vhostx::EnqueueEnd::not_running) == VHOSTX_ENQUEUE_NOT_RUNNING &&
              static_cast<int>(vhostx::EnqueueEnd::no_buffers) == VHOSTX_ENQUEUE_NO_BUFFERS &&
              static_cast<int>(vhostx::EnqueueEnd::few_buffers) == VHOSTX_ENQUEUE_FEW_BUFFERS &&
              static_cast<int>(vhostx::EnqueueEnd::budget) == VHOSTX_ENQUEUE_BUDGET);
int vhostx_vring_enqueue_end(vhostx_vring* vring) {
  if (vring == nullptr) [[unlikely]]
    return VHOSTX_ENQUEUE_NOT_RUNNING;
  return static_cast<int>(object(vring)->enqueue_end());
}

void vhostx_vring_get_avail_watch(vhostx_vring* vring, vhostx_avail_watch* watch, size_t size) {
  const auto [index, seen] = vring == nullptr ? vhostx::AvailWatch{} : object(vring)->avail_watch();
  write_sized<vhostx_avail_watch>({index, seen}, watch, size);
}

int vhostx_vring_kick_fd(const vhostx_vring* vring) {
  if (vring == nullptr) [[unlikely]]
    return -1;
  return object(vring)->kick_fd();
}

unsigned vhostx_vring_get_state(const vhostx_vring* vring) {
  if (vring == nullptr) [[unlikely]]
    return 0;
  const auto bit = [](bool set, vhostx_vring_state which) { return set ? static_cast<unsigned>(which) : 0U; };
  const auto& [started, enabled, broken] = object(vring)->state();
  return bit(started, VHOSTX_VRING_STARTED) | bit(enabled, VHOSTX_VRING_ENABLED) | bit(broken, VHOSTX_VRING_BROKEN);
}

uint16_t vhostx_vring_size(const vhostx_vring* vring) {
  if (vring == nullptr) [[unlikely]]
    return 0;
  return object(vring)->size();
}

uint64_t vhostx_vring_count(const vhostx_vring* vring, int counter) {
  if (vring == nullptr || counter < 0 || static_cast<std::size_t>(counter) >= vhostx::VringStats{}.values.size())
    return 0;
  return object(vring)->count(static_cast<vhostx::VringCounter>(counter));
}

size_t vhostx_vring_get_stats(const vhostx_vring* vring, uint64_t* values, size_t count) {
  return write_counters((vring == nullptr ? vhostx::VringStats{} : object(vring)->stats()).values, values, count);
}

size_t vhostx_vring_get_packet_sizes(const vhostx_vring* vring, uint64_t* values, size_t count) {
  return write_counters((vring == nullptr ? vhostx::PacketSizes{} : object(vring)->packet_sizes()).values, values,
                        count);
}

void vhostx_vring_reset_stats(vhostx_vring* vring) {
  if (vring != nullptr) object(vring)->reset_stats();
}

void vhostx_vring_get_loans(const vhostx_vring* vring, vhostx_loan_state* loans, size_t size) {
  const auto [outstanding, overdue, oldest_age] = vring == nullptr ? vhostx::LoanState{} : object(vring)->loans();
  write_sized<vhostx_loan_state>({outstanding, overdue, static_cast<uint64_t>(oldest_age.count())}, loans, size);
}

int vhostx_vring_numa_node(const vhostx_vring* vring) {
  if (vring == nullptr) [[unlikely]]
    return VHOSTX_NO_NODE;
  return object(vring)->numa_node();
}

vhostx_vring_placement* vhostx_vring_get_placement(const vhostx_vring* vring, vhostx_error* error) {
  return run_for_object(error, [&]() -> decltype(own_placement({})) {
    if (vring == nullptr) return no_vring();
    return own_placement(object(vring)->placement());
  });
}
