// SPDX-License-Identifier: BSD-3-Clause
// rte_vhost_vring_stats_*().
#include <cstdio>

#include "compat/rte_vhost/abi.hpp"
#include "compat/rte_vhost/device.hpp"

namespace vhostx::compat {
namespace {

constexpr int wanted = static_cast<int>(statistics_count);

// Null: no such queue, or no statistics were asked for.
DeviceQueue* counted_queue(int vid, std::uint16_t index) noexcept {
  Device* const device = find_device(vid);
  if (device == nullptr || (device->flags() & flag_statistics) == 0) return nullptr;
  const auto named = device->with_port([](vhostx::Port& port) { return port.info().vrings_named; }, std::uint16_t{0});
  return index < named ? device->queue(index) : nullptr;
}

}  // namespace
}  // namespace vhostx::compat

using namespace vhostx::compat;

int rte_vhost_vring_stats_get_names(int vid, std::uint16_t queue, StatisticName* names, unsigned size) {
  if (counted_queue(vid, queue) == nullptr) return -1;
  if (names == nullptr || size < statistics_count) return wanted;
  for (std::size_t i = 0; i < statistics_count; ++i)
    std::snprintf(names[i].text, sizeof names[i].text, "%s_q%u_%s", (queue & 1u) != 0 ? "rx" : "tx", queue / 2u,
                  statistic_names[i]);
  return wanted;
}

int rte_vhost_vring_stats_get(int vid, std::uint16_t queue, Statistic* values, unsigned size) {
  const DeviceQueue* const counted = counted_queue(vid, queue);
  if (counted == nullptr) return -1;
  if (values == nullptr || size < statistics_count) return wanted;
  for (std::size_t i = 0; i < statistics_count; ++i) values[i] = {.id = i, .value = counted->statistics.value(i)};
  return wanted;
}

int rte_vhost_vring_stats_reset(int vid, std::uint16_t queue) {
  DeviceQueue* const counted = counted_queue(vid, queue);
  if (counted == nullptr) return -1;
  const QueueLock lock(*counted);
  counted->statistics.reset();
  return 0;
}
