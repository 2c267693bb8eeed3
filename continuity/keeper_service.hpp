// SPDX-License-Identifier: BSD-3-Clause
// KeeperService: a kind of keeper, as BackendOptions names it.
#pragma once

#include <memory>
#include <string>

#include <vhostx/result.hpp>

#include "continuity/port_keeper.hpp"

namespace vhostx::continuity {

/// Makes a port's PortKeeper, or one of a back-end's state. Backends of one process may share it: any control thread.
class KeeperService {
 public:
  virtual ~KeeperService() = default;
  KeeperService() = default;
  KeeperService(const KeeperService&) = delete;
  KeeperService& operator=(const KeeperService&) = delete;

  /// `bundle`: the port's socket path, or '@' and the name of a back-end's state (KeptState).
  virtual Result<std::unique_ptr<PortKeeper>> open(const std::string& bundle) = 0;
};

}  // namespace vhostx::continuity
