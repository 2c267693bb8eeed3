// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include "base/unique_fd.hpp"

namespace vhostx::hostile {

/// An eventfd in so many epoll sets, all of which each signal of it walks.
class CrowdedEvent {
 public:
  /// Throws Decided.
  explicit CrowdedEvent(unsigned waiters);

  int fd() const noexcept { return event_.get(); }

 private:
  UniqueFd event_;
  std::vector<UniqueFd> names_;  ///< An epoll set takes each descriptor once.
  std::vector<UniqueFd> sets_;
};

}  // namespace vhostx::hostile
