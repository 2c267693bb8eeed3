// SPDX-License-Identifier: BSD-3-Clause
// What the checks of the group bad-input have in common: something is sent that the specification forbids, it must not
// be taken for right, and the next connection must work.
#pragma once

#include <string>
#include <string_view>

#include "tools/probe/check/check.hpp"
#include "tools/probe/check/guest.hpp"

namespace vhostx::tools::probe {

/// What a back-end owes: not to take it, or no more than to live on, where the text leaves the rest to it.
enum class Owed { refusal, survival };

/// Sees that a new connection is answered, and says what became of the request.
Verdict judge(const Subject& subject, Fate answer, Owed owed);

/// One wrong message on a connection with memory, on which nothing else is wrong.
struct WrongMessage {
  const char* id;
  const char* section;
  const char* title;
  Owed owed;
  protocol::Message (*make)(Guest& guest);
  GuestPlan plan{};
  bool described = false;  ///< Ring 0 has its size, base and addresses.
};
void add_wrong_message(Checks& checks, const WrongMessage& wrong);

/// What a driver does that it may not, in its transmit ring.
using Lie = void (*)(Guest& guest);
/// Rings run; then the driver lies, and leaves. The next guest's rings must run.
void add_lie(Checks& checks, const std::string& id, const char* section, const std::string& title,
             const GuestPlan& plan, Lie tell);

}  // namespace vhostx::tools::probe
