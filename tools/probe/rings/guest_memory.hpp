// SPDX-License-Identifier: BSD-3-Clause
// Reading a guest's memory from outside, at the addresses that the front-end uses. Nothing here can write: files are
// read by pread(2). They are not mapped, because a file that is truncated under a mapping ends its reader with SIGBUS,
// where pread() comes back with fewer bytes; and because a mapping of a file that its owner opened for writing could be
// made writable, where pread() never writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"

namespace vhostx::tools::probe {

/// Any address may be asked for: whatever is wrong with it is answered with false. Any thread.
class GuestMemory {
 public:
  virtual ~GuestMemory() = default;

  /// Copies into.size() bytes from `address`. False: they are not all there, and `into` holds nothing of meaning.
  virtual bool read(std::uint64_t address, std::span<std::byte> into) const = 0;

  /// A T in the machine's byte order; none where it cannot be read.
  template <typename T>
  std::optional<T> load(std::uint64_t address) const {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    if (!read(address, std::as_writable_bytes(std::span(&value, 1)))) return std::nullopt;
    return value;
  }
};

/// Memory in files: the regions of SET_MEM_TABLE and ADD_MEM_REG.
class RegionMemory final : public GuestMemory {
 public:
  struct Part {
    std::uint64_t address = 0;  ///< Of its first byte, as the rings' addresses count.
    std::uint64_t bytes = 0;
    std::uint64_t offset = 0;  ///< In the file.
    int fd = -1;               ///< Open for reading, and for as long as this object lives. -1: there is none.
  };

  explicit RegionMemory(std::vector<Part> parts) : parts_(std::move(parts)) {}
  /// What lies in one part, or in several that are neighbours: a ring may lie over the border of two memory slots.
  bool read(std::uint64_t address, std::span<std::byte> into) const override;

 private:
  const Part* part_at(std::uint64_t address) const;
  std::vector<Part> parts_;
};

/// Memory of another process, at its own addresses: /proc/PID/mem, opened for reading only.
class ProcessMemory final : public GuestMemory {
 public:
  /// Error: system, e.g. without the right to look into that process (ptrace(2), "Ptrace access mode checking").
  static Result<ProcessMemory> open(int pid);
  /// False also when the process has ended; the number may belong to another one by then, the open file does not.
  bool read(std::uint64_t address, std::span<std::byte> into) const override;

 private:
  explicit ProcessMemory(UniqueFd file) : file_(std::move(file)) {}
  UniqueFd file_;
};

}  // namespace vhostx::tools::probe
