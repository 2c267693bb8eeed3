// SPDX-License-Identifier: BSD-3-Clause
// Sends a guest's packets back to it, says what happens, and prints the counters at SIGUSR1 and at the end.
//   statistics -l 0 --in-memory --no-pci -- /tmp/a.sock
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <memory>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>

#include <vhostx/vhostx.hpp>

namespace {

volatile std::sig_atomic_t stopping = 0;
volatile std::sig_atomic_t asked = 0;

// On the control thread, one event at a time.
void on_event(vhostx::Port& port, const vhostx::PortEvent& event) {
  const char* const path = port.socket_path().c_str();
  if (const auto* gone = std::get_if<vhostx::FrontEndDisconnected>(&event))
    std::printf("%s: the guest left: %s\n", path, gone->reason.message.c_str());
  else if (const auto* broken = std::get_if<vhostx::VringBroken>(&event))
    std::printf("%s: the guest's driver is faulty: %s\n", path, vhostx::to_string(broken->fault.cause));
  else
    std::printf("%s: %s\n", path, vhostx::describe(event).c_str());
}

// Prints what was counted since `before`, and returns the counters of now.
vhostx::VringStats print_since(const vhostx::VringStats& before, const vhostx::Vring& vring) {
  const vhostx::VringStats stats = vring.stats();
  for (const auto& row : vhostx::vring_counters)
    if (const auto count = stats[row.id] - before[row.id]; count != 0)
      std::printf("vring %u: %" PRIu64 " %s%s\n", vring.index(), count, row.name, row.is_drop ? " (lost)" : "");
  return stats;
}

void print_state(const vhostx::Port& port) {
  const vhostx::PortInfo info = port.info();
  if (!info.connected) return;
  std::printf("%s, %u of %u vrings are ready\n", info.link_up ? "the link is up" : "no packets can go both ways",
              info.vrings_ready, port.vring_count());
  std::printf("features: %s\n", vhostx::describe_features(info.features).c_str());
  if (!vhostx::has_feature(info.features, vhostx::VirtioFeature::net_mrg_rxbuf))
    std::printf("each packet must fit into one receive buffer\n");
}

void print_sizes(const vhostx::Vring& vring) {
  const vhostx::PacketSizes sizes = vring.packet_sizes();
  for (std::size_t i = 0; i < sizes.values.size(); ++i)
    if (sizes.values[i] != 0)
      std::printf("vring %u: %" PRIu64 " %s\n", vring.index(), sizes.values[i], vhostx::size_counter_names[i]);
}

void send_back(vhostx::Port& port, rte_mempool* pool) {
  rte_mbuf* packets[32];
  const auto received = port.from_guest().dequeue_burst(pool, packets, 32);
  port.to_guest().enqueue_burst(packets, received);
  rte_pktmbuf_free_bulk(packets, received);
}

void serve(vhostx::Port& port, rte_mempool* pool) {
  vhostx::VringStats from_guest;
  vhostx::VringStats to_guest;
  while (stopping == 0) {
    send_back(port, pool);
    if (asked == 0) continue;
    asked = 0;
    print_state(port);
    from_guest = print_since(from_guest, port.from_guest());
    to_guest = print_since(to_guest, port.to_guest());
  }
  print_since(from_guest, port.from_guest());
  print_since(to_guest, port.to_guest());
  print_sizes(port.from_guest());
}

int fail(const vhostx::Error& error) {
  std::fprintf(stderr, "statistics: %s\n", error.message.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const int eal_words = rte_eal_init(argc, argv);
  if (eal_words < 0) return 1;
  if (eal_words + 1 >= argc) rte_exit(1, "usage: statistics EAL-OPTIONS -- SOCKET\n");
  rte_mempool* const pool = rte_pktmbuf_pool_create("mbufs", 8191, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  if (pool == nullptr) rte_exit(1, "no mempool: %s\n", rte_strerror(rte_errno));
  std::signal(SIGINT, [](int) { stopping = 1; });
  std::signal(SIGTERM, [](int) { stopping = 1; });
  std::signal(SIGUSR1, [](int) { asked = 1; });

  vhostx::BackendOptions options;
  options.log = [](vhostx::LogLevel level, std::string_view line) {
    std::fprintf(stderr, "%s: %.*s\n", vhostx::to_string(level), static_cast<int>(line.size()), line.data());
  };
  auto backend = vhostx::Backend::create(options);
  if (!backend) return fail(backend.error());
  vhostx::PortOptions port_options;
  port_options.socket_path = argv[eal_words + 1];
  port_options.count_sizes = true;
  auto port = backend->open_port(port_options, on_event);
  if (!port) return fail(port.error());
  serve(**port, pool);
  *port = nullptr;
  return rte_eal_cleanup();
}
