// SPDX-License-Identifier: BSD-3-Clause
// SlotIndex: which of the stored files a bundle has in which slot, in a memory file that is stored too.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"
#include "continuity/session_state.hpp"

namespace vhostx::systemd {

/// systemd stores an open file once, and under one name: two slots, of two ports even, may be the same file. So a file
/// has a number, and this says which slots have it. A slot is one word of 64 bits: the file is whole at every instant.
class SlotIndex {
 public:
  static constexpr std::size_t slots_max = 2048;
  struct Entry {
    continuity::Slot slot;
    std::uint32_t file;  ///< Not 0.
  };

  /// Empty. Errors: system.
  static Result<SlotIndex> create();
  /// One that another process left. Errors: protocol_violation (of another version, damaged), system.
  static Result<SlotIndex> adopt(UniqueFd file);

  SlotIndex(SlotIndex&& other) noexcept;
  SlotIndex& operator=(SlotIndex&&) = delete;
  ~SlotIndex();

  int fd() const noexcept { return file_.get(); }
  std::vector<Entry> entries() const;
  /// 0: none.
  std::uint32_t file_in(continuity::Slot slot) const noexcept;
  /// In place of what was there. Errors: limit.
  Result<void> set(continuity::Slot slot, std::uint32_t file);
  void clear(continuity::Slot slot) noexcept;

 private:
  struct Words;

  SlotIndex(UniqueFd file, Words* words) noexcept : file_(std::move(file)), words_(words) {}
  static Result<SlotIndex> map(UniqueFd file);
  std::size_t place_of(continuity::Slot slot) const noexcept;
  std::size_t free_place() const noexcept;
  Result<void> check() const;
  std::uint64_t load(std::size_t place) const noexcept;
  void store(std::size_t place, std::uint64_t word) noexcept;

  UniqueFd file_;
  Words* words_;
};

}  // namespace vhostx::systemd
