// SPDX-License-Identifier: BSD-3-Clause
// StoredFiles: the open files in the store, each once, however many slots have it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include <vhostx/result.hpp>

#include "base/releases.hpp"
#include "base/unique_fd.hpp"
#include "systemd/store_room.hpp"

namespace vhostx::systemd {

/// Whether kcmp(2) tells open files apart here. Errors: unsupported.
Result<void> check_kcmp();

/// Has a duplicate of each file, by which the same one is known when it comes again: QEMU sends one memory file for two
/// regions, and for two network devices.
class StoredFiles {
 public:
  explicit StoredFiles(StoreRoom& room) noexcept : room_(room) {}

  /// One that is in the store; each number once.
  void found(std::uint32_t number, UniqueFd fd);
  /// Its number; it is used once more. It is in the store when this returns, unless systemd refuses it. `releases`
  /// closes the duplicate. Errors: limit, system, those of ServiceManager.
  Result<std::uint32_t> use(int fd, Releases& releases);
  /// The same, by its number. False: there is no such file.
  bool use(std::uint32_t number) noexcept;
  /// It is used once less. Nobody uses it any more: it leaves the store.
  Result<void> unuse(std::uint32_t number);
  /// Those that nobody uses leave the store.
  Result<void> remove_unused();
  /// Numbers that files had are not used again, not even by indexes.
  void reserve(std::uint32_t number) noexcept;
  /// Empty: there is no such file. Errors: system.
  Result<UniqueFd> duplicate(std::uint32_t number) const;

 private:
  struct File {
    UniqueFd fd;
    std::size_t uses = 0;
  };
  struct Order {
    bool operator()(int a, int b) const noexcept;  // of open files
  };

  using Files = std::map<std::uint32_t, File>;

  Result<void> remove(Files::iterator file);
  void forget(Files::iterator file) noexcept;

  StoreRoom& room_;
  Files files_;
  std::map<int, std::uint32_t, Order> numbers_;  // by a descriptor in files_
  std::uint32_t last_number_ = 0;
};

}  // namespace vhostx::systemd
