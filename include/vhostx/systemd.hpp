// SPDX-License-Identifier: BSD-3-Clause
// systemd as keeper: connections outlive a restart or a crash of the service. This is a separate library
// (vhostx::systemd, -lvhostx_systemd), because it links libsystemd. vhostx.hpp does not include this header.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string_view>

#include <vhostx/export.hpp>
#include <vhostx/result.hpp>

namespace vhostx {

namespace continuity {
class KeeperService;
}
namespace systemd {
class DescriptorStore;
}

/// The descriptor store that systemd has for this service (FileDescriptorStoreMax= in its unit). It holds the
/// connections of all ports of Backends that have keeper() as their BackendOptions::keeper_service. After `systemctl
/// restart`, a crash or a kill, the next process of the service goes on with them.
///
///     auto store = vhostx::SystemdStore::open();
///     options.keeper_service = (*store)->keeper();
///     auto backend = vhostx::Backend::create(options);
///     ...                                 // open all ports
///     (*store)->drop_unclaimed();         // every second or so
///
/// This process must be one that the unit lets talk to systemd (NotifyAccess=main: its main process). systemd says
/// nothing about a descriptor that it does not take. If one is missing, the next process closes that connection, and
/// the front-end connects again.
///
/// Threads: any thread may call all functions. A call takes a lock that a control thread may have, and a message to
/// systemd waits while systemd does not read. Data threads do not wait.
class VHOSTX_EXPORT SystemdStore {
 public:
  /// Takes what systemd has kept, at most once in a process. Call it before descriptors that systemd passed are closed.
  /// `grace`, 0 to 24 hours: how long a connection from the process before waits for its port to be opened: see
  /// drop_unclaimed().
  ///
  /// Errors: invalid_argument (grace; LISTEN_FDS and LISTEN_FDNAMES do not fit), unsupported (this process is no
  /// service with a descriptor store, by its environment; no kcmp(2)), busy (called before), out_of_memory.
  static Result<std::unique_ptr<SystemdStore>> open(
      std::chrono::milliseconds grace = std::chrono::seconds(30)) noexcept;

  /// Internal. open() makes one.
  VHOSTX_HIDDEN SystemdStore(std::shared_ptr<systemd::DescriptorStore> store,
                             std::shared_ptr<continuity::KeeperService> keeper) noexcept;
  /// Leaves in the store what is there. Backends keep what they need of it.
  ~SystemdStore();
  SystemdStore(const SystemdStore&) = delete;
  SystemdStore& operator=(const SystemdStore&) = delete;

  /// For BackendOptions::keeper_service.
  std::shared_ptr<continuity::KeeperService> keeper() const noexcept;

  /// Closes the connections that no port of this process has had for longer than their grace: `grace` of open() for
  /// those of the process before, BackendOptions::keeper_grace for a port that was closed. Their front-ends see the end
  /// of the connection. Returns how many ports' were dropped. Nobody else does this: connections of ports that are
  /// never opened again would stay in the store until the service is stopped.
  std::size_t drop_unclaimed() noexcept;

  /// Whether a descriptor that systemd passes by this name (LISTEN_FDNAMES) comes from a store, as sockets do on which
  /// ports listened: it is not one that systemd has bound for the service, for PortOptions::listen_fd. Such names are
  /// "vhostx-" with a hexadecimal number, and what begins with "vhostx@": FileDescriptorName= is to be another one.
  static bool is_stored_name(std::string_view name) noexcept;

 private:
  const std::shared_ptr<systemd::DescriptorStore> store_;
  const std::shared_ptr<continuity::KeeperService> keeper_;
};

}  // namespace vhostx
