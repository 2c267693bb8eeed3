// SPDX-License-Identifier: BSD-3-Clause
// Where a RingWatch of this process learns what rings another one has.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <vhostx/result.hpp>

#include "tools/probe/rings/ring_watch.hpp"

namespace vhostx::tools::probe {

class RingSource {
 public:
  virtual ~RingSource() = default;

  using Look = std::function<void()>;

  /// Asks anew what rings there are, and tells the watch. That may take a while, in which `look` is called again and
  /// again. Error: it cannot be asked (any more).
  virtual Result<void> refresh(RingWatch& watch, const Look& look) = 0;
  /// For people and for JSON: "vhostx-probe (4711)".
  virtual std::string name() const = 0;
  /// What else the last refresh found, a line each: "/tmp/vm0.sock: no front-end is connected".
  virtual std::vector<std::string> remarks() const { return {}; }
};

/// A process that says what rings it has: `vhostx-probe trace` or `listen`, or an application on vhostx; by its process
/// number, or by a socket on which it listens. Of an application, a socket selects one port. Error: it cannot be found,
/// or says nothing of rings; the message says what to do then.
Result<std::unique_ptr<RingSource>> open_process(const std::string& pid_or_socket);

/// QEMU, by its monitor. `pid`: its process, where the socket was made by another one; else the one that made it.
Result<std::unique_ptr<RingSource>> open_qemu(const std::string& qmp_socket, std::optional<int> pid);

}  // namespace vhostx::tools::probe
