// SPDX-License-Identifier: BSD-3-Clause
#include "tools/switch/keepers.hpp"

#include <utility>

#include <vhostx/systemd.hpp>

namespace vhostx::tools {

Keepers::Keepers() noexcept = default;
Keepers::~Keepers() = default;

#ifdef VHOSTX_SWITCH_SYSTEMD

Result<void> Keepers::set_up(const Options& options, BackendOptions& backend) {
  backend.keeper_grace = options.keeper_grace;
  if (options.keeper != systemd_keeper) {
    backend.keeper = options.keeper;
    return {};
  }
  auto store = SystemdStore::open(options.keeper_grace);
  if (!store)
    return Error{store.error().code, "--keeper systemd: " + store.error().message, store.error().system_errno};
  store_ = *std::move(store);
  backend.keeper_service = store_->keeper();
  return {};
}

void Keepers::drop_unclaimed() noexcept {
  if (store_ != nullptr) store_->drop_unclaimed();
}

#else

Result<void> Keepers::set_up(const Options& options, BackendOptions& backend) {
  if (options.keeper == systemd_keeper)
    return Error{ErrorCode::invalid_argument,
                 "--keeper systemd: this vhostx-switch was built without libsystemd; expected the socket of a "
                 "vhostx-keeper (one named so is ./systemd)",
                 0};
  backend.keeper_grace = options.keeper_grace;
  backend.keeper = options.keeper;
  return {};
}

void Keepers::drop_unclaimed() noexcept {}

#endif

}  // namespace vhostx::tools
