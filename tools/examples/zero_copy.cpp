// SPDX-License-Identifier: BSD-3-Clause
// A guest and a NIC (DPDK's port 0). The NIC sends packets from the guest's own buffers. What it receives is written
// into buffers that the guest has posted. The ring driver stands for a NIC and returns what it is sent:
//   zero_copy -l 0 --in-memory --no-pci --vdev net_ring0 -- /tmp/a.sock
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <vhostx/vhostx.hpp>

namespace {

constexpr std::uint16_t nic = 0;
volatile std::sig_atomic_t stopping = 0;

void send_to_nic(vhostx::Vring& from, rte_mempool* pool) {
  rte_mbuf* packets[32];
  const auto count = from.dequeue_burst(pool, packets, 32);
  std::uint16_t good = 0;
  for (unsigned i = 0; i < count; ++i) {
    if (vhostx::to_transmit_offload(packets[i]))
      packets[good++] = packets[i];
    else
      rte_pktmbuf_free(packets[i]);
  }
  const auto prepared = rte_eth_tx_prepare(nic, 0, packets, good);
  const auto sent = rte_eth_tx_burst(nic, 0, packets, prepared);  // frees them when they are on the wire
  rte_pktmbuf_free_bulk(packets + sent, good - sent);
  if (count == 0) from.poll_completions();  // returns to the guest what was freed since
}

// Stands for what a device or a crypto engine does. A buffer of several mbufs, or too small, stays empty.
bool fill(rte_mbuf& buffer, const rte_mbuf& packet) {
  const auto length = packet.data_len;
  if (packet.nb_segs != 1 || buffer.nb_segs != 1 || length > rte_pktmbuf_tailroom(&buffer)) return false;
  std::memcpy(rte_pktmbuf_append(&buffer, length), rte_pktmbuf_mtod(&packet, const void*), length);
  buffer.ol_flags |= packet.ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK;
  buffer.tx_offload = packet.tx_offload;
  return true;
}

void receive_from_nic(vhostx::Vring& to, rte_mempool* pool) {
  rte_mbuf* packets[32];
  rte_mbuf* buffers[32];
  const auto received = rte_eth_rx_burst(nic, 0, packets, 32);
  const auto borrowed = to.borrow_burst(pool, buffers, received);
  std::uint16_t filled = 0;
  while (filled < borrowed && fill(*buffers[filled], *packets[filled])) ++filled;
  const auto committed = to.commit_burst(buffers, filled);           // frees the first N mbufs, N: the return value
  rte_pktmbuf_free_bulk(buffers + committed, borrowed - committed);  // returns the others to the guest, unused
  to.enqueue_burst(packets + committed, received - committed);       // copies what did not fit
  rte_pktmbuf_free_bulk(packets, received);
}

bool start_nic(rte_mempool* pool) {
  const rte_eth_conf conf{};
  constexpr auto any_node = static_cast<unsigned>(SOCKET_ID_ANY);
  return rte_eth_dev_configure(nic, 1, 1, &conf) == 0 &&
         rte_eth_rx_queue_setup(nic, 0, 512, any_node, nullptr, pool) == 0 &&
         rte_eth_tx_queue_setup(nic, 0, 512, any_node, nullptr) == 0 && rte_eth_dev_start(nic) == 0;
}

void print(const char* direction, const vhostx::Vring& vring) {
  const auto stats = vring.stats();
  std::printf("%s: %llu packets, %llu of them in the guest's own buffers\n", direction,
              static_cast<unsigned long long>(stats[vhostx::VringCounter::packets]),
              static_cast<unsigned long long>(stats[vhostx::VringCounter::lent]));
}

int fail(const vhostx::Error& error) {
  std::fprintf(stderr, "zero_copy: %s\n", error.message.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const int eal_words = rte_eal_init(argc, argv);
  if (eal_words < 0) return 1;
  if (eal_words + 1 >= argc) rte_exit(1, "usage: zero_copy EAL-OPTIONS -- SOCKET\n");
  rte_mempool* const pool =
      rte_pktmbuf_pool_create("zero_copy", 8191, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  if (pool == nullptr) rte_exit(1, "no mempool: %s\n", rte_strerror(rte_errno));
  if (!start_nic(pool)) rte_exit(1, "port 0 of DPDK cannot be started: is there a NIC, or --vdev?\n");
  std::signal(SIGINT, [](int) { stopping = 1; });
  std::signal(SIGTERM, [](int) { stopping = 1; });

  auto backend = vhostx::Backend::create();
  if (!backend) return fail(backend.error());
  auto port = backend->open_port({.socket_path = argv[eal_words + 1], .zero_copy = true});
  if (!port) return fail(port.error());
  while (stopping == 0) {
    send_to_nic(port->from_guest(), pool);
    receive_from_nic(port->to_guest(), pool);
  }
  print("from the guest", port->from_guest());
  print("to the guest", port->to_guest());
  rte_eth_dev_stop(nic);  // frees the mbufs that the NIC holds: the guest has its buffers back before the port goes
  *port = nullptr;
  return rte_eal_cleanup();
}
