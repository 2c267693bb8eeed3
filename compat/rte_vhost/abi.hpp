// SPDX-License-Identifier: BSD-3-Clause
// The binary interface of DPDK's vhost library, 22.11 (librte_vhost.so.23) and later, as far as this library serves it:
// numbers, layouts and functions that programs were compiled against. DPDK's guide documents the functions; comments
// here say what differs. VHOSTX_DPDK_ABI is the number in the name of the library that is built.
#pragma once

#include <cstddef>
#include <cstdint>

struct rte_mbuf;
struct rte_mempool;

namespace vhostx::compat {

/// Flags of rte_vhost_driver_register().
enum DriverFlag : std::uint64_t {
  flag_client = 1u << 0,
  flag_no_reconnect = 1u << 1,        ///< Refused in the client role, which always reconnects.
  flag_iommu = 1u << 3,               ///< Accepted, but IOMMU_PLATFORM is not offered.
  flag_postcopy = 1u << 4,            ///< Accepted, but PAGEFAULT is not offered.
  flag_external_buffers = 1u << 5,    ///< With flag_linear_buffers: large packets in buffers from rte_malloc().
  flag_linear_buffers = 1u << 6,      ///< No mbuf chains: a packet that fits no single buffer is dropped.
  flag_async_copy = 1u << 7,          ///< Refused.
  flag_compliant_offloads = 1u << 8,  ///< Receive flags from dequeue; without it, transmit flags as before 21.08.
  flag_statistics = 1u << 9,
  flag_async_connect = 1u << 10,  ///< Accepted: a start never waits for a connection.
};

inline constexpr int devices_max = 1024;
inline constexpr std::uint32_t queue_pairs_max = 128;

/// Any of these may be null. This library calls them on one thread of its own, one at a time. Exceptions:
/// rte_vhost_driver_unregister() calls destroy_device and destroy_connection on its caller's thread, and bursts call
/// guest_notified and guest_notify on theirs.
struct DeviceOps {
  int (*new_device)(int vid);
  void (*destroy_device)(int vid);
  int (*vring_state_changed)(int vid, std::uint16_t queue, int enabled);
  int (*features_changed)(int vid, std::uint64_t features);
  int (*new_connection)(int vid);
  void (*destroy_connection)(int vid);
  void (*guest_notified)(int vid);
  /// From 23.11 on; older programs may have anything here. True: the application will notify the guest itself, with
  /// rte_vhost_notify_guest().
  bool (*guest_notify)(int vid, std::uint16_t queue);
};
static_assert(sizeof(DeviceOps) == 8 * sizeof(void*) && offsetof(DeviceOps, guest_notified) == 6 * sizeof(void*));

/// Members are null if there are none.
inline auto guest_notify_of(const DeviceOps* ops) noexcept {
  return VHOSTX_DPDK_ABI >= 24 && ops != nullptr ? ops->guest_notify : nullptr;
}

/// For rte_vhost_get_vhost_vring(). The addresses are null and `call_fd` is -1: only this library accesses the rings.
struct VringFacts {
  void* descriptors;
  void* avail;
  void* used;
  std::uint64_t log_address;
  int call_fd;
  /// -1 until vring_state_changed has reported the start of the ring (it is called once more for that). A duplicate
  /// descriptor, closed only after the queue's next vring_state_changed, or destroy_connection, has returned.
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

/// For rte_vhost_get_monitor_addr().
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
/// These three return -1 after rte_vhost_driver_start().
int rte_vhost_driver_set_features(const char* path, std::uint64_t features);
int rte_vhost_driver_enable_features(const char* path, std::uint64_t features);
int rte_vhost_driver_disable_features(const char* path, std::uint64_t features);
int rte_vhost_driver_get_features(const char* path, std::uint64_t* features);
/// Returns -1 before rte_vhost_driver_start().
int rte_vhost_driver_get_protocol_features(const char* path, std::uint64_t* features);
int rte_vhost_driver_get_queue_num(const char* path, std::uint32_t* pairs);
/// DPDK 23.11 and later. Queue pairs to offer, 1 to 128. Returns -1 after rte_vhost_driver_start().
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
/// Bursts notify the guest themselves, so these two do nothing on a queue that exists.
int rte_vhost_vring_call(int vid, std::uint16_t queue);
int rte_vhost_vring_call_nonblock(int vid, std::uint16_t queue);
/// DPDK 23.11 and later: notifies the guest, after guest_notify has announced this call.
void rte_vhost_notify_guest(int vid, std::uint16_t queue);

int rte_vhost_vring_stats_get_names(int vid, std::uint16_t queue, vhostx::compat::StatisticName* names, unsigned size);
int rte_vhost_vring_stats_get(int vid, std::uint16_t queue, vhostx::compat::Statistic* values, unsigned size);
int rte_vhost_vring_stats_reset(int vid, std::uint16_t queue);

/// Packets that this guest can never take are dropped. They are part of the return value, but not of the statistics.
std::uint16_t rte_vhost_enqueue_burst(int vid, std::uint16_t queue, rte_mbuf** packets, std::uint16_t count);
std::uint16_t rte_vhost_dequeue_burst(int vid, std::uint16_t queue, rte_mempool* pool, rte_mbuf** packets,
                                      std::uint16_t count);

}  // extern "C"
#pragma GCC visibility pop
