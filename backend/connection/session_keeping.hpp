// SPDX-License-Identifier: BSD-3-Clause
// SessionKeeping: has a keeper hold what a port's connection is made of, so that another process can go on with it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <vhostx/backend.hpp>
#include <vhostx/result.hpp>

#include "base/logger.hpp"
#include "base/releases.hpp"
#include "base/unique_fd.hpp"
#include "continuity/port_keeper.hpp"
#include "continuity/session_record.hpp"
#include "protocol/message.hpp"
#include "virtqueue/inflight_store.hpp"

namespace vhostx::backend {

/// Control thread. Where the keeper fails the port goes on without it, which the log says once, until reconnect() has
/// found a keeper and filled it.
class SessionKeeping {
 public:
  using Slot = continuity::Slot;
  static constexpr Slot own_inflight_slot = continuity::own_inflight_slot;
  static constexpr Slot state_slot = 6;
  /// A connection that another process served.
  struct Found {
    UniqueFd socket;
    continuity::SessionState state;
  };
  /// The socket on which another process listened for the port, and the file that it is bound to (O_PATH).
  struct FoundListener {
    UniqueFd socket;
    UniqueFd file;
  };
  struct Parts {
    std::function<Result<std::unique_ptr<continuity::PortKeeper>>()> connect;  ///< To the keeper of the moment.
    continuity::RecordLimits limits;
    bool keeps_state = false;            ///< The application's state of a connection is kept: hold_state().
    std::function<void()> on_events;     ///< There may be events, though event_fd() says nothing.
    std::shared_ptr<Releases> releases;  ///< Closes what a front-end has sent.
    Logger log;
  };

  // ---- what the keeper says by itself
  struct Acquired {};  ///< The port is this process's: take_found(), take_listener().
  struct YieldAsked {
    std::uint32_t pid;
  };
  struct Settled {
    std::uint32_t pid;
  };
  struct Lost {};  ///< The keeper has failed: reconnect().
  using Event = std::variant<Acquired, YieldAsked, Settled, Lost>;

  /// Claims the port's bundle. Where another process serves the port, `claim` says whether to wait for it. Errors: as
  /// PortKeeper::claim(), and of the record.
  static Result<std::unique_ptr<SessionKeeping>> open(Parts parts, KeeperClaim claim);

  /// Whether the port is this process's. Otherwise it waits: nothing but the following three are called.
  bool owns() const noexcept { return record_.has_value(); }
  /// The next event, if one is there. noexcept: where memory is out, the keeper is lost.
  std::optional<Event> next_event() noexcept;
  /// To be watched: readable when there may be events; negative: no keeper, or one that says nothing by itself.
  int event_fd() const noexcept { return keeper_ == nullptr ? -1 : keeper_->event_fd(); }
  /// After Lost: tries a keeper once. What this process owns is held there again. False: none is there, or another
  /// process owns the port by its word. Nobody watches event_fd() meanwhile.
  bool reconnect() noexcept;

  /// What the process before had; each once. A connection is closed where what was left does not fit: never a guess.
  std::optional<Found> take_found() noexcept { return std::exchange(found_, std::nullopt); }
  std::optional<FoundListener> take_listener() noexcept { return std::exchange(found_listener_, std::nullopt); }
  /// What is at the keeper, by slot.
  const continuity::PortKeeper::Files& files() const noexcept { return held_; }
  /// The port listens on `socket`, whose file is `file`.
  void listens(int socket, int file);

  /// The port's counters as another process has left them, if it has; once.
  UniqueFd take_counters() noexcept { return std::move(counters_); }
  void hold_counters(int fd) noexcept;

  /// The application's state of this connection is in this file; negative: there is none.
  int state_file() const noexcept;
  void hold_state(int fd) noexcept;

  /// A front-end has connected.
  void begin(int socket);
  /// The connection of take_found() goes on with all that it had.
  void go_on(const continuity::SessionState& state);
  /// The connection is over.
  void end() noexcept;
  /// The process or the port ends, and the connection shall not: it is there for `grace`. With 0 all of it ends.
  void park(std::chrono::milliseconds grace) noexcept;
  /// Another process may serve the port now, and this one waits until that ends.
  void yield(std::chrono::milliseconds grace) noexcept;
  /// This process waits for the port: the one that serves it is asked to yield.
  void ask_owner() noexcept;
  /// This process serves the port for good.
  void settle() noexcept;
  /// The port cannot be served here. What it had is there for another process for `grace`; later this one may wait
  /// again: as if the keeper had failed.
  void let_go(std::chrono::milliseconds grace) noexcept;

