// SPDX-License-Identifier: BSD-3-Clause
// A switch as one writes it on rte_vhost's interface, with as much of vhostx-switch's command line and of its JSON
// lines as tests/hostile needs to attack it: sockets in pairs, what one guest sends goes to the other.
//
//   attacked_switch EAL-OPTIONS -- [--port SOCKET[,...]]... [other words are vhostx-switch's]
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <unistd.h>

#include <fmt/format.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "compat/rte_vhost/abi.hpp"

namespace {

namespace compat = vhostx::compat;

constexpr unsigned statistics_interval_us = 30'000;
constexpr std::uint16_t pairs_max = 2;
constexpr unsigned idle_sleep_us = 50;
constexpr std::uint16_t burst_max = 32;
constexpr std::uint64_t udp_segmentation = std::uint64_t{7} << 54;  // the attackers' packets ask for it

std::atomic<bool> asked_to_end{false};
rte_mempool* pool = nullptr;

/// Packets from one queue that the other guest had no buffers for yet: nothing more is taken from the queue meanwhile.
struct Lane {
  std::array<rte_mbuf*, burst_max> burst;
  std::uint16_t begin = 0, end = 0;
};

struct Port {
  explicit Port(std::string socket_path) : path(std::move(socket_path)) {}
  std::string path;
  std::atomic<int> vid{-1};
  std::array<Lane, pairs_max> lanes;  // of what it sends
};
std::deque<Port> ports;
std::mutex output;

void say(const std::string& line) {
  const std::lock_guard guard(output);
  std::puts(line.c_str());
  std::fflush(stdout);
}

Port* port_of(int vid) {
  std::array<char, 256> path{};
  if (rte_vhost_get_ifname(vid, path.data(), path.size()) != 0) return nullptr;
  for (Port& port : ports)
    if (port.path == path.data()) return &port;
  return nullptr;
}

int new_device(int vid) {
  if (Port* const port = port_of(vid)) port->vid = vid;
  return 0;
}

void destroy_device(int vid) {
  if (Port* const port = port_of(vid)) port->vid = -1;
}

int vring_state_changed(int vid, std::uint16_t queue, int enabled) {
  compat::VringFacts facts{};
  const Port* const port = port_of(vid);
  if (port != nullptr && enabled != 0 && rte_vhost_get_vhost_vring(vid, queue, &facts) == 0 && facts.kick_fd >= 0)
    say(fmt::format(R"({{"event":"vring_started","port":"{}","vring":{}}})", port->path, queue));
  return 0;
}

void destroy_connection(int vid) {
  if (const Port* const port = port_of(vid)) say(fmt::format(R"({{"event":"disconnected","port":"{}"}})", port->path));
}

constexpr compat::DeviceOps ops{new_device, destroy_device, vring_state_changed, nullptr, nullptr, destroy_connection,
                                nullptr,    nullptr};

void send(Lane& lane, int target, std::uint16_t queue) {
  const bool has_queue = target >= 0 && rte_vhost_get_vring_num(target) > queue;
  const auto left = static_cast<std::uint16_t>(lane.end - lane.begin);
  rte_mbuf** const packets = &lane.burst[lane.begin];
  std::uint16_t done = left;  // nobody is there
  if (target >= 0) done = rte_vhost_enqueue_burst(target, has_queue ? queue : std::uint16_t{0}, packets, left);
  rte_pktmbuf_free_bulk(packets, done);
  lane.begin = static_cast<std::uint16_t>(lane.begin + done);
}

// A vid may be gone, or another device's, at any time between these lines: bursts move nothing then. False: nothing
// came.
bool forward(Port& from, const Port& to) {
  bool busy = false;
  for (std::uint16_t pair = 0; pair < pairs_max; ++pair) {
    Lane& lane = from.lanes[pair];
    const auto queue = static_cast<std::uint16_t>(2 * pair);  // the one to the guest; the next is the one from it
    if (lane.begin == lane.end) {
      const int source = from.vid;
      if (source < 0) continue;
      lane.begin = 0;
      lane.end =
          rte_vhost_dequeue_burst(source, static_cast<std::uint16_t>(queue + 1), pool, lane.burst.data(), burst_max);
      busy |= lane.end != 0;
    }
    if (lane.begin != lane.end) send(lane, to.vid, queue);
  }
  return busy;
}

// It sleeps where nothing came: other tests have a use for the CPU.
int forward_all(void*) {
  while (!asked_to_end) {
    bool busy = false;
    for (std::size_t i = 0; i + 1 < ports.size(); i += 2)
      for (const std::size_t from : {i, i + 1}) busy |= forward(ports[from], ports[from ^ 1U]);
    if (!busy) ::usleep(idle_sleep_us);
  }
  return 0;
}

void open_ports(int argc, char** argv) {
  for (int i = 0; i + 1 < argc; ++i)
    if (std::string_view(argv[i]) == "--port") {
      const std::string word = argv[i + 1];
      ports.emplace_back(word.substr(0, word.find(',')));
    }
}

bool serve(const Port& port) {
  const char* const path = port.path.c_str();
  return rte_vhost_driver_register(path, compat::flag_statistics) == 0 &&
         rte_vhost_driver_enable_features(path, udp_segmentation) == 0 &&
         rte_vhost_driver_callback_register(path, &ops) == 0 && rte_vhost_driver_start(path) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  const int eal_words = rte_eal_init(argc, argv);
  if (eal_words < 0 || rte_lcore_count() < 2) return 1;
  pool = rte_pktmbuf_pool_create("packets", 8191, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  if (pool == nullptr) return 1;
  std::signal(SIGINT, [](int) { asked_to_end = true; });
  std::signal(SIGPIPE, SIG_IGN);  // of its output; vhostx asks for none of its sockets'
  open_ports(argc - eal_words, argv + eal_words);
  for (const Port& port : ports)
    if (!serve(port)) return 1;
  rte_eal_mp_remote_launch(forward_all, nullptr, SKIP_MAIN);
  say(R"({"event":"ready"})");
  while (!asked_to_end) {
    ::usleep(statistics_interval_us);
    say(fmt::format(R"({{"event":"stats","process":{{"mbufs_in_use":{},"events_lost":0}},"ports":[]}})",
                    rte_mempool_in_use_count(pool)));
  }
  rte_eal_mp_wait_lcore();
  for (const Port& port : ports) rte_vhost_driver_unregister(port.path.c_str());
  return rte_eal_cleanup();
}
