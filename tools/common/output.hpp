// SPDX-License-Identifier: BSD-3-Clause
// Output: standard output, which may be a pipe that nobody reads: nobody waits for it but a thread of its own.
//
// O_NONBLOCK is no help: it belongs to the open file, which others have too (a shell, its other programs). Nor is
// poll(): whoever shares the pipe may fill it between poll() and write(). So a thread writes, and is left behind at the
// end if it is still waiting.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace vhostx::tools {

/// One thread, but for its own.
class Output {
 public:
  /// `fd` stays the caller's, and open. `on_change` is called on another thread when has_room() or lost() has become
  /// true; not after ~Output() has begun.
  Output(int fd, std::function<void()> on_change);
  /// Leaves unwritten what close() has not waited for.
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  /// Queues the text, whether or not there is room; never waits. The thread starts with the first one.
  void write(std::string text);
  /// Less than a bound waits. Where there is no room, what can wait with its owner had better do so.
  bool has_room() const;
  /// A write failed: nobody reads. What is written afterwards is forgotten.
  bool lost() const;

  /// Waits until all is written, or lost, but no longer than `timeout`. Returns how many bytes are not written.
  std::size_t drain(std::chrono::milliseconds timeout);

  static constexpr std::size_t bytes_waiting_max = std::size_t{256} << 10;

 private:
  struct State;
  static void run(const std::shared_ptr<State>& state);

  std::shared_ptr<State> state_;  // the thread's too
  bool started_ = false;
};

}  // namespace vhostx::tools