  /// A message may be in work from now on, or none is: its answer is sent.
  void set_busy(bool busy) noexcept;
  /// Before a message is handled: keeps its descriptors. Their slots.
  std::vector<Slot> hold(const protocol::Message& message);
  /// It was accepted, and the answer to GET_VRING_BASE was `answer`; has_log: the device has a dirty log.
  void accepted(const protocol::Message& message, std::span<const Slot> slots, std::uint32_t answer, bool has_log);
  /// It was not.
  void refused(std::span<const Slot> slots);

  // ---- our requests to the front-end
  /// Its answer may be read now, or none is.
  void set_answer_busy(bool busy) noexcept;
  /// Before a request is sent, and after an answer was read.
  void request_sent() noexcept;
  void request_answered() noexcept;
  /// Their socket is closed, and the connection goes on without it.
  void requests_ended() noexcept;
  /// Answers that may come to requests of the process before, at most.
  std::uint32_t answers_due() const noexcept { return record_->answers_due(); }

  // ---- what is in flight: session_keeping_inflight.cpp
  /// The rings of a new connection may lend: the port keeps a record of its own. After begin(). Errors: system,
  /// out_of_memory.
  Result<void> begin_own_inflight();
  /// The connection goes on, with the record that it had, or with a new one if it had none and its rings may lend now.
  /// Before its rings start. Errors: as above, and protocol_violation (no such record).
  Result<void> adopt_own_inflight(Found& found, bool lends);
  /// Null: there is none.
  const virtqueue::InflightStore::Shared& own_inflight() const noexcept { return own_inflight_; }

 private:
  static constexpr Slot record_slot = continuity::record_slot;

  explicit SessionKeeping(Parts parts) : parts_(std::move(parts)) { state_.rings.resize(parts_.limits.rings); }
  Result<void> claim(KeeperClaim how);
  Result<void> acquire(continuity::PortKeeper::Files files);
  Result<void> try_acquire(continuity::PortKeeper::Files files) noexcept;
  void find();
  void close_left();
  Result<void> refill(continuity::PortKeeper& keeper);
  std::optional<Event> event_of(continuity::PortKeeper::Event event);
  void clear() noexcept;
  void forget_state() noexcept;
  void keep(Slot slot, int fd);
  void drop_unused();
  Result<void> make_own_inflight(continuity::SessionState& state);
  Slot free_slot() noexcept;
  template <typename Action>
  void ask(Action action) noexcept;
  void fail(const std::string& why) noexcept;

  const Parts parts_;
  std::unique_ptr<continuity::PortKeeper> keeper_;  // null: it failed
  std::unique_ptr<continuity::PortKeeper> lost_;    // which may be watched still
  bool told_lost_ = true;
  std::optional<continuity::SessionRecord> record_;  // none: another process serves the port
  continuity::SessionState state_;
  continuity::PortKeeper::Files
      held_;            // all that the keeper holds but for the record: another keeper is filled with it
  Slot next_slot_ = 0;  // to be tried
  bool settles_ = false;
  bool asks_ = false;  // the port's owner to yield; once: who has had the port only waits
  bool busy_ = false;
  bool answer_busy_ = false;
  std::optional<Found> found_;
  std::optional<FoundListener> found_listener_;
  UniqueFd counters_;
  virtqueue::InflightStore::Shared own_inflight_;
};

// The action may ask, too, and the keeper fail then.
template <typename Action>
void SessionKeeping::ask(Action action) noexcept {
  if (keeper_ == nullptr) return;
  try {
    if (auto done = action(*keeper_); !done) return fail(done.error().message);
    if (keeper_ != nullptr && keeper_->has_events()) parts_.on_events();
  } catch (const std::exception& error) {
    fail(error.what());
  }
}

}  // namespace vhostx::backend
