// SPDX-License-Identifier: BSD-3-Clause
// The binary interface of DPDK's vhost library, 22.11 (librte_vhost.so.23) and later, as far as this library serves it:
// numbers, layouts and functions that programs were compiled against. What each function does is written in DPDK's
// guide; here stands what differs. VHOSTX_DPDK_ABI is the number in the name of the library that is built.
#pragma once

#include <cstddef>
#include <cstdint>

struct rte_mbuf;
struct rte_mempool;

namespace vhostx::compat {

/// Of rte_vhost_driver_register().
enum DriverFlag : std::uint64_t {
  flag_client = 1u << 0,
  flag_no_reconnect = 1u << 1,        ///< Refused in the client role, which always reconnects.
  flag_iommu = 1u << 3,               ///< Taken; IOMMU_PLATFORM is not offered all the same.
  flag_postcopy = 1u << 4,            ///< Taken; PAGEFAULT is not offered all the same.
  flag_external_buffers = 1u << 5,    ///< With flag_linear_buffers: large packets in buffers from rte_malloc().
  flag_linear_buffers = 1u << 6,      ///< No mbuf chains: what fits neither mbuf nor external buffer is dropped.
  flag_async_copy = 1u << 7,          ///< Refused.
  flag_compliant_offloads = 1u << 8,  ///< Receive flags from dequeue; without it, transmit flags as before 21.08.
  flag_statistics = 1u << 9,
  flag_async_connect = 1u << 10,  ///< Taken: no start waits for a connection, with it or without.
};

inline constexpr int devices_max = 1024;
inline constexpr std::uint32_t queue_pairs_max = 128;

/// Any of these may be null. They are called on one thread, which is this library's, one at a time; but for
/// destroy_device and destroy_connection, which rte_vhost_driver_unregister() calls on its caller's, and guest_notified
/// and guest_notify, which come on the thread of the burst.
struct DeviceOps {
  int (*new_device)(int vid);
  void (*destroy_device)(int vid);
  int (*vring_state_changed)(int vid, std::uint16_t queue, int enabled);
  int (*features_changed)(int vid, std::uint64_t features);
  int (*new_connection)(int vid);
  void (*destroy_connection)(int vid);
  void (*guest_notified)(int vid);
  /// From 23.11 on; before, programs may have left anything here. True: the application will call the guest itself, by
  /// rte_vhost_notify_guest().
  bool (*guest_notify)(int vid, std::uint16_t queue);
};
static_assert(sizeof(DeviceOps) == 8 * sizeof(void*) && offsetof(DeviceOps, guest_notified) == 6 * sizeof(void*));

/// Null where there is none.
inline auto guest_notify_of(const DeviceOps* ops) noexcept {
  return VHOSTX_DPDK_ABI >= 24 && ops != nullptr ? ops->guest_notify : nullptr;
}

/// Of rte_vhost_get_vhost_vring(). The addresses are null and `call_fd` is -1: the rings are this library's alone.
struct VringFacts {
  void* descriptors;
  void* avail;
  void* used;
  std::uint64_t log_address;
  int call_fd;
  /// -1 until vring_state_changed has told that the ring started (it comes once more then). A number of its own, which
  /// is closed only when the next vring_state_changed of the queue, or destroy_connection, has returned.
  int kick_fd;
  std::uint16_t size;
};
static_assert(sizeof(VringFacts) == 48 && offsetof(VringFacts, call_fd) == 32 && offsetof(VringFacts, kick_fd) == 36 &&
              offsetof(VringFacts, size) == 40);

struct Statistic {
  std::uint64_t id;
  std::uint64_t value;
};
static_assert(sizeof(Statistic) == 16);

struct StatisticName {
  char text[64];
};
static_assert(sizeof(StatisticName) == 64);

/// Of rte_vhost_get_monitor_addr().
struct MonitorCondition {
  const volatile void* address;
  std::uint64_t value;
  std::uint64_t mask;
  std::uint8_t bytes;
  std::uint8_t awake_if_equal;
};
static_assert(sizeof(MonitorCondition) == 32 && offsetof(MonitorCondition, bytes) == 24 &&
              offsetof(MonitorCondition, awake_if_equal) == 25);

}  // namespace vhostx::compat

#pragma GCC visibility push(default)
extern "C" {

int rte_vhost_driver_register(const char* path, std::uint64_t flags);
int rte_vhost_driver_unregister(const char* path);
int rte_vhost_driver_callback_register(const char* path, const vhostx::compat::DeviceOps* ops);
int rte_vhost_driver_start(const char* path);
/// These three, after rte_vhost_driver_start(): -1.
int rte_vhost_driver_set_features(const char* path, std::uint64_t features);
int rte_vhost_driver_enable_features(const char* path, std::uint64_t features);
int rte_vhost_driver_disable_features(const char* path, std::uint64_t features);
int rte_vhost_driver_get_features(const char* path, std::uint64_t* features);
/// Before rte_vhost_driver_start(): -1.
int rte_vhost_driver_get_protocol_features(const char* path, std::uint64_t* features);
int rte_vhost_driver_get_queue_num(const char* path, std::uint32_t* pairs);
/// Of the libraries of DPDK 23.11 and later. Pairs to offer, 1 to 128. After rte_vhost_driver_start(): -1.
int rte_vhost_driver_set_max_queue_num(const char* path, std::uint32_t pairs);

int rte_vhost_get_ifname(int vid, char* buffer, std::size_t size);
int rte_vhost_get_mtu(int vid, std::uint16_t* mtu);
int rte_vhost_get_numa_node(int vid);
std::uint16_t rte_vhost_get_vring_num(int vid);
int rte_vhost_get_negotiated_features(int vid, std::uint64_t* features);
int rte_vhost_get_negotiated_protocol_features(int vid, std::uint64_t* features);
int rte_vhost_get_vhost_vring(int vid, std::uint16_t queue, vhostx::compat::VringFacts* vring);
int rte_vhost_enable_guest_notification(int vid, std::uint16_t queue, int enable);
std::uint32_t rte_vhost_rx_queue_count(int vid, std::uint16_t queue);
std::uint16_t rte_vhost_avail_entries(int vid, std::uint16_t queue);
int rte_vhost_get_monitor_addr(int vid, std::uint16_t queue, vhostx::compat::MonitorCondition* condition);
/// Bursts call the guest themselves: these two have nothing left to do on a queue that exists.
int rte_vhost_vring_call(int vid, std::uint16_t queue);
int rte_vhost_vring_call_nonblock(int vid, std::uint16_t queue);
/// Of the libraries of DPDK 23.11 and later: calls the guest, after guest_notify has said that this will come.
void rte_vhost_notify_guest(int vid, std::uint16_t queue);

int rte_vhost_vring_stats_get_names(int vid, std::uint16_t queue, vhostx::compat::StatisticName* names, unsigned size);
int rte_vhost_vring_stats_get(int vid, std::uint16_t queue, vhostx::compat::Statistic* values, unsigned size);
int rte_vhost_vring_stats_reset(int vid, std::uint16_t queue);

/// Packets that this guest can never take are dropped, and count as taken here; not in the statistics.
std::uint16_t rte_vhost_enqueue_burst(int vid, std::uint16_t queue, rte_mbuf** packets, std::uint16_t count);
std::uint16_t rte_vhost_dequeue_burst(int vid, std::uint16_t queue, rte_mempool* pool, rte_mbuf** packets,
                                      std::uint16_t count);

}  // extern "C"
#pragma GCC visibility pop
