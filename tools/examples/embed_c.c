// SPDX-License-Identifier: BSD-3-Clause
// A whole back-end in C. Each lcore forwards packets between the two guests of its queue pairs, or sends one guest's
// packets back to it.
//   embed_c -l 0,1 --in-memory --no-pci -- /tmp/a.sock [/tmp/b.sock]
#define _DEFAULT_SOURCE  // DPDK's headers want more than ISO C
#include <signal.h>
#include <stdio.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include <vhostx/vhostx.h>

enum { BURST = 32, PAIRS = 8 };

static volatile sig_atomic_t stopping;
static struct rte_mempool* pool;
static vhostx_port* ports[2];
static unsigned port_count;

static void stop(int number) { stopping = number; }

static void print(vhostx_port* port, const vhostx_event* event, void* user) {
  (void)user;
  printf("%s: %s\n", vhostx_port_socket_path(port), event->text);
}

static void forward(vhostx_vring* from, vhostx_vring* to) {
  struct rte_mbuf* packets[BURST];
  const uint16_t received = vhostx_vring_dequeue_burst(from, pool, packets, BURST);
  vhostx_vring_enqueue_burst(to, packets, received);  // copies: what it did not take is dropped here
  rte_pktmbuf_free_bulk(packets, received);           // the mbufs stay ours in every case
}

// Queue pairs are shared out among the lcores: a vring is one thread's.
static int lcore_main(void* unused) {
  (void)unused;
  while (!stopping)
    for (unsigned pair = (unsigned)rte_lcore_index(-1); pair < PAIRS; pair += rte_lcore_count())
      for (unsigned i = 0; i < port_count; ++i)
        forward(vhostx_port_from_guest(ports[i], (uint16_t)pair),
                vhostx_port_to_guest(ports[port_count - 1 - i], (uint16_t)pair));
  return 0;
}

static int fail(const vhostx_error* error) {
  fprintf(stderr, "embed_c: %s\n", error->message);
  return 1;
}

int main(int argc, char** argv) {
  vhostx_error error;
  const int eal_words = rte_eal_init(argc, argv);
  if (eal_words < 0) return 1;
  if (eal_words + 1 >= argc) rte_exit(1, "usage: embed EAL-OPTIONS -- SOCKET [SOCKET]\n");
  pool = rte_pktmbuf_pool_create("embed", 8191, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  if (pool == NULL) rte_exit(1, "no mempool: %s\n", rte_strerror(rte_errno));
  signal(SIGINT, stop);
  signal(SIGTERM, stop);

  vhostx_backend* const backend = vhostx_backend_create(NULL, &error);
  if (backend == NULL) return fail(&error);
  for (int i = eal_words + 1; i < argc && port_count < 2; ++i) {
    vhostx_port_options options;
    vhostx_port_options_init(&options, sizeof options);
    options.socket_path = argv[i];
    options.queue_pairs_max = PAIRS;
    ports[port_count] = vhostx_port_open(backend, &options, print, NULL, &error);
    if (ports[port_count++] == NULL) return fail(&error);
  }
  rte_eal_mp_remote_launch(lcore_main, NULL, CALL_MAIN);
  rte_eal_mp_wait_lcore();
  for (unsigned i = 0; i < port_count; ++i) vhostx_port_destroy(ports[i]);
  vhostx_backend_destroy(backend);
  return rte_eal_cleanup();
}
