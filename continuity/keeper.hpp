// SPDX-License-Identifier: BSD-3-Clause
// Keeper: holds the descriptors of ports while the processes that serve them come and go. vhostx-keeper is a program
// around it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <vhostx/result.hpp>

#include "continuity/bundles.hpp"

namespace vhostx::continuity {

struct KeeperOptions {
  std::string path;                        ///< Where it listens, 1 to 107 bytes.
  std::chrono::milliseconds grace{60000};  ///< How long a bundle without an owner is kept; 0: not at all.
  KeeperLimits limits;                     ///< `descriptors` is lowered to what the process may open.
  /// Called in run(), for each event. It must not block.
  std::function<void(const KeeperEvent&)> on_event;
};

/// Serves clients in run(), on one thread. Only root and the user of this process may be clients (SO_PEERCRED). Nothing
/// that a client does ends it or lets it wait: no read or write blocks, and what clients sent is closed on other
/// threads (base/releases.hpp).
class Keeper {
 public:
  /// Listens. The socket's file has the mode 0600. A stale file is replaced. Errors: busy (a process listens there, and
  /// which; or the file is no socket), invalid_argument (the path), limit (too few descriptors), system.
  static Result<std::unique_ptr<Keeper>> create(KeeperOptions options);
  /// Drops all that it holds, ends all connections and removes the socket's file if it still is its own.
  virtual ~Keeper() = default;

  /// Serves until `stop_fd` can be read. Error: system (epoll fails).
  virtual Result<void> run(int stop_fd) = 0;

  /// Bundles that it has. Not while run() runs.
  virtual std::size_t bundles() const noexcept = 0;
  /// How many descriptors all bundles together may hold.
  virtual std::uint32_t descriptors_max() const noexcept = 0;

 protected:
  Keeper() = default;
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;
};

/// Raises the process's soft limit of descriptors to its hard limit. Error: system.
Result<void> raise_descriptor_limit() noexcept;

}  // namespace vhostx::continuity
