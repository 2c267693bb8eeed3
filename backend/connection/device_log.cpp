// SPDX-License-Identifier: BSD-3-Clause
// Device: the dirty log of a guest that migrates (vhost-user, "Migration").
//
// QEMU sends SET_LOG_BASE, then SET_FEATURES with LOG_ALL and SET_VRING_ADDR with the logs of the used rings, all of it
// while rings run. A device that starts while logging is on gets LOG_ALL first, and SET_LOG_BASE after the kicks: its
// rings wait for the log. Once no ring runs, or LOG_ALL is gone, the log is forgotten: a later one may be another file.
#include <utility>

#include "backend/connection/device.hpp"
#include "base/error.hpp"

namespace vhostx::backend {

using protocol::FeatureSet;
using protocol::VirtioFeature;

bool Device::waits_for_log() const noexcept { return features_.has(VirtioFeature::vhost_log_all) && log_ == nullptr; }

Result<void> Device::set_log_base(const protocol::LogBase& where, UniqueFd file) {
  auto log =
      memory::DirtyLog::map(std::move(file), where.mmap_offset, where.mmap_size, parts_.attention, parts_.touch_budget);
  if (!log) return make_error(log.error().code, "SET_LOG_BASE: {}", log.error().message);
  if (features_.has(VirtioFeature::vhost_log_all))
    if (auto good = memory_.log_into(*log); !good)
      return make_error(good.error().code, "SET_LOG_BASE: {}", good.error().message);
  log_ = std::move(log).value();
  if (features_.has(VirtioFeature::vhost_log_all)) environment_changed();
  return {};
}

void Device::set_log_signal(std::shared_ptr<const EventFd> signal) {
  log_signal_ = std::move(signal);
  if (log_ != nullptr) environment_changed();
}

Result<void> Device::switch_log(FeatureSet features) {
  const bool before = features_.has(VirtioFeature::vhost_log_all);
  const bool now = features.has(VirtioFeature::vhost_log_all);
  if (before == now) return {};
  if (now && log_ == nullptr && any_ring_started())
    return protocol_violation(
        "SET_FEATURES {:#x} switches the dirty log on while rings run, expected SET_LOG_BASE before", features.bits());
  if (auto good = memory_.log_into(now ? log_ : nullptr); !good) return good;
  if (!now) log_ = nullptr;
  if (dormant_) return {};
  parts_.log.info("writes to guest memory are {}", now ? "logged: the guest migrates" : "no longer logged");
  return {};
}

void Device::forget_log_of_stopped_rings() {
  if (log_ == nullptr || any_ring_started()) return;
  log_ = nullptr;
  static_cast<void>(memory_.log_into(nullptr));  // without a log nothing is refused
}

}  // namespace vhostx::backend
