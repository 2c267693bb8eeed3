// SPDX-License-Identifier: BSD-3-Clause
// StoreRoom: what is in the store, by name, and whether there is room for more.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include <vhostx/result.hpp>

#include "systemd/service_manager.hpp"

namespace vhostx::systemd {

/// systemd says nothing of a descriptor that it does not take. So this counts.
class StoreRoom {
 public:
  /// All names reach the next process as one string of its environment, which execve(2) limits to 128 KiB. If they were
  /// longer, the service could not be started again.
  static constexpr std::size_t name_bytes_max = 100'000;

  StoreRoom(std::unique_ptr<ServiceManager> manager, std::size_t places) noexcept
      : manager_(std::move(manager)), places_(places) {}

  /// Is in the store already.
  void found(const std::string& name) noexcept { count(name); }
  /// Errors: limit, and those of ServiceManager.
  Result<void> store(const std::string& name, int fd);
  /// One that is there.
  Result<void> remove(const std::string& name);
  Result<void> settle() { return manager_->settle(); }

 private:
  void count(const std::string& name) noexcept;

  std::unique_ptr<ServiceManager> manager_;
  const std::size_t places_;
  std::size_t taken_ = 0;
  std::size_t name_bytes_ = 0;  // with the ':' after each
};

}  // namespace vhostx::systemd
