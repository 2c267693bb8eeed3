// SPDX-License-Identifier: BSD-3-Clause
// From guest to guest.
#define _DEFAULT_SOURCE
#include <string.h>

#include <rte_mbuf.h>

#include <vhostx/vhostx.h>

#include "tests/c/check.h"
#include "tests/c/event_log.h"
#include "tests/c/fake_guest.h"
#include "tests/c/tests_in_c.h"

enum { LENGTH = 400 };

struct side {
  struct event_log log;
  vhostx_port* port;
  struct fake_guest* guest;
};

static void set_up(struct side* side, vhostx_backend* backend, const char* name) {
  event_log_init(&side->log);
  vhostx_port_options options;
  vhostx_port_options_init(&options, sizeof options);
  options.socket_path = fake_path(name);
  side->port = vhostx_port_open(backend, &options, event_log_add, &side->log, NULL);
  side->guest = fake_guest_connect(fake_path(name));
  event_log_until_started(&side->log, 1);
}

static void tear_down(struct side* side) {
  fake_guest_leave(side->guest);
  vhostx_port_destroy(side->port);
}

static void move(vhostx_transfer* transfer, struct side* a, struct side* b) {
  vhostx_peeked_packet* const packets = vhostx_transfer_packets(transfer);
  const uint16_t count = vhostx_transfer_begin(transfer, vhostx_port_from_guest(a->port, 0), 32);
  if (!CHECK(count == 2)) return;
  CHECK(packets[0].length == LENGTH && packets[0].head_length == 96 && packets[1].head[95] == 0x66);
  packets[1].head[0] = 0x77;  // what is looked at is what is delivered
  const uint8_t which[] = {1, 0};
  CHECK(vhostx_transfer_move(transfer, which, 2, vhostx_port_to_guest(b->port, 0)) == 2);
  struct rte_mbuf* const copy = vhostx_transfer_copy(transfer, 0, fake_pool());
  CHECK(copy != NULL && rte_pktmbuf_pkt_len(copy) == LENGTH);
  rte_pktmbuf_free(copy);
  vhostx_transfer_end(transfer, count);
}

void packets_move_from_guest_to_guest(void) {
  static struct side a, b;
  fake_pool();
  vhostx_backend* const backend = vhostx_backend_create(NULL, NULL);
  set_up(&a, backend, "a");
  set_up(&b, backend, "b");
  vhostx_error error;
  vhostx_transfer* const transfer = vhostx_transfer_create(&error);
  CHECK(vhostx_transfer_begin(transfer, vhostx_port_from_guest(a.port, 0), 32) == 0);
  for (int i = 0; i < 2; ++i) {
    fake_guest_transmit(a.guest, 0x66, LENGTH);
    fake_guest_post(b.guest, 2048);
  }
  move(transfer, &a, &b);
  uint8_t frame[LENGTH];
  CHECK(fake_guest_receive(b.guest, frame, sizeof frame) == LENGTH && frame[0] == 0x77 && frame[LENGTH - 1] == 0x66);
  CHECK(fake_guest_receive(b.guest, frame, sizeof frame) == LENGTH && frame[0] == 0x66);
  CHECK(fake_guest_reap(a.guest) == 2);
  uint64_t values[VHOSTX_COUNTER_MOVED + 1];
  vhostx_vring_get_stats(vhostx_port_to_guest(b.port, 0), values, VHOSTX_COUNTER_MOVED + 1);
  CHECK(values[VHOSTX_COUNTER_MOVED] == 2);
  vhostx_transfer_destroy(transfer);
  tear_down(&a);
  tear_down(&b);
  vhostx_backend_destroy(backend);
}
