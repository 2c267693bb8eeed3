// SPDX-License-Identifier: BSD-3-Clause
// Packets, notifications, counters.
#define _DEFAULT_SOURCE
#include <string.h>
#include <unistd.h>

#include <rte_mbuf.h>

#include <vhostx/vhostx.h>

#include "tests/c/check.h"
#include "tests/c/event_log.h"
#include "tests/c/fake_guest.h"
#include "tests/c/stage.h"
#include "tests/c/tests_in_c.h"

enum { LENGTH = 60 };

void packets_go_both_ways(void) {
  struct stage* const stage = set_up("data", false);
  fake_guest_transmit(stage->guest, 0x11, LENGTH);
  fake_guest_transmit(stage->guest, 0x22, LENGTH);
  fake_guest_post(stage->guest, 2048);
  fake_guest_post(stage->guest, 2048);
  vhostx_avail_watch watch;
  vhostx_vring_get_avail_watch(stage->from, &watch, sizeof watch);
  CHECK(watch.index != NULL && *watch.index != watch.seen);
  CHECK(vhostx_vring_pending(stage->from) == 2 && vhostx_vring_pending(stage->to) == 2);
  struct rte_mbuf* packets[32];
  const uint16_t count = vhostx_vring_dequeue_burst(stage->from, fake_pool(), packets, 32);
  CHECK(vhostx_vring_pending(stage->from) == 0);
  if (CHECK(count == 2)) {
    CHECK(rte_pktmbuf_pkt_len(packets[1]) == LENGTH && *rte_pktmbuf_mtod(packets[1], uint8_t*) == 0x22);
    CHECK(vhostx_to_transmit_offload(packets[0]));  // it asks for nothing
    CHECK(vhostx_vring_enqueue_burst(stage->to, packets, count) == 2);
  }
  rte_pktmbuf_free_bulk(packets, count);
  uint8_t frame[LENGTH];
  CHECK(fake_guest_receive(stage->guest, frame, sizeof frame) == LENGTH && frame[0] == 0x11);
  CHECK(fake_guest_receive(stage->guest, frame, sizeof frame) == LENGTH && frame[LENGTH - 1] == 0x22);
  CHECK(fake_guest_receive(stage->guest, frame, sizeof frame) == 0);
  CHECK(fake_guest_reap(stage->guest) == 2);
  CHECK(vhostx_vring_dequeue_burst(stage->to, fake_pool(), packets, 32) == 0);  // not from a guest
  vhostx_vring_hold_calls(stage->to, true);
  CHECK(vhostx_vring_call_guest(stage->to));
  tear_down(stage);
}

void a_kick_ends_a_wait(void) {
  struct stage* const stage = set_up("data", false);
  vhostx_error error;
  vhostx_waiter* const waiter = vhostx_waiter_create(&error);
  CHECK(vhostx_waiter_watch(waiter, stage->from, &error) == VHOSTX_OK);
  while (vhostx_waiter_wait(waiter, 0)) {
  }
  CHECK(!vhostx_vring_set_notifications(stage->from, true));
  fake_guest_transmit(stage->guest, 1, LENGTH);
  fake_guest_kick(stage->guest);
  CHECK(vhostx_waiter_wait(waiter, 20000));
  CHECK(!vhostx_vring_set_notifications(stage->from, false));
  CHECK(vhostx_vring_set_notifications(stage->from, true));  // one is there already
  vhostx_waiter_unwatch(waiter, stage->from);
  fake_guest_kick(stage->guest);
  CHECK(!vhostx_waiter_wait(waiter, 0));
  vhostx_waiter_destroy(waiter);
  tear_down(stage);
}

void descriptors_and_calls_end_a_wait(void) {
  vhostx_error error;
  vhostx_waiter* const waiter = vhostx_waiter_create(&error);
  int ends[2];
  CHECK(pipe(ends) == 0);
  CHECK(vhostx_waiter_watch_fd(waiter, ends[0], &error) == VHOSTX_OK);
  CHECK(vhostx_waiter_watch_fd(waiter, -1, &error) == VHOSTX_SYSTEM && error.system_errno == EBADF);
  CHECK(strstr(error.message, "epoll_ctl") != NULL);
  CHECK(!vhostx_waiter_wait(waiter, 0) && vhostx_waiter_fd(waiter) >= 0);
  vhostx_waiter_wake(waiter);
  CHECK(vhostx_waiter_wait(waiter, 20000));
  CHECK(write(ends[1], "x", 1) == 1);
  CHECK(vhostx_waiter_wait(waiter, 20000));
  vhostx_waiter_unwatch_fd(waiter, ends[0]);
  CHECK(!vhostx_waiter_wait(waiter, 0));
  close(ends[0]);
  close(ends[1]);
  vhostx_waiter_destroy(waiter);
}

