// SPDX-License-Identifier: BSD-3-Clause
#include "systemd/stored_bundle.hpp"

namespace vhostx::systemd {

StoredBundle::~StoredBundle() {
  if (owner_) store_->release(name_);
}

Result<StoredBundle::Files> StoredBundle::claim() {
  auto files = store_->claim(name_);
  owner_ |= files.ok();
  return files;
}

Result<void> StoredBundle::park(std::chrono::milliseconds grace) {
  auto parked = store_->park(name_, grace);
  owner_ = false;
  return parked;
}

Result<std::unique_ptr<continuity::PortKeeper>> StoreService::open(const std::string& bundle) {
  return std::unique_ptr<continuity::PortKeeper>(std::make_unique<StoredBundle>(store_, bundle));
}

}  // namespace vhostx::systemd
