// SPDX-License-Identifier: BSD-3-Clause
// SessionRecord: a SessionState in a memory file that outlives the process which writes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"
#include "continuity/session_state.hpp"

namespace vhostx::continuity {

/// How much a record has room for.
struct RecordLimits {
  std::uint32_t rings = 2;    ///< 1 to 256.
  std::uint32_t regions = 8;  ///< 1 to 4096.

  friend bool operator==(const RecordLimits&, const RecordLimits&) noexcept = default;
};

/// The state lies in the file twice. The next one is written to the half that is not in use, with a sum over it, and
/// one store makes it the one in use: it is whole at every instant. Control thread of its owner.
class SessionRecord {
 public:
  /// A new file, of a state without messages. Errors: system.
  static Result<SessionRecord> create(const RecordLimits& limits);
  /// One that another process has made. It may hold anything: see read(). Errors: system; protocol_violation (the
  /// file's size, or it is not sealed, so that it could shrink under us).
  static Result<SessionRecord> adopt(UniqueFd file, const RecordLimits& limits);
  SessionRecord(SessionRecord&& other) noexcept;
  SessionRecord& operator=(SessionRecord&&) = delete;
  ~SessionRecord();

  int fd() const noexcept { return file_.get(); }

  /// Around the first byte that is read of a message and the last effect of its handling: what was in between when the
  /// process ended cannot be told.
  void begin_message() noexcept;
  void end_message() noexcept;
  /// The same of the front-end's answer to a request of ours, on the other socket.
  void begin_answer() noexcept;
  void end_answer() noexcept;

  /// How many answers of the front-end may still come, at most: of requests that were sent, or were about to be.
  std::uint32_t answers_due() const noexcept;
  void set_answers_due(std::uint32_t count) noexcept;

  /// Shows `state` from now on. Error: limit (more rings or regions than there is room for); the one before is shown.
  Result<void> write(const SessionState& state);
  /// Errors, each with what was found and expected: protocol_violation for another version, limits or sum, or a message
  /// in work. The bytes are copied before they are looked at. What they mean is not checked: the steps' handlers do
  /// that.
  Result<SessionState> read() const;

  /// What a copy of a record's file shows, whoever writes it.
  struct Seen {
    RecordLimits limits;
    SessionState state;        ///< As it was before the message in work.
    bool has_message = false;  ///< A message is in work, or was when the process ended.
  };
  /// The bytes of a whole file, copied meanwhile or long after: they may be anything. Errors: as read(), but for a
  /// message in work.
  static Result<Seen> read_copy(std::span<const std::byte> copy);
  /// Of the largest record's file.
  static std::size_t bytes_most() noexcept;

 private:
  SessionRecord(UniqueFd file, std::byte* view, const RecordLimits& limits) noexcept
      : file_(std::move(file)), view_(view), limits_(limits) {}
  std::size_t half_bytes() const noexcept;
  std::size_t file_bytes() const noexcept;
  static Result<SessionRecord> map(UniqueFd file, const RecordLimits& limits);
  template <typename Fetch>
  static Result<Seen> parse(std::size_t bytes, Fetch fetch);

  UniqueFd file_;
  std::byte* view_;
  RecordLimits limits_;
};

}  // namespace vhostx::continuity
