// SPDX-License-Identifier: BSD-3-Clause
// A whole back-end: forwards packets between two guests, or sends one guest's packets back to it.
//   embed -l 0 --in-memory --no-pci -- /tmp/a.sock [/tmp/b.sock]
#include <csignal>
#include <cstdio>
#include <memory>
#include <vector>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>

#include <vhostx/vhostx.hpp>

namespace {

volatile std::sig_atomic_t stopping = 0;

void forward(vhostx::Vring& from, vhostx::Vring& to, rte_mempool* pool) {
  rte_mbuf* packets[32];
  const auto received = from.dequeue_burst(pool, packets, 32);
  to.enqueue_burst(packets, received);       // copies: what it did not take is dropped here
  rte_pktmbuf_free_bulk(packets, received);  // the mbufs stay ours in every case
}

int fail(const vhostx::Error& error) {
  std::fprintf(stderr, "embed: %s\n", error.message.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const int eal_words = rte_eal_init(argc, argv);
  if (eal_words < 0) return 1;
  if (eal_words + 1 >= argc) rte_exit(1, "usage: embed EAL-OPTIONS -- SOCKET [SOCKET]\n");
  rte_mempool* const pool = rte_pktmbuf_pool_create("embed", 8191, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  if (pool == nullptr) rte_exit(1, "no mempool: %s\n", rte_strerror(rte_errno));
  std::signal(SIGINT, [](int) { stopping = 1; });
  std::signal(SIGTERM, [](int) { stopping = 1; });

  auto backend = vhostx::Backend::create();
  if (!backend) return fail(backend.error());
  const auto print = [](vhostx::Port& port, const vhostx::PortEvent& event) {
    std::printf("%s: %s\n", port.socket_path().c_str(), vhostx::describe(event).c_str());
  };
  std::vector<std::unique_ptr<vhostx::Port>> ports;
  for (int i = eal_words + 1; i < argc; ++i) {
    vhostx::PortOptions options;
    options.socket_path = argv[i];
    auto port = backend->open_port(options, print);
    if (!port) return fail(port.error());
    ports.push_back(*std::move(port));
  }
  while (stopping == 0 && !ports.empty()) {
    forward(ports.front()->from_guest(), ports.back()->to_guest(), pool);
    if (ports.size() > 1) forward(ports.back()->from_guest(), ports.front()->to_guest(), pool);
  }
  ports.clear();  // ends the connections and removes the sockets
  return rte_eal_cleanup();
}
