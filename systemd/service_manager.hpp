// SPDX-License-Identifier: BSD-3-Clause
// ServiceManager: what this layer asks of systemd.
#pragma once

#include <string>
#include <vector>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"

namespace vhostx::systemd {

/// A descriptor that the process before has stored.
struct Stored {
  std::string name;
  UniqueFd fd;
};

/// Requests are handled in order, also those of a process that has ended meanwhile. There are no answers: what the
/// manager refuses is missing after the restart.
class ServiceManager {
 public:
  virtual ~ServiceManager() = default;
  ServiceManager() = default;
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;

  /// Stores a duplicate. The manager ignores it if it has the same open file already, whatever the name.
  virtual Result<void> store(const std::string& name, int fd) = 0;
  /// All of that name; none is no error.
  virtual Result<void> remove(const std::string& name) = 0;
  /// Returns once what was asked before is done. Errors: timed_out, system.
  virtual Result<void> settle() = 0;
};

}  // namespace vhostx::systemd
