// SPDX-License-Identifier: BSD-3-Clause
// Feed: has the back-end deliver a frame to a guest, by a second port of it, or by what it returns.
#pragma once

#include <optional>

#include "tools/probe/check/guest.hpp"

namespace vhostx::tools::probe {

/// Whether the back-end returns what a guest sends. Takes quiet_time several times over where it does not.
bool returns_frames(const Subject& subject);

class Feed {
 public:
  /// Ends the check (not applicable) where there is neither a second port nor a loop.
  explicit Feed(Guest& guest);

  /// Sends one frame on its way, and waits until the back-end has taken it.
  void offer();
  /// Offers until a frame of ours arrives at the guest; failed when none does.
  Guest::Arrival until_arrival();
  /// Nothing arrives any more.
  void settle();

 private:
  std::optional<Guest::Arrival> next_of_ours();

  Guest& guest_;
  Subject second_subject_;
  std::optional<Guest> second_;
};

}  // namespace vhostx::tools::probe
