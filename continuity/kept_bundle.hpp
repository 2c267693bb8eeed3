// SPDX-License-Identifier: BSD-3-Clause
// KeptBundle: one port's bundle at vhostx-keeper, over a connection of its own.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "continuity/keeper_client.hpp"
#include "continuity/keeper_service.hpp"
#include "continuity/port_keeper.hpp"

namespace vhostx::continuity {

/// For all bundles at one keeper: after it has not answered in time, nobody waits for it again for a while. Any thread.
class KeeperRest {
 public:
  static constexpr std::chrono::seconds length{10};
  void begin();
  bool lasts();

 private:
  using Clock = std::chrono::steady_clock;
  std::mutex lock_;
  Clock::time_point until_{};
};

/// The connection is what ownership hangs on: the kernel closes it when the last thread of its process has ended, so
/// that none of them serves a ring that another process has claimed.
class KeptBundle final : public PortKeeper {
 public:
  /// Errors: as KeeperClient::connect().
  static Result<std::unique_ptr<PortKeeper>> connect(const std::string& keeper, const std::string& bundle,
                                                     std::shared_ptr<KeeperRest> rest = {});
  /// rest: null, or what the bundles at this keeper share.
  KeptBundle(KeeperClient client, std::string name, std::shared_ptr<KeeperRest> rest) noexcept
      : client_(std::move(client)), name_(std::move(name)), rest_(std::move(rest)) {}

  Result<Files> claim() override;
  Result<void> hold(Slot slot, int fd) override;
  Result<void> drop(Slot slot) override;
  Result<void> park(std::chrono::milliseconds grace) override;
  Result<void> wait(bool asks) override;
  Result<std::optional<Files>> prepare() override;
  Result<void> ask_owner() override;
  Result<void> settle() override;
  std::optional<Event> next_event() override;
  bool has_events() const noexcept override { return !events_.empty(); }
  int event_fd() const noexcept override { return client_.fd(); }

 private:
  Result<void> after(Result<void> done);
  Result<void> look();

  KeeperClient client_;
  std::string name_;
  std::shared_ptr<KeeperRest> rest_;
  std::deque<Event> events_;  // that nobody has asked for yet
};

/// Bundles at the keeper of one path. One that does not answer holds up the caller once, and not for each port: for
/// some seconds after that no port asks it.
class KeptBundles final : public KeeperService {
 public:
  explicit KeptBundles(std::string path) : path_(std::move(path)) {}
  /// Errors: as KeptBundle::connect().
  Result<std::unique_ptr<PortKeeper>> open(const std::string& bundle) override;

 private:
  const std::string path_;
  const std::shared_ptr<KeeperRest> rest_ = std::make_shared<KeeperRest>();
};

}  // namespace vhostx::continuity
