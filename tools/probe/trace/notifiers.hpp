// SPDX-License-Identifier: BSD-3-Clause
// Notifiers: kick and call eventfds that were exchanged for our own, so that what passes through them can be counted.
// That is a thing in which a front-end and a back-end can tell that somebody is between them: a notification
// takes a turn of our loop.
#pragma once

#include <cstdint>
#include <map>
#include <poll.h>
#include <vector>

#include "base/event_fd.hpp"
#include "base/unique_fd.hpp"
#include "protocol/message.hpp"

namespace vhostx::tools::probe {

struct NotificationCounts {
  std::uint64_t kicks = 0;
  std::uint64_t calls = 0;
};

/// One thread. Never blocks.
class Notifiers {
 public:
  /// SET_VRING_KICK or SET_VRING_CALL brings `fd`: exchanges it, where it is an eventfd. Which vring it is for is said
  /// later, by name_last(): the payload has not come yet.
  void exchange(const protocol::Header& header, UniqueFd& fd);
  void name_last(std::uint32_t vring);

  void add_to(std::vector<pollfd>& watched) const;
  /// Passes on what has been signalled. Looks at as many as it added, in the same order.
  void handle(const pollfd*& watched);

  /// Of the vrings whose descriptors were exchanged.
  const std::map<std::uint32_t, NotificationCounts>& counts() const noexcept { return counts_; }

 private:
  struct Link {
    UniqueFd from;
    EventFd to;
    bool kick;
    std::uint32_t vring;
  };

  void pass_on(const Link& link);

  std::vector<Link> links_;  ///< The oldest first.
  std::map<std::uint32_t, NotificationCounts> counts_;
};

}  // namespace vhostx::tools::probe
