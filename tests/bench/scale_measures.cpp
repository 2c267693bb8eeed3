// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/scale_measures.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <variant>
#include <vector>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "tests/bench/bench_eal.hpp"
#include "tests/bench/guest_process.hpp"
#include "tests/bench/middle_mean.hpp"
#include "tests/bench/must.hpp"
#include "tests/bench/vhostx_back_end.hpp"

namespace vhostx::bench {
namespace {

using tools::bench::spread_of;

constexpr std::uint16_t burst = 32;

struct IdlePort {
  std::unique_ptr<BenchGuest> guest;
  std::unique_ptr<VhostxBackEnd> back_end;
};

std::vector<IdlePort> make_idle_ports(int count) {
  const auto backend = make_backend();
  std::vector<IdlePort> ports;
  for (int i = 0; i < count; ++i) {
    auto guest = std::make_unique<BenchGuest>(BenchOptions{});
    auto back_end = std::make_unique<VhostxBackEnd>(*guest, backend);
    ports.push_back({std::move(guest), std::move(back_end)});
  }
  return ports;
}

double milliseconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

/// One packet from the guest and back to it, in each queue pair. Waits for it: the rings may be about to start.
int exchange_a_packet(Port& port, std::uint16_t queue_pairs) {
  int served = 0;
  for (std::uint16_t pair = 0; pair < queue_pairs; ++pair) {
    rte_mbuf* packet = nullptr;
    while (port.from_guest(pair).dequeue_burst(bench_pool(), &packet, 1) == 0) continue;
    while (port.to_guest(pair).enqueue_burst(&packet, 1) == 0) continue;
    rte_pktmbuf_free(packet);
    ++served;
  }
  return served;
}

}  // namespace

double idle_poll_ns(int ports) {
  constexpr int samples = 1000;
  const int sweeps = (1023 + ports) / ports;  // a sample: so many polls that reading the counter does not matter
  start_bench_eal(Pages::huge_if_any);
  std::vector<IdlePort> idle = make_idle_ports(ports);
  std::array<rte_mbuf*, burst> packets;
  std::vector<std::uint64_t> ticks;
  for (int i = 0; i < samples; ++i) {
    const std::uint64_t begin = rte_rdtsc_precise();
    for (int sweep = 0; sweep < sweeps; ++sweep)
      for (IdlePort& port : idle) port.back_end->dequeue(bench_pool(), packets.data(), burst);
    ticks.push_back(rte_rdtsc_precise() - begin);
  }
  return middle_mean(ticks) * 1e9 / static_cast<double>(rte_get_tsc_hz()) / (sweeps * ports);
}

PortMemory memory_a_port(int ports, std::uint16_t queue_pairs) {
  GuestProcess guests({.queue_pairs = queue_pairs});  // forks, which EAL's process may not
  start_bench_eal(Pages::normal);
  const auto backend = make_backend();
  const auto open_port = [&] {
    return must(backend->open_port({.socket_path = fresh_socket_path(), .queue_pairs_max = queue_pairs}), "port");
  };
  open_port();  // and closed: what the first port of a process brings along, the control thread's heap above all
  std::vector<std::unique_ptr<Port>> open;
  const ProcessMemory at_start = read_process_memory();
  const int fds_at_start = count_fds();
  for (int i = 0; i < ports; ++i) open.push_back(open_port());
  const ProcessMemory idle = read_process_memory();
  const int idle_fds = count_fds();
  for (auto& port : open) {
    guests.connect(port->socket_path());
    wait_until_started(*port);
  }
  const ProcessMemory connected = read_process_memory();
  return {(idle - at_start) / ports, (connected - at_start) / ports,
          static_cast<double>(idle_fds - fds_at_start) / ports,
          static_cast<double>(count_fds() - fds_at_start) / ports};
}

FirstPacket time_to_first_packet(int connects, std::uint16_t queue_pairs) {
  start_bench_eal(Pages::huge_if_any);
  bench_pool();
  std::atomic<int> disconnected{0};
  const auto backend = make_backend();
  const auto port = must(backend->open_port({.socket_path = fresh_socket_path(), .queue_pairs_max = queue_pairs},
                                            [&](Port&, const PortEvent& event) {
                                              if (!std::holds_alternative<FrontEndDisconnected>(event)) return;
                                              ++disconnected;
                                              disconnected.notify_all();
                                            }),
                         "port");
  std::vector<double> connect_ms;
  std::vector<double> first_packet_ms;
  int served = 0;
  for (int i = 0; i < connects; ++i) {
    BenchGuest guest({.queue_pairs = queue_pairs});
    for (std::uint16_t pair = 0; pair < queue_pairs; ++pair) {
      guest.post_transmit(1, pair);
      guest.post_receive(1, pair);
    }
    const auto begin = std::chrono::steady_clock::now();
    const auto connection = guest.connect(port->socket_path());
    connect_ms.push_back(milliseconds_since(begin));
    served = exchange_a_packet(*port, queue_pairs);
    first_packet_ms.push_back(milliseconds_since(begin));
    connection.front_end->disconnect();
    disconnected.wait(i);
  }
  return {spread_of(connect_ms), spread_of(first_packet_ms), served};
}

}  // namespace vhostx::bench
