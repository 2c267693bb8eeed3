// SPDX-License-Identifier: BSD-3-Clause
// What a peer does to an eventfd so that each signal takes long.
#pragma once

#include <vector>

#include <sys/epoll.h>

#include "base/unique_fd.hpp"

namespace vhostx::test {

/// `count` entries in epoll sets wait for it, as long as this lives.
class EventfdWaiters {
 public:
  EventfdWaiters(int eventfd, unsigned count) {
    for (unsigned i = 0; i < numbers; ++i) events_.emplace_back(::dup(eventfd));
    for (unsigned made = 0; made < count && enough_; ++made) {
      if (made % numbers == 0) sets_.emplace_back(::epoll_create1(EPOLL_CLOEXEC));
      epoll_event wanted{};
      wanted.events = EPOLLIN;
      enough_ = ::epoll_ctl(sets_.back().get(), EPOLL_CTL_ADD, events_[made % numbers].get(), &wanted) == 0;
    }
  }

  /// False: the machine allows no user so many (fs.epoll.max_user_watches).
  bool enough() const noexcept { return enough_; }

 private:
  static constexpr unsigned numbers = 200;  // under which one set knows it: each is an entry
  bool enough_ = true;
  std::vector<UniqueFd> events_;
  std::vector<UniqueFd> sets_;
};

}  // namespace vhostx::test
