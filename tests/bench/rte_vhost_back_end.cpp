// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/rte_vhost_back_end.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>

#include <rte_vhost.h>

namespace vhostx::bench {
namespace {

constexpr int no_device = -1;
/// rte_vhost's callbacks come on its own thread and carry nothing of the caller's: hence one device a process.
std::atomic<int> live_device{no_device};

int on_new_device(int device) {
  live_device = device;
  live_device.notify_all();
  return 0;
}

void on_destroy_device(int) {
  live_device = no_device;
  live_device.notify_all();
}

constexpr rte_vhost_device_ops callbacks = {.new_device = on_new_device, .destroy_device = on_destroy_device};

void must_be_zero(int result, const char* call) {
  if (result == 0) return;
  std::fprintf(stderr, "bench: %s: returned %d, expected 0\n", call, result);
  std::exit(1);
}

}  // namespace

RteVhostBackEnd::RteVhostBackEnd(BenchGuest& guest) : path_(fresh_socket_path()) {
  must_be_zero(rte_vhost_driver_register(path_.c_str(), RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS),
               "rte_vhost_driver_register");
  must_be_zero(rte_vhost_driver_callback_register(path_.c_str(), &callbacks), "rte_vhost_driver_callback_register");
  must_be_zero(rte_vhost_driver_start(path_.c_str()), "rte_vhost_driver_start");
  connection_ = guest.connect(path_);
  live_device.wait(no_device);
  device_ = live_device;
}

RteVhostBackEnd::~RteVhostBackEnd() {
  connection_.front_end->disconnect();
  live_device.wait(device_);
  rte_vhost_driver_unregister(path_.c_str());
}

std::uint16_t RteVhostBackEnd::dequeue(rte_mempool* pool, rte_mbuf** packets, std::uint16_t count) {
  return rte_vhost_dequeue_burst(device_, 1, pool, packets, count);
}

std::uint16_t RteVhostBackEnd::enqueue(rte_mbuf** packets, std::uint16_t count) {
  return rte_vhost_enqueue_burst(device_, 0, packets, count);
}

}  // namespace vhostx::bench
