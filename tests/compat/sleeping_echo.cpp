// SPDX-License-Identifier: BSD-3-Clause
// An application as one writes it for DPDK's ethdev interface: a net_vhost port whose receive queue's interrupt it
// sleeps on, and which sends back what it gets. It knows of no vhost library: which one net_vhost runs on is
// LD_LIBRARY_PATH's say.
//
//   sleeping_echo EAL-OPTIONS --vdev net_vhost0,iface=SOCKET
//
// Says `sleeping` each time before it sleeps, `woken` after it, `echoed N` after a burst, `link up` and `link down`;
// ends on SIGTERM. net_vhost registers the interrupt before it lets the queues be read: what was sent in between has
// rung for nothing. So changes of the link and of the queues wake the program too.
#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_interrupts.h>
#include <rte_mbuf.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

namespace {

constexpr std::uint16_t port = 0;
constexpr std::uint16_t queue = 0;
constexpr std::uint16_t descriptors = 256;
constexpr int sleep_max_ms = 1000;  // then it looks whether it is to end

volatile std::sig_atomic_t asked_to_end = 0;
int changes = -1;  // an eventfd: the link or a queue is another

void need(bool done, const char* what) {
  if (done) return;
  std::fprintf(stderr, "sleeping_echo: %s\n", what);
  std::exit(1);
}

void say(const char* word) {
  std::puts(word);
  std::fflush(stdout);
}

// On the driver's thread.
int note_change(std::uint16_t, rte_eth_event_type, void*, void*) {
  eventfd_write(changes, 1);
  return 0;
}

void watch_changes() {
  changes = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  need(changes >= 0, "no eventfd");
  static rte_epoll_event event{};
  event.epdata.event = EPOLLIN;
  need(rte_epoll_ctl(RTE_EPOLL_PER_THREAD, EPOLL_CTL_ADD, changes, &event) == 0, "changes cannot be waited for");
  for (const rte_eth_event_type type : {RTE_ETH_EVENT_INTR_LSC, RTE_ETH_EVENT_QUEUE_STATE})
    need(rte_eth_dev_callback_register(port, type, note_change, nullptr) == 0, "changes are not told");
}

void say_link() {
  static bool was_up = false;
  eventfd_t count = 0;
  if (eventfd_read(changes, &count) != 0) return;
  rte_eth_link link{};
  need(rte_eth_link_get_nowait(port, &link) == 0, "the link is not known");
  const bool up = link.link_status == RTE_ETH_LINK_UP;
  if (up != was_up) say(up ? "link up" : "link down");
  was_up = up;
}

void set_up() {
  rte_mempool* const pool = rte_pktmbuf_pool_create("echo", 1023, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  need(pool != nullptr, "no mempool");
  rte_eth_conf configuration{};
  configuration.intr_conf.rxq = 1;
  need(rte_eth_dev_configure(port, 1, 1, &configuration) == 0, "the port is not configured");
  need(rte_eth_rx_queue_setup(port, queue, descriptors, 0, nullptr, pool) == 0, "no receive queue");
  need(rte_eth_tx_queue_setup(port, queue, descriptors, 0, nullptr) == 0, "no transmit queue");
  watch_changes();
  need(rte_eth_dev_start(port) == 0, "the port does not start");
  need(rte_eth_dev_rx_intr_ctl_q(port, queue, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_ADD, nullptr) == 0,
       "the receive queue has no interrupt");
}

std::uint16_t echo() {
  std::array<rte_mbuf*, 32> burst{};
  const std::uint16_t count = rte_eth_rx_burst(port, queue, burst.data(), burst.size());
  const std::uint16_t sent = rte_eth_tx_burst(port, queue, burst.data(), count);
  rte_pktmbuf_free_bulk(&burst[sent], count - sent);
  if (count != 0) std::printf("echoed %u of %u\n", sent, count);
  return count;
}

// Between the last empty burst and the sleep a packet may come: once the interrupt is asked for, it is looked again.
void sleep_unless_there_is_work() {
  if (rte_eth_dev_rx_intr_enable(port, queue) != 0) return;  // nobody is connected
  if (echo() == 0) {
    say("sleeping");
    rte_epoll_event event{};
    while (asked_to_end == 0) {
      if (rte_epoll_wait(RTE_EPOLL_PER_THREAD, &event, 1, sleep_max_ms) <= 0) continue;
      say("woken");
      break;
    }
  }
  rte_eth_dev_rx_intr_disable(port, queue);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGTERM, [](int) { asked_to_end = 1; });
  need(rte_eal_init(argc, argv) >= 0, "EAL does not start");
  set_up();
  say("ready");
  while (asked_to_end == 0) {
    say_link();
    if (echo() == 0) sleep_unless_there_is_work();
  }
  rte_eth_dev_stop(port);
  rte_eth_dev_close(port);
  rte_eal_cleanup();
}
