// SPDX-License-Identifier: BSD-3-Clause
// StateChannel: the descriptor through which a front-end sends or receives a device's state: a pipe, a socket or a
// file.
#pragma once

#include <cstddef>
#include <span>

#include <vhostx/result.hpp>

#include "base/file_kind.hpp"
#include "base/unique_fd.hpp"

namespace vhostx::backend {

/// The peer holds the other end, and may hold this one too: so its flags are nothing to rely on, and each call says
/// itself that it does not wait.
class StateChannel {
 public:
  enum class For { reading, writing };
  /// Error: protocol_violation: another kind of descriptor, or one that cannot be read or written.
  static Result<StateChannel> adopt(UniqueFd fd, For use);

  int fd() const noexcept { return fd_.get(); }
  /// It has no end of transfer of its own, and is always ready: read it once the peer says that it has written all.
  bool is_file() const noexcept { return kind_ == FileKind::regular; }

  struct Moved {
    std::size_t bytes = 0;  ///< Reading: 0 without an error is the end.
    int error = 0;          ///< errno, or 0. EAGAIN: nothing to do now. Never EINTR.
  };
  /// A file's bytes are those at `offset`. `into` and `bytes` must not be empty.
  Moved read(std::span<std::byte> into, std::size_t offset) const noexcept;
  Moved write(std::span<const std::byte> bytes, std::size_t offset) const noexcept;

 private:
  StateChannel(UniqueFd fd, FileKind kind) noexcept : fd_(std::move(fd)), kind_(kind) {}

  UniqueFd fd_;
  FileKind kind_;
};

}  // namespace vhostx::backend
