// SPDX-License-Identifier: BSD-3-Clause
// Sends a guest's packets back to it, and shows the port in DPDK's telemetry as "vm0".
//   telemetry -l 0 --in-memory --no-pci --file-prefix=vm0 -- /tmp/a.sock
//   dpdk-telemetry.py -f vm0
#include <csignal>
#include <cstdio>
#include <memory>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>

#include <vhostx/telemetry.hpp>
#include <vhostx/vhostx.hpp>

namespace {

volatile std::sig_atomic_t stopping = 0;

void send_back(vhostx::Port& port, rte_mempool* pool) {
  rte_mbuf* packets[32];
  const auto received = port.from_guest().dequeue_burst(pool, packets, 32);
  port.to_guest().enqueue_burst(packets, received);
  rte_pktmbuf_free_bulk(packets, received);
}

int fail(const vhostx::Error& error) {
  std::fprintf(stderr, "telemetry: %s\n", error.message.c_str());
  return 1;
}

// Returns the exit status.
int serve(vhostx::Port& port, rte_mempool* pool) {
  auto published = vhostx::PublishedPort::publish(port, "vm0");  // without a name: its socket path
  if (!published) return fail(published.error());
  while (stopping == 0) send_back(port, pool);
  return 0;  // the port is withdrawn here, before it is destroyed
}

}  // namespace

int main(int argc, char** argv) {
  const int eal_words = rte_eal_init(argc, argv);
  if (eal_words < 0) return 1;
  if (eal_words + 1 >= argc) rte_exit(1, "usage: telemetry EAL-OPTIONS -- SOCKET\n");
  rte_mempool* const pool = rte_pktmbuf_pool_create("mbufs", 8191, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  if (pool == nullptr) rte_exit(1, "no mempool: %s\n", rte_strerror(rte_errno));
  std::signal(SIGINT, [](int) { stopping = 1; });
  std::signal(SIGTERM, [](int) { stopping = 1; });

  auto backend = vhostx::Backend::create();
  if (!backend) return fail(backend.error());
  auto port = backend->open_port({.socket_path = argv[eal_words + 1]});
  if (!port) return fail(port.error());
  const int status = serve(**port, pool);
  *port = nullptr;
  rte_eal_cleanup();
  return status;
}