void a_lying_driver_breaks_its_vring(void) {
  struct stage* const stage = set_up("data", false);
  const int cause = fake_guest_lie(stage->guest);
  struct rte_mbuf* packet;
  CHECK(vhostx_vring_dequeue_burst(stage->from, fake_pool(), &packet, 1) == 0);
  const struct logged_event* const event = event_log_until(&stage->log, VHOSTX_EVENT_VRING_BROKEN);
  CHECK(event->index == 1 && event->number == (uint64_t)cause);
  CHECK((vhostx_vring_get_state(stage->from) & VHOSTX_VRING_BROKEN) != 0);
  CHECK(vhostx_vring_get_state(stage->to) == (VHOSTX_VRING_STARTED | VHOSTX_VRING_ENABLED));
  tear_down(stage);
}

void packets_are_counted_by_size(void) {
  vhostx_backend* const backend = vhostx_backend_create(NULL, NULL);
  static struct event_log log;
  event_log_init(&log);
  vhostx_port_options options;
  vhostx_port_options_init(&options, sizeof options);
  options.socket_path = fake_path("sizes");
  options.count_sizes = true;
  vhostx_port* const port = vhostx_port_open(backend, &options, event_log_add, &log, NULL);
  struct fake_guest* const guest = fake_guest_connect(options.socket_path);
  event_log_until_started(&log, 1);
  vhostx_vring* const ring = vhostx_port_from_guest(port, 0);
  fake_guest_transmit(guest, 0xff, 64);
  fake_guest_transmit(guest, 0x02, 65);
  struct rte_mbuf* packets[2];
  const uint16_t count = vhostx_vring_dequeue_burst(ring, fake_pool(), packets, 2);
  rte_pktmbuf_free_bulk(packets, count);
  uint64_t values[16];
  CHECK(vhostx_vring_get_packet_sizes(ring, values, 16) == vhostx_size_counter_count());
  CHECK(values[VHOSTX_SIZE_64] == 1 && values[VHOSTX_SIZE_65_127] == 1 && values[VHOSTX_SIZE_BROADCAST] == 1);
  CHECK(values[VHOSTX_SIZE_MULTICAST] == 0 && values[VHOSTX_SIZE_BELOW_64] == 0 && values[15] == 0);
  fake_guest_leave(guest);
  vhostx_port_destroy(port);
  vhostx_backend_destroy(backend);
}

void counters_are_written_as_far_as_there_is_room(void) {
  struct stage* const stage = set_up("data", false);
  fake_guest_transmit(stage->guest, 1, LENGTH);
  fake_guest_transmit(stage->guest, 1, 2);  // too short for an Ethernet header
  struct rte_mbuf* packets[2];
  const uint16_t count = vhostx_vring_dequeue_burst(stage->from, fake_pool(), packets, 2);
  CHECK(count == 1);
  rte_pktmbuf_free_bulk(packets, count);
  uint64_t values[64];
  memset(values, 0xff, sizeof values);
  CHECK(vhostx_vring_get_stats(stage->from, values, 2) == 2);
  CHECK(values[VHOSTX_COUNTER_PACKETS] == 1 && values[VHOSTX_COUNTER_BYTES] == LENGTH && values[2] == UINT64_MAX);
  CHECK(vhostx_vring_get_stats(stage->from, values, 64) == vhostx_counter_count());
  CHECK(values[VHOSTX_COUNTER_DROP_SHORT_CHAIN] == 1 && values[63] == 0);
  CHECK(vhostx_vring_count(stage->from, VHOSTX_COUNTER_BYTES) == LENGTH);
  CHECK(vhostx_vring_count(stage->from, -1) == 0 && vhostx_vring_count(stage->from, 1000) == 0);
  CHECK(vhostx_counters_dropped(values, 64) == 1 && vhostx_counters_dropped(values, 1) == 0);
  uint64_t others[2] = {UINT64_MAX, UINT64_MAX};
  memset(values, 0xff, sizeof values);
  CHECK(vhostx_port_get_stats(stage->port, values, others, 2) == 2);
  CHECK(values[VHOSTX_COUNTER_PACKETS] == 1 && values[VHOSTX_COUNTER_BYTES] == LENGTH && values[2] == UINT64_MAX);
  CHECK(others[0] == 0 && others[1] == 0);
  CHECK(vhostx_port_get_stats(stage->port, NULL, NULL, 1000) == vhostx_counter_count());
  vhostx_vring_reset_stats(stage->from);
  CHECK(vhostx_vring_count(stage->from, VHOSTX_COUNTER_BYTES) == 0);
  vhostx_port_reset_stats(stage->port);
  CHECK(vhostx_port_get_stats(stage->port, values, NULL, 64) == vhostx_counter_count() && values[0] == 0);
  tear_down(stage);
}
