// SPDX-License-Identifier: BSD-3-Clause
// NotifySocket: systemd as ServiceManager, by libsystemd; and what systemd tells a process in its environment.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <vhostx/result.hpp>

#include "systemd/service_manager.hpp"

namespace vhostx::systemd {

/// sd_notify(3). Whether systemd listens to this process is not known: it answers nobody.
class NotifySocket final : public ServiceManager {
 public:
  /// settle() waits no longer.
  explicit NotifySocket(std::chrono::milliseconds settle_max = std::chrono::seconds(5)) noexcept
      : settle_max_(settle_max) {}

  Result<void> store(const std::string& name, int fd) override;
  Result<void> remove(const std::string& name) override;
  Result<void> settle() override;

 private:
  const std::chrono::microseconds settle_max_;
};

/// Places in the store (FDSTORE, which systemd sets from version 254 on); the largest number where it is not known.
/// Errors: unsupported (no NOTIFY_SOCKET, no places).
Result<std::size_t> places_of_environment();

/// The descriptors with a name that this layer gives (stored_name.hpp), once in a process: whose they are otherwise is
/// left open. Errors: busy (called before), invalid_argument (LISTEN_FDS and LISTEN_FDNAMES do not fit).
Result<std::vector<Stored>> take_stored();

}  // namespace vhostx::systemd
