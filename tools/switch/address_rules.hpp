// SPDX-License-Identifier: BSD-3-Clause
// AddressRules: which port may send with which source address: port security, for ports that are bound to addresses.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace vhostx::tools {

/// Addresses as source_of() has them. Changed before the workers run or during a Standstill; workers only read.
class AddressRules {
 public:
  /// From now on `port` sends with the addresses that it is bound to alone, and they are no other port's.
  void bind(std::uint16_t port, std::uint64_t mac) {
    if (port >= bound_.size()) bound_.resize(port + std::size_t{1});
    bound_[port] = true;
    const std::pair entry{mac, port};
    owners_.insert(std::upper_bound(owners_.begin(), owners_.end(), entry), entry);
  }

  /// The port is bound to nothing any more, and its addresses are anybody's.
  void release(std::uint16_t port) noexcept {
    std::erase_if(owners_, [port](const auto& owner) { return owner.second == port; });
    if (port < bound_.size()) bound_[port] = false;
  }

  /// Any thread.
  bool allows(std::uint64_t mac, std::uint16_t port) const noexcept {
    if (owners_.empty()) [[likely]]
      return true;
    const auto owner = std::lower_bound(owners_.begin(), owners_.end(), std::pair{mac, std::uint16_t{0}});
    if (owner != owners_.end() && owner->first == mac) return owner->second == port;
    return port >= bound_.size() || !bound_[port];
  }

 private:
  std::vector<std::pair<std::uint64_t, std::uint16_t>> owners_;  // sorted
  std::vector<bool> bound_;                                      // by port
};

}  // namespace vhostx::tools
