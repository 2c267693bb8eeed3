// SPDX-License-Identifier: BSD-3-Clause
// The referee: makes an attack on a stage, and says what it found wrong.
#pragma once

#include <chrono>
#include <string>

#include "tests/hostile/attack.hpp"
#include "tests/hostile/stage.hpp"

namespace vhostx::hostile {

struct Finding {
  const Attack* attack = nullptr;
  std::string seen;       ///< What the back-end did, one line.
  Complaints complaints;  ///< Empty: all is well.
  Complaints late;        ///< Times of the victims over their limit, the last time that the attack was made.
  std::chrono::milliseconds took{};
  std::chrono::nanoseconds longest_answer{};  ///< To the victim's control messages.
  std::chrono::nanoseconds longest_frame{};   ///< From one victim to the other.
  unsigned victim_frames = 0;
};

/// Makes the attack; up to three times while all is well but for a victim's frame or answer that was late. A busy
/// machine holds up anybody at times, and not all that it does is counted as waiting for a CPU; an attack that holds up
/// others does so each time. Never throws: what goes wrong is a complaint. others_only: what becomes of the attacker is
/// none.
Finding make_attack(Stage& stage, const Attack& attack, bool others_only);

}  // namespace vhostx::hostile
