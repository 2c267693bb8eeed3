// SPDX-License-Identifier: BSD-3-Clause
// Sends a guest's packets back to it, on an lcore of the node where the guest's memory is, with mbufs of that node.
//   numa -l 0,1 --in-memory --no-pci -- /tmp/a.sock
#include <atomic>
#include <csignal>
#include <cstdio>
#include <memory>
#include <vector>

#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include <vhostx/vhostx.hpp>

namespace {

volatile std::sig_atomic_t stopping = 0;
std::vector<unsigned> lcores;
std::unique_ptr<vhostx::MempoolsByNode> pools;
std::unique_ptr<vhostx::Port> port;

// Who serves the guest, and with which pool.
std::atomic<rte_mempool*> pool{nullptr};
std::atomic<unsigned> wanted_lcore{0};   // chosen on the control thread
std::atomic<unsigned> serving_lcore{0};  // handed over by the one that serves, between two bursts

void serve_on(int node) {
  const auto choice = pools->on(node);  // fails only if no node has memory for a pool
  if (!choice) return;                  // then the present pool is kept
  if (!choice->problem.empty()) std::printf("pool of node %d: %s\n", choice->node, choice->problem.c_str());
  pool.store(choice->pool, std::memory_order_release);
  const auto near = vhostx::lcores_on(node, lcores);
  if (!near.empty()) wanted_lcore.store(near.front());
}

void on_event(vhostx::Port&, const vhostx::PortEvent& event) {
  const auto* placed = std::get_if<vhostx::PlacementChanged>(&event);
  if (placed == nullptr || placed->index != 1) return;  // one lcore serves both rings: the transmit ring decides
  std::printf("the guest's memory is on node %d\n", placed->node);
  serve_on(placed->node);
}

void send_back() {
  rte_mbuf* packets[32];
  const auto received = port->from_guest().dequeue_burst(pool.load(std::memory_order_acquire), packets, 32);
  port->to_guest().enqueue_burst(packets, received);
  rte_pktmbuf_free_bulk(packets, received);
}

int lcore_main(void*) {
  const unsigned self = rte_lcore_id();
  while (stopping == 0) {
    if (serving_lcore.load(std::memory_order_acquire) != self) continue;
    send_back();
    // A vring is one thread's at a time: this one is done with it before the next one begins.
    if (const unsigned next = wanted_lcore.load(); next != self) serving_lcore.store(next, std::memory_order_release);
  }
  return 0;
}

int fail(const vhostx::Error& error) {
  std::fprintf(stderr, "numa: %s\n", error.message.c_str());
  return 1;
}

vhostx::Result<void> open_port(vhostx::Backend& backend, const char* socket_path) {
  auto made = vhostx::MempoolsByNode::create({.mbufs = 8191});  // in each pool, which is made when it is first needed
  if (!made) return made.error();
  pools = *std::move(made);
  if (auto first = pools->on(vhostx::no_node); !first) return first.error();
  serve_on(vhostx::no_node);  // until the guest's node is known

  auto opened = backend.open_port({.socket_path = socket_path}, on_event);
  if (!opened) return opened.error();
  port = *std::move(opened);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const int eal_words = rte_eal_init(argc, argv);
  if (eal_words < 0) return 1;
  if (eal_words + 1 >= argc) rte_exit(1, "usage: numa EAL-OPTIONS -- SOCKET\n");
  std::signal(SIGINT, [](int) { stopping = 1; });
  std::signal(SIGTERM, [](int) { stopping = 1; });
  unsigned lcore = 0;
  RTE_LCORE_FOREACH(lcore) lcores.push_back(lcore);
  wanted_lcore = serving_lcore = lcores.front();

  auto backend = vhostx::Backend::create();
  if (!backend) return fail(backend.error());
  if (auto opened = open_port(**backend, argv[eal_words + 1]); !opened) return fail(opened.error());
  rte_eal_mp_remote_launch(lcore_main, nullptr, CALL_MAIN);
  rte_eal_mp_wait_lcore();
  const auto placement = port->from_guest().placement();
  std::printf("served by lcore %u, guest's node %d%s%s\n", serving_lcore.load(), placement.wanted_node,
              placement.problem.empty() ? "" : ": ", placement.problem.c_str());
  port.reset();
  pools.reset();
  return rte_eal_cleanup();
}
