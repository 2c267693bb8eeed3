// SPDX-License-Identifier: BSD-3-Clause
// StateFile: an application's bytes in a memory file that outlives the process which writes it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"

namespace vhostx::continuity {

/// The bytes lie in the file twice. The next ones are written to the half that is not in use, and one word makes it the
/// one in use: they are whole at every instant. What they mean, and a sum over them, is the caller's business. Nothing
/// is mapped: where memory is out, a write fails. Control thread of its owner.
class StateFile {
 public:
  using Bytes = std::vector<std::byte>;
  /// By what word the file says that nothing was written, or which half is in use: a damaged byte makes no other one.
  static constexpr std::array<std::uint32_t, 3> in_use_names{0, 0x7473'7266, 0x6e63'6573};

  /// A new file without bytes. Errors: system.
  static Result<StateFile> create(std::size_t bytes_max);
  /// What another process has left in such a file, which may hold anything and change meanwhile; empty: it had written
  /// nothing. Errors: system; protocol_violation (no file as create() makes it, with what was found and expected);
  /// limit (more than bytes_max bytes); out_of_memory.
  static Result<Bytes> read(int fd, std::size_t bytes_max);

  int fd() const noexcept { return file_.get(); }

  /// Shows `bytes` from now on. Errors: limit (more than there is room for), system; the ones before are shown then.
  Result<void> write(std::span<const std::byte> bytes);

 private:
  StateFile(UniqueFd file, std::size_t bytes_max) noexcept : file_(std::move(file)), bytes_max_(bytes_max) {}

  UniqueFd file_;
  std::size_t bytes_max_;
  std::uint32_t in_use_ = 0;
};

}  // namespace vhostx::continuity
