// SPDX-License-Identifier: BSD-3-Clause
// BackendState: the application's bytes that belong to no port (BackendOptions::state), in a bundle of their own.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

#include <vhostx/backend.hpp>
#include <vhostx/result.hpp>

#include "backend/connection/keeper_link.hpp"
#include "backend/connection/keeper_watch.hpp"
#include "backend/connection/state_keeping.hpp"
#include "backend/loop/control_loop.hpp"
#include "backend/loop/one_shot_timer.hpp"
#include "base/logger.hpp"

namespace vhostx::backend {

/// A bundle with the bytes alone.
class StateLink final : public KeeperLink {
 public:
  static Result<std::unique_ptr<StateLink>> open(Link link, KeeperClaim how);
  bool owns() const noexcept override { return owns_; }

 private:
  explicit StateLink(Link link) : KeeperLink(std::move(link)) {}
  Result<void> acquire(bool as_prepared) override;
  void disown() noexcept override { owns_ = false; }

  bool owns_ = false;
};

class BackendState final : public LoopState {
 public:
  /// Makes the loop's: it has keepers. What a process before has left is loaded when this returns. Errors: as
  /// PortKeeper::claim(). Any thread.
  static Result<void> open(ControlLoop& loop, KeptState options);
  BackendState(ControlLoop& loop, KeptState options);

  void loop_ends() noexcept override;
  void ask_owner() noexcept override;
  void confirm_take_over() noexcept override;

 private:
  Result<void> claim();
  void attend();
  bool acquired();
  void lost();
  void yield_to(std::uint32_t pid);
  void settled_by(std::uint32_t pid);
  void tell(PortOwnership ownership, std::uint32_t pid = 0) noexcept;

  ControlLoop& loop_;
  const KeptState options_;
  const Logger log_;
  std::unique_ptr<StateLink> link_;  // null: another process has it for good
  std::unique_ptr<StateKeeping> keeping_;
  KeeperWatch watch_;
  OneShotTimer soon_;                                      // attend()
  std::chrono::steady_clock::time_point doubted_until_{};  // an empty bundle's owner may be looking for its keeper
  bool confirmed_ = false;                                 // also before it is this process's
  bool yielded_ = false;  // to another process, and it has not said that it has it for good
};

}  // namespace vhostx::backend
