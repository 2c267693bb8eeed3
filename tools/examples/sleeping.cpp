// SPDX-License-Identifier: BSD-3-Clause
// Sends a guest's packets back to it, and sleeps while it sends none.
//   sleeping -l 0 --in-memory --no-pci -- /tmp/a.sock
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>

#include <vhostx/vhostx.hpp>

namespace {

volatile std::sig_atomic_t stopping = 0;

// Returns false if there was no packet.
bool send_back(vhostx::Vring& from, vhostx::Vring& to, rte_mempool* pool) {
  rte_mbuf* packets[32];
  const auto received = from.dequeue_burst(pool, packets, 32);
  to.enqueue_burst(packets, received);
  rte_pktmbuf_free_bulk(packets, received);
  return received != 0;
}

// Returns how often it slept.
vhostx::Result<unsigned> serve(vhostx::Vring& from, vhostx::Vring& to, rte_mempool* pool) {
  auto waiter = vhostx::Waiter::create();
  if (!waiter) return waiter.error();
  // Now, and after each restart of the ring.
  if (auto watched = waiter->watch(from); !watched) return watched.error();
  unsigned sleeps = 0;
  while (stopping == 0) {
    if (send_back(from, to, pool)) continue;
    // Ask for kicks first. True: something came before the request, so look again.
    if (!from.set_notifications(true)) {
      waiter->wait(std::chrono::seconds(1));
      ++sleeps;
    }
    from.set_notifications(false);
  }
  return sleeps;
}

int fail(const vhostx::Error& error) {
  std::fprintf(stderr, "sleeping: %s\n", error.message.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const int eal_words = rte_eal_init(argc, argv);
  if (eal_words < 0) return 1;
  if (eal_words + 1 >= argc) rte_exit(1, "usage: sleeping EAL-OPTIONS -- SOCKET\n");
  rte_mempool* const pool = rte_pktmbuf_pool_create("sleeping", 8191, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  if (pool == nullptr) rte_exit(1, "no mempool: %s\n", rte_strerror(rte_errno));
  std::signal(SIGINT, [](int) { stopping = 1; });
  std::signal(SIGTERM, [](int) { stopping = 1; });

  auto backend = vhostx::Backend::create();
  if (!backend) return fail(backend.error());
  auto port = backend->open_port({.socket_path = argv[eal_words + 1]});
  if (!port) return fail(port.error());
  auto slept = serve(port->from_guest(), port->to_guest(), pool);
  if (!slept) return fail(slept.error());
  std::printf("slept %u times\n", *slept);
  *port = nullptr;  // ends the connection and removes the socket
  return rte_eal_cleanup();
}
