// SPDX-License-Identifier: BSD-3-Clause
// Device: what a front-end has set up at another process goes on here, or goes on elsewhere.
#include <utility>

#include "backend/connection/device.hpp"

namespace vhostx::backend {

void Device::open_backend_channel(UniqueFd socket) {
  backend_channel_.reset();
  backend_channel_ = std::make_unique<BackendChannel>(port_.executor(), std::move(socket),
                                                      parts_.options.message_timeout, parts_.log, keeping_);
}

Result<void> Device::wake() {
  dormant_ = false;
  if (auto lost = memory_lost()) return std::move(*lost);
  if (dma_ == nullptr) map_for_devices();  // mbufs may have kept too much older memory
  if ((status_ & status_driver_ok) != 0) expect_memory("the driver is ready (DRIVER_OK)");
  if (backend_socket_) open_backend_channel(std::move(backend_socket_));
  for (const auto& ring : rings_)
    if (auto good = ring->wake(); !good) return good;
  call_again();
  return {};
}

void Device::call_again() {
  if (backend_channel_ != nullptr && keeping_ != nullptr) backend_channel_->expect_others(keeping_->answers_due());
  for (const auto& ring : rings_) {
    // Also one that has not started: after 65536 buffers its indices are 0 again, and it waits for a kick as a new one.
    if (!ring->config().armed) continue;
    if (ring->config().call != nullptr)
      ring->config().call->signal();
    else if (notifies_in_band())
      send_call(ring->index());
  }
}

void Device::leave_requests() noexcept {
  if (backend_channel_ != nullptr) backend_channel_->leave();
}

}  // namespace vhostx::backend
