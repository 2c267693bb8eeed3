// SPDX-License-Identifier: BSD-3-Clause
// KeeperLink: one bundle at a keeper, and the processes that have it before and after this one.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include <vhostx/backend.hpp>
#include <vhostx/result.hpp>

#include "base/logger.hpp"
#include "base/releases.hpp"
#include "base/unique_fd.hpp"
#include "continuity/port_keeper.hpp"

namespace vhostx::backend {

/// What is in the bundle is the business of who derives from this. Control thread. Where the keeper fails all goes on
/// without it, which the log says once, until reconnect() has found a keeper and filled it.
class KeeperLink {
 public:
  using Slot = continuity::Slot;
  using Files = continuity::PortKeeper::Files;
  static constexpr Slot state_slot = 6;  ///< An application's bytes (StateKeeping).
  struct Link {
    std::function<Result<std::unique_ptr<continuity::PortKeeper>>()> connect;  ///< To the keeper of the moment.
    std::function<void()> on_events;     ///< There may be events, though event_fd() says nothing.
    std::shared_ptr<Releases> releases;  ///< Closes what a front-end has sent; null: none sends anything.
    Logger log;
    std::string what = "the port";        ///< For the log: what a process has or waits for,
    std::string held = "the connection";  ///< and what its keeper holds of it.
  };

  // ---- what the keeper says by itself
  struct Acquired {};  ///< The bundle is this process's.
  struct YieldAsked {
    std::uint32_t pid;
  };
  struct Settled {
    std::uint32_t pid;
  };
  struct Changed {};  ///< What prepare() has is not what the bundle holds any more.
  struct Lost {};     ///< The keeper has failed: reconnect().
  using Event = std::variant<Acquired, YieldAsked, Settled, Changed, Lost>;

  virtual ~KeeperLink() = default;
  KeeperLink(const KeeperLink&) = delete;
  KeeperLink& operator=(const KeeperLink&) = delete;

  /// Whether the bundle is this process's. Otherwise it waits: nothing but the following three are called.
  virtual bool owns() const noexcept = 0;
  /// The next event, if one is there. noexcept: where memory is out, the keeper is lost.
  std::optional<Event> next_event() noexcept;
  /// To be watched: readable when there may be events; negative: no keeper, or one that says nothing by itself.
  int event_fd() const noexcept { return keeper_ == nullptr ? -1 : keeper_->event_fd(); }
  /// After Lost: tries a keeper once. What this process owns is held there again. False: none is there, or another
  /// process owns the bundle by its word. Nobody watches event_fd() meanwhile.
  bool reconnect() noexcept;

  /// What is at the keeper, by slot.
  const Files& files() const noexcept { return held_; }
  /// One of them; negative: there is none.
  int file(Slot slot) const noexcept;
  void hold_file(Slot slot, int fd) noexcept;

  /// This process or its part of it ends, and what is held shall not: it is there for `grace`. With 0 all of it ends.
  void park(std::chrono::milliseconds grace) noexcept;
  /// Another process may have the bundle now, and this one waits until that ends.
  void yield(std::chrono::milliseconds grace) noexcept;
  /// This process waits for it: what it will get then if nothing changes, by slot. Null: that is not known.
  const Files* prepare() noexcept;
  /// This process waits for it: the one that has it is asked to yield.
  void ask_owner() noexcept;
  /// This process has it for good.
  void settle() noexcept;
  /// It is of no use here. What is in it is there for another process for `grace`; later this one may wait again: as if
  /// the keeper had failed.
  void let_go(std::chrono::milliseconds grace) noexcept;

 protected:
  explicit KeeperLink(Link link) : link_(std::move(link)) {}

  /// Claims the bundle. Where another process has it, `how` says whether to wait for it. Errors: as
  /// PortKeeper::claim(), and of acquire().
  Result<void> claim(KeeperClaim how);
  /// The bundle is this process's from now on, with what held_ has. as_prepared: it is what prepare() has shown.
  virtual Result<void> acquire(bool as_prepared) = 0;
  /// It is not any more. held_ is empty.
  virtual void disown() noexcept = 0;
  /// The keeper may have lost the bundle, and others may get what is in it.
  virtual void mistrust() noexcept {}
  /// Another keeper is to have all that this process owns: fill(), and what else there is.
  virtual Result<void> refill(continuity::PortKeeper& keeper) { return fill(keeper); }

  bool has_keeper() const noexcept { return keeper_ != nullptr; }
  Result<void> fill(continuity::PortKeeper& keeper);  // with held_, and nothing else
  template <typename Action>
  void ask(Action action) noexcept;
  template <typename Action>
  void attempt(Action action) noexcept;  // also without a keeper; out of memory: as if it had failed
  void keep(Slot slot, int fd);
  UniqueFd own(int fd) const;        // closed where it holds up nobody
  Files owned(Files files) const;    // so
  UniqueFd duplicate(int fd) const;  // so, too

  const Link link_;
  Files held_;                        // what fill() gives to another keeper
  std::optional<Files> files_ahead_;  // while this process waits
  Files left_;                        // to another process: closed when guests do not wait for that

 private:
  Result<void> adopt(Files files, bool as_prepared);
  Result<void> try_adopt(Files files, bool as_prepared) noexcept;
  Result<void> adopt_prepared() noexcept;
  std::optional<Event> event_of(continuity::PortKeeper::Event& event);
  void give_up() noexcept;
  void fail(const std::string& why) noexcept;
  void lose() noexcept;

  std::unique_ptr<continuity::PortKeeper> keeper_;  // null: it failed
  std::unique_ptr<continuity::PortKeeper> lost_;    // which may be watched still
  bool told_lost_ = true;
  bool settles_ = false;
  bool asks_ = false;  // the owner to yield; once: who has had the bundle only waits
};

// The action may ask, too, and the keeper fail then.
template <typename Action>
void KeeperLink::ask(Action action) noexcept {
  if (keeper_ == nullptr) return;
  try {
    if (auto done = action(*keeper_); !done) return fail(done.error().message);
    if (keeper_ != nullptr && keeper_->has_events()) link_.on_events();
  } catch (const std::exception& error) {
    fail(error.what());
  }
}

template <typename Action>
void KeeperLink::attempt(Action action) noexcept {
  try {
    action();
  } catch (const std::exception& error) {
    fail(error.what());
  }
}

}  // namespace vhostx::backend
