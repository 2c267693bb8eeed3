// SPDX-License-Identifier: BSD-3-Clause
// SystemdStore: the public side.
#include <exception>
#include <utility>

#include <vhostx/systemd.hpp>

#include "base/error.hpp"
#include "systemd/descriptor_store.hpp"
#include "systemd/notify_socket.hpp"
#include "systemd/stored_bundle.hpp"
#include "systemd/stored_name.hpp"

namespace vhostx {
namespace {

Result<std::unique_ptr<SystemdStore>> open_store(std::chrono::milliseconds grace) {
  constexpr std::chrono::milliseconds grace_max = std::chrono::hours(24);
  if (grace.count() < 0 || grace > grace_max)
    return invalid_argument("grace is {} ms, expected 0 to {}", grace.count(), grace_max.count());
  if (auto good = systemd::check_kcmp(); !good) return good.error();
  const auto places = systemd::places_of_environment();
  if (!places) return places.error();
  auto stored = systemd::take_stored();
  if (!stored) return stored.error();
  const auto store = std::make_shared<systemd::DescriptorStore>(std::make_unique<systemd::NotifySocket>(), *places,
                                                                std::move(stored).value(), grace);
  return std::make_unique<SystemdStore>(store, std::make_shared<systemd::StoreService>(store));
}

}  // namespace

Result<std::unique_ptr<SystemdStore>> SystemdStore::open(std::chrono::milliseconds grace) noexcept {
  try {
    return open_store(grace);
  } catch (const std::exception&) {
    return Error{ErrorCode::out_of_memory, {}, 0};
  }
}

SystemdStore::SystemdStore(std::shared_ptr<systemd::DescriptorStore> store,
                           std::shared_ptr<continuity::KeeperService> keeper) noexcept
    : store_(std::move(store)), keeper_(std::move(keeper)) {}

SystemdStore::~SystemdStore() = default;

std::shared_ptr<continuity::KeeperService> SystemdStore::keeper() const noexcept { return keeper_; }

bool SystemdStore::is_stored_name(std::string_view name) noexcept { return systemd::is_name_of_ours(name); }

std::size_t SystemdStore::drop_unclaimed() noexcept {
  try {
    return store_->drop_unclaimed(systemd::DescriptorStore::Clock::now());
  } catch (const std::exception&) {  // no memory now: the next call finds them
    return 0;
  }
}

}  // namespace vhostx
