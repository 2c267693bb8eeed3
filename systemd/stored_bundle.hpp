// SPDX-License-Identifier: BSD-3-Clause
// StoredBundle: one port's bundle in systemd's store; StoreService makes them.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "continuity/keeper_service.hpp"
#include "systemd/descriptor_store.hpp"

namespace vhostx::systemd {

/// What ownership hangs on is the service: systemd starts no second main process while the first one lives.
class StoredBundle final : public continuity::PortKeeper {
 public:
  StoredBundle(std::shared_ptr<DescriptorStore> store, std::string name) noexcept
      : store_(std::move(store)), name_(std::move(name)) {}
  ~StoredBundle() override;

  Result<Files> claim() override;
  Result<void> hold(continuity::Slot slot, int fd) override { return store_->hold(name_, slot, fd); }
  Result<void> drop(continuity::Slot slot) override { return store_->drop(name_, slot); }
  Result<void> park(std::chrono::milliseconds grace) override;

 private:
  const std::shared_ptr<DescriptorStore> store_;
  const std::string name_;
  bool owner_ = false;
};

class StoreService final : public continuity::KeeperService {
 public:
  explicit StoreService(std::shared_ptr<DescriptorStore> store) noexcept : store_(std::move(store)) {}
  Result<std::unique_ptr<continuity::PortKeeper>> open(const std::string& bundle) override;

 private:
  const std::shared_ptr<DescriptorStore> store_;
};

}  // namespace vhostx::systemd
