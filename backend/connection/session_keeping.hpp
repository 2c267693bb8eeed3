// SPDX-License-Identifier: BSD-3-Clause
// SessionKeeping: has a keeper hold what a port's connection is made of, so that another process can go on with it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <vhostx/result.hpp>

#include "base/logger.hpp"
#include "base/unique_fd.hpp"
#include "continuity/port_keeper.hpp"
#include "continuity/session_record.hpp"
#include "protocol/message.hpp"

namespace vhostx::backend {

/// Control thread. Where the keeper fails the port goes on without it, which the log says once.
class SessionKeeping {
 public:
  using Slot = continuity::Slot;
  /// A connection that another process served.
  struct Found {
    UniqueFd socket;
    continuity::SessionState state;
    continuity::PortKeeper::Files files;
  };

  /// Claims the port's bundle. Errors: as PortKeeper::claim(), and of the record.
  static Result<std::unique_ptr<SessionKeeping>> open(std::unique_ptr<continuity::PortKeeper> keeper,
                                                      const continuity::RecordLimits& limits, const Logger& log);

  /// What open() found; once. Its connection is closed where what was left does not fit: never a guess.
  std::optional<Found> take_found() noexcept { return std::exchange(found_, std::nullopt); }

  /// A front-end has connected.
  void begin(int socket);
  /// The connection of take_found() goes on with all that it had.
  void go_on(const continuity::SessionState& state);
  /// The connection is over.
  void end() noexcept;
  /// The process or the port ends, and the connection shall not: it is there for `grace`.
  void park(std::chrono::milliseconds grace) noexcept;

  /// A message may be in work from now on, or none is: its answer is sent.
  void set_busy(bool busy) noexcept;
  /// Before a message is handled: keeps its descriptors. Their slots.
  std::vector<Slot> hold(const protocol::Message& message);
  /// It was accepted, and the answer to GET_VRING_BASE was `answer`; has_log: the device has a dirty log.
  void accepted(const protocol::Message& message, std::span<const Slot> slots, std::uint32_t answer, bool has_log);
  /// It was not.
  void refused(std::span<const Slot> slots);

 private:
  SessionKeeping(std::unique_ptr<continuity::PortKeeper> keeper, continuity::SessionRecord record, std::uint32_t rings,
                 const Logger& log);
  void find(continuity::PortKeeper::Files files);
  void close_left(UniqueFd socket);
  void drop_unused();
  continuity::Slot free_slot() noexcept;
  template <typename Action>
  void ask(Action action) noexcept;
  void fail(const std::string& why) noexcept;

  std::unique_ptr<continuity::PortKeeper> keeper_;  // null: it failed
  continuity::SessionRecord record_;
  const Logger log_;
  continuity::SessionState state_;
  std::vector<Slot> held_;  // of this connection
  Slot next_slot_;
  std::optional<Found> found_;
};

}  // namespace vhostx::backend
