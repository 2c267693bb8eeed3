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
  std::chrono::milliseconds took{};
  std::chrono::nanoseconds longest_answer{};  ///< To the victim's control messages.
  std::chrono::nanoseconds longest_frame{};   ///< From one victim to the other.
  unsigned victim_frames = 0;
};

/// Never throws: what goes wrong is a complaint. others_only: what becomes of the attacker is none.
Finding make_attack(Stage& stage, const Attack& attack, bool others_only);

}  // namespace vhostx::hostile
