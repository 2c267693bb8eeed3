// SPDX-License-Identifier: BSD-3-Clause
// Victims: two guests on ports of their own that send each other numbered frames at a steady pace, and must notice
// nothing of what is done to another port.
#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/hostile/control_watch.hpp"
#include "tests/hostile/frame_watch.hpp"
#include "tests/hostile/honest_guest.hpp"

namespace vhostx::hostile {

class Victims {
 public:
  /// Connects both. Traffic flows from resume() on.
  Victims(const tools::probe::Subject& first, const tools::probe::Subject& second, pid_t back_end);
  ~Victims();
  Victims(const Victims&) = delete;
  Victims& operator=(const Victims&) = delete;

  /// Traffic pauses until all that was sent has arrived. What was lost, came twice or damaged since the last call, and
  /// what the control thread left unanswered: a line each. What was late is in figures().
  std::vector<std::string> complaints();
  /// Traffic goes on.
  void resume();

  /// Of the last complaints(): frames both ways, the longest that one travelled, and the longest answer.
  struct Figures {
    unsigned frames = 0;
    std::chrono::nanoseconds longest_frame{};
    std::chrono::nanoseconds longest_answer{};
    std::vector<std::string> late;  ///< What took longer than delay_max: a line each.
  };
  const Figures& figures() const noexcept { return figures_; }

 private:
  /// One of the two ways that frames go.
  struct Way {
    HonestGuest& from;
    HonestGuest& to;
    std::uint32_t first = 1;  ///< Number of the first frame since the last complaints().
  };

  void send();
  void send_one(std::size_t way, HonestGuest& from);
  void judge_times(std::vector<std::string>& complaints);
  void pause();
  void settle(Way& way, std::vector<std::string>& complaints);

  FrameWatch frames_;
  HonestGuest first_, second_;
  Way there_{first_, second_}, back_{second_, first_};
  Figures figures_;
  std::atomic<bool> sending_{false};
  std::thread sender_;
  ControlWatch watch_;
};

}  // namespace vhostx::hostile
