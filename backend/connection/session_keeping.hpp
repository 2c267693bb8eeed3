// SPDX-License-Identifier: BSD-3-Clause
// SessionKeeping: has a keeper hold what a port's connection is made of, so that another process can go on with it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <vhostx/backend.hpp>
#include <vhostx/result.hpp>

#include "backend/connection/keeper_link.hpp"
#include "base/unique_fd.hpp"
#include "continuity/port_keeper.hpp"
#include "continuity/session_record.hpp"
#include "protocol/message.hpp"
#include "virtqueue/inflight_store.hpp"

namespace vhostx::backend {

/// What is at the keeper makes it possible to go on with the connection, or is closed. Control thread.
class SessionKeeping final : public KeeperLink {
 public:
  static constexpr Slot own_inflight_slot = continuity::own_inflight_slot;
  /// A connection that another process served.
  struct Found {
    UniqueFd socket;
    continuity::SessionState state;
    bool as_ahead;  ///< With the descriptors that look_ahead() has shown.
  };
  /// The socket on which another process listened for the port, and the file that it is bound to (O_PATH). Both stay at
  /// the keeper, and are this object's.
  struct FoundListener {
    int socket;
    int file;
  };
  struct Parts {
    Link link;
    continuity::RecordLimits limits;
    bool keeps_state = false;  ///< The application's state of a connection is kept, in state_slot.
  };

  /// Claims the port's bundle. Where another process serves the port, `claim` says whether to wait for it. Errors: as
  /// PortKeeper::claim(), and of the record.
  static Result<std::unique_ptr<SessionKeeping>> open(Parts parts, KeeperClaim claim);

  bool owns() const noexcept override { return record_.has_value(); }

  /// While this process waits: the connection that it would go on with now, and what its messages have brought. Nothing
  /// where there is none, or nobody can know.
  struct Ahead {
    continuity::SessionState state;
    const Files& files;  ///< Until the next look_ahead().
  };
  std::optional<Ahead> look_ahead();
  /// Whether there is another state to go on with than this one (null: none), though the descriptors are the same.
  bool is_past(const continuity::SessionState* state) const noexcept;

  /// What the process before had; each once. A connection is closed where what was left does not fit: never a guess.
  std::optional<Found> take_found() noexcept { return std::exchange(found_, std::nullopt); }
  std::optional<FoundListener> take_listener() noexcept { return std::exchange(found_listener_, std::nullopt); }
  /// The port listens on `socket`, whose file is `file`, and not on that of take_listener().
  void listens(int socket, int file);
  /// The port does not listen on that of take_listener(), and nobody does any more.
  void listens_no_more() noexcept;

  /// The port's counters as another process has left them, if it has; once.
  UniqueFd take_counters() noexcept { return std::move(counters_); }
  void hold_counters(int fd) noexcept;

  /// A front-end has connected.
  void begin(int socket);
  /// The connection of take_found() goes on with all that it had.
  void go_on(const continuity::SessionState& state);
  /// The connection is over.
  void end() noexcept;

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
  /// The rings of a new connection may lend, or be packed: the port keeps a record of its own. After begin(). Errors:
  /// system, out_of_memory.
  Result<void> begin_own_inflight();
  /// The connection goes on, with the record that it had, or with a new one if it had none and wants one now. Before
  /// its rings start. Errors: as above, and protocol_violation (no such record).
  Result<void> adopt_own_inflight(Found& found, bool wanted);
  /// Null: there is none.
  const virtqueue::InflightStore::Shared& own_inflight() const noexcept { return own_inflight_; }

 private:
  static constexpr Slot record_slot = continuity::record_slot;

  explicit SessionKeeping(Parts parts);
  Result<void> acquire(bool as_prepared) override;
  void disown() noexcept override;
  void mistrust() noexcept override;
  Result<void> refill(continuity::PortKeeper& keeper) override;
  Result<void> find(UniqueFd left, std::optional<continuity::SessionRecord> ahead);
  Result<void> begin_anew();
  void forget_state() noexcept;
  void drop_unused();
  Result<void> make_own_inflight(continuity::SessionState& state);
  Slot free_slot() noexcept;

  const continuity::RecordLimits limits_;
  const bool keeps_state_;
  std::optional<continuity::SessionRecord> record_;  // none: another process serves the port
  std::optional<continuity::SessionRecord> ahead_;   // while this process waits: that of the owner
  continuity::SessionState state_;
  Slot next_slot_ = 0;  // to be tried
  bool busy_ = false;
  bool answer_busy_ = false;
  std::optional<Found> found_;
  std::optional<FoundListener> found_listener_;
  UniqueFd counters_;
  virtqueue::InflightStore::Shared own_inflight_;
};

}  // namespace vhostx::backend
