// SPDX-License-Identifier: BSD-3-Clause
// The functions that take a vid.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>

#include "compat/rte_vhost/abi.hpp"
#include "compat/rte_vhost/device.hpp"

namespace vhostx::compat {
namespace {

constexpr std::uint64_t feature_mtu = std::uint64_t{1} << 3;  // VIRTIO_NET_F_MTU

template <typename Answer, typename Use>
Answer with_port(int vid, Answer otherwise, Use use) noexcept {
  const Device* const device = find_device(vid);
  try {
    return device == nullptr ? otherwise : device->with_port(use, otherwise);
  } catch (const std::exception&) {  // no memory for the copy of the information
    return otherwise;
  }
}

template <typename Answer, typename Use>
Answer with_vring(int vid, std::uint16_t queue, Answer otherwise, Use use) noexcept {
  return with_port(vid, otherwise, [&](vhostx::Port& port) {
    return queue < port.info().vrings_named ? use(port.vring(queue)) : otherwise;
  });
}

// For calls that only one thread may make on a vring at a time.
template <typename Answer, typename Use>
Answer with_locked(int vid, std::uint16_t index, Answer otherwise, Use use) noexcept {
  DeviceQueue* const queue = find_queue(vid, index);
  if (queue == nullptr) return otherwise;
  const QueueLock lock(*queue);
  return queue->vring == nullptr ? otherwise : use(*queue->vring);
}

int called_already(int vid, std::uint16_t queue) noexcept {
  return with_vring(vid, queue, -1, [](const vhostx::Vring&) { return 0; });
}

}  // namespace
}  // namespace vhostx::compat

using namespace vhostx::compat;

int rte_vhost_get_ifname(int vid, char* buffer, std::size_t size) {
  if (buffer == nullptr || size == 0) return -1;
  return with_port(vid, -1, [&](vhostx::Port& port) {
    const std::size_t length = std::min(port.socket_path().size(), size - 1);
    std::memcpy(buffer, port.socket_path().data(), length);
    buffer[length] = '\0';
    return 0;
  });
}

int rte_vhost_get_mtu(int vid, std::uint16_t* mtu) {
  if (mtu == nullptr) return -ENODEV;
  return with_port(vid, -ENODEV, [mtu](vhostx::Port& port) {
    const vhostx::PortInfo info = port.info();
    if (info.features == 0) return -EAGAIN;
    if ((info.features & feature_mtu) == 0 || info.mtu == 0) return -ENOTSUP;
    *mtu = info.mtu;
    return 0;
  });
}

int rte_vhost_get_numa_node(int vid) {
  return with_port(vid, -1, [](vhostx::Port& port) {
    const std::uint16_t count = port.info().vrings_named;
    for (std::uint16_t i = 0; i < count; ++i)
      if (const int node = port.vring(i).numa_node(); node != vhostx::no_node) return node;
    return -1;
  });
}

std::uint16_t rte_vhost_get_vring_num(int vid) {
  return with_port(vid, std::uint16_t{0}, [](vhostx::Port& port) { return port.info().vrings_named; });
}

int rte_vhost_get_negotiated_features(int vid, std::uint64_t* features) {
  if (features == nullptr) return -1;
  return with_port(vid, -1, [features](vhostx::Port& port) {
    *features = port.info().features;
    return 0;
  });
}

int rte_vhost_get_negotiated_protocol_features(int vid, std::uint64_t* features) {
  if (features == nullptr) return -1;
  return with_port(vid, -1, [features](vhostx::Port& port) {
    *features = port.info().protocol_features;
    return 0;
  });
}

int rte_vhost_get_vhost_vring(int vid, std::uint16_t queue, VringFacts* vring) {
  if (vring == nullptr) return -1;
  return with_vring(vid, queue, -1, [=](const vhostx::Vring& of) {
    *vring = {.call_fd = -1, .kick_fd = find_device(vid)->kick_fd(queue), .size = of.size()};
    return 0;
  });
}

int rte_vhost_enable_guest_notification(int vid, std::uint16_t queue, int enable) {
  return with_locked(vid, queue, -1, [enable](vhostx::Vring& vring) {
    vring.set_notifications(enable != 0);
    return 0;
  });
}

std::uint32_t rte_vhost_rx_queue_count(int vid, std::uint16_t queue) {
  return with_locked(vid, queue, std::uint32_t{0}, [](vhostx::Vring& vring) {
    return vring.is_from_guest() && vring.state().enabled ? std::uint32_t{vring.pending()} : std::uint32_t{0};
  });
}

std::uint16_t rte_vhost_avail_entries(int vid, std::uint16_t queue) {
  return with_locked(vid, queue, std::uint16_t{0},
                     [](vhostx::Vring& vring) { return vring.state().enabled ? vring.pending() : std::uint16_t{0}; });
}

int rte_vhost_get_monitor_addr(int vid, std::uint16_t queue, MonitorCondition* condition) {
  if (condition == nullptr) return -1;
  return with_locked(vid, queue, -1, [condition](vhostx::Vring& vring) {
    const vhostx::AvailWatch watch = vring.avail_watch();
    if (watch.index == nullptr) return -1;
    // The processor sleeps only while the index is the one that was seen.
    *condition = {.address = watch.index, .value = watch.seen, .mask = 0xffff, .bytes = 2, .awake_if_equal = 0};
    return 0;
  });
}

int rte_vhost_vring_call(int vid, std::uint16_t queue) { return called_already(vid, queue); }
int rte_vhost_vring_call_nonblock(int vid, std::uint16_t queue) { return called_already(vid, queue); }
