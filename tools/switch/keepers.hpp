// SPDX-License-Identifier: BSD-3-Clause
// Keepers: who holds the ports' connections, as --keeper says.
#pragma once

#include <memory>

#include <vhostx/backend.hpp>

#include "tools/switch/options.hpp"

namespace vhostx {
class SystemdStore;
}

namespace vhostx::tools {

class Keepers {
 public:
  Keepers() noexcept;
  ~Keepers();
  Keepers(const Keepers&) = delete;
  Keepers& operator=(const Keepers&) = delete;

  /// Once, before the Backend. Errors: those of SystemdStore::open(), invalid_argument (built without libsystemd).
  Result<void> set_up(const Options& options, BackendOptions& backend);
  /// Now and then.
  void drop_unclaimed() noexcept;

 private:
  std::unique_ptr<SystemdStore> store_;  // null: another keeper, or none
};

}  // namespace vhostx::tools
