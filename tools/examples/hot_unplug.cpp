// SPDX-License-Identifier: BSD-3-Clause
// A port that comes and goes while an lcore polls it. Each line on standard input unplugs it, or plugs it in again; the
// end of the input ends the program. Packets go back to the guest that they came from.
//   hot_unplug -l 0,1 --in-memory --no-pci -- /tmp/a.sock
#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <thread>

#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include <vhostx/vhostx.hpp>

namespace {

// What the main thread and the poller share.
std::atomic<vhostx::Port*> plugged{nullptr};  // the poller looks once a round
std::atomic<std::uint64_t> rounds{0};         // rounds that the poller has ended
std::atomic<bool> stopping{false};

void echo(vhostx::Port& port, rte_mempool* pool) {
  rte_mbuf* packets[32];
  const auto received = port.from_guest().dequeue_burst(pool, packets, 32);
  port.to_guest().enqueue_burst(packets, received);
  rte_pktmbuf_free_bulk(packets, received);
}

int poll(void* pool) {
  while (!stopping) {
    if (vhostx::Port* const port = plugged) echo(*port, static_cast<rte_mempool*>(pool));
    ++rounds;
  }
  return 0;
}

void unplug(std::unique_ptr<vhostx::Port>& port) {
  port->close();  // the poller may be inside: its burst ends, and the next ones return 0
  std::printf("unplugged after %" PRIu64 " packets\n", port->from_guest().count(vhostx::VringCounter::packets));
  plugged = nullptr;  // the next round does not find it
  for (const auto round = rounds.load(); rounds == round;) std::this_thread::yield();
  port.reset();  // nobody has it any more
}

int fail(const std::string& message) {
  std::fprintf(stderr, "hot_unplug: %s\n", message.c_str());
  return 1;
}

int run(const char* path, rte_mempool* pool) {
  const auto backend = vhostx::Backend::create();
  if (!backend) return fail(backend.error().message);
  const unsigned lcore = rte_get_next_lcore(LCORE_ID_ANY, 1, 0);
  rte_eal_remote_launch(poll, pool, lcore);

  int status = 0;
  std::unique_ptr<vhostx::Port> port;
  std::string line;
  do {
    if (port != nullptr) {
      unplug(port);
      continue;
    }
    vhostx::PortOptions options;
    options.socket_path = path;
    auto opened = backend->open_port(options);
    if (!opened) {
      status = fail(opened.error().message);
      break;
    }
    port = *std::move(opened);
    plugged = port.get();
    std::printf("plugged in at %s\n", path);
  } while (std::getline(std::cin, line));

  if (port != nullptr) unplug(port);
  stopping = true;
  rte_eal_wait_lcore(lcore);
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  const int eal_words = rte_eal_init(argc, argv);
  if (eal_words < 0) return 1;
  if (argc != eal_words + 2) return fail("expected EAL's options, --, and the path of a socket");
  if (rte_lcore_count() < 2) return fail("expected two lcores, for example -l 0,1");
  rte_mempool* const pool = rte_pktmbuf_pool_create("packets", 8191, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  if (pool == nullptr) return fail("no memory for mbufs");
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const int status = run(argv[eal_words + 1], pool);
  rte_eal_cleanup();
  return status;
}
