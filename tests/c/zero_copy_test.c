// SPDX-License-Identifier: BSD-3-Clause
// Packets and buffers of a guest, lent as mbufs.
#define _DEFAULT_SOURCE
#include <string.h>

#include <rte_mbuf.h>

#include <vhostx/vhostx.h>

#include "tests/c/check.h"
#include "tests/c/event_log.h"
#include "tests/c/fake_guest.h"
#include "tests/c/stage.h"
#include "tests/c/tests_in_c.h"

enum { LENGTH = 1500 };

static vhostx_loan_state loans(const vhostx_vring* vring) {
  vhostx_loan_state state;
  vhostx_vring_get_loans(vring, &state, sizeof state);
  return state;
}

void packets_are_lent(void) {
  struct stage* const stage = set_up("lends", true);
  fake_guest_transmit(stage->guest, 0x33, LENGTH);
  struct rte_mbuf* packet = NULL;
  if (CHECK(vhostx_vring_dequeue_burst(stage->from, fake_pool(), &packet, 1) == 1)) {
    CHECK(RTE_MBUF_HAS_EXTBUF(packet) && *rte_pktmbuf_mtod(packet, uint8_t*) == 0x33);
    CHECK(loans(stage->from).outstanding == 1 && loans(stage->from).overdue == 0);
    CHECK(fake_guest_reap(stage->guest) == 0);
    rte_pktmbuf_free(packet);
    CHECK(vhostx_vring_poll_completions(stage->from) == 1);
    CHECK(fake_guest_reap(stage->guest) == 1 && loans(stage->from).outstanding == 0);
  }
  tear_down(stage);
}

void buffers_are_borrowed_and_committed(void) {
  struct stage* const stage = set_up("lends", true);
  fake_guest_post(stage->guest, 2048);
  struct rte_mbuf* buffer = NULL;
  if (CHECK(vhostx_vring_borrow_burst(stage->to, fake_pool(), &buffer, 1) == 1)) {
    memset(rte_pktmbuf_append(buffer, LENGTH), 0x44, LENGTH);
    CHECK(vhostx_vring_commit_burst(stage->to, &buffer, 1) == 1);
    uint8_t frame[LENGTH] = {0};
    CHECK(fake_guest_receive(stage->guest, frame, sizeof frame) == LENGTH && frame[LENGTH - 1] == 0x44);
  }
  tear_down(stage);
}

void loans_are_recalled(void) {
  struct stage* const stage = set_up("lends", true);
  fake_guest_transmit(stage->guest, 0x55, LENGTH);
  struct rte_mbuf* packet = NULL;
  if (CHECK(vhostx_vring_dequeue_burst(stage->from, fake_pool(), &packet, 1) == 1)) {
    fake_guest_leave(stage->guest);
    stage->guest = NULL;
    const struct logged_event* event = event_log_until(&stage->log, VHOSTX_EVENT_LOANS_RECALLED);
    CHECK(event->index == 1 && event->number == 1);
    event = event_log_until(&stage->log, VHOSTX_EVENT_LOANS_OVERDUE);
    CHECK(event->index == 1 && event->number == 1);
    CHECK(*rte_pktmbuf_mtod(packet, uint8_t*) == 0x55);  // the page is there as long as the mbuf
    rte_pktmbuf_free(packet);
  }
  tear_down(stage);
}
