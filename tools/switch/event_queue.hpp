// SPDX-License-Identifier: BSD-3-Clause
// EventQueue: port events from the control thread to the main one, which prints them: guests' messages must not wait
// for that. A peer can cause events as fast as it can send messages or connect; so each port has a rate, and of what
// comes faster the last of each kind is kept back and told when there is room: the state that was told last is true.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <vhostx/events.hpp>
#include <vhostx/result.hpp>

namespace vhostx::tools {

struct TimedEvent {
  double seconds = 0;  ///< Since the switch began.
  std::string port;
  PortEvent event;
  std::uint64_t left_out = 0;  ///< How many of this port's before it are told by nobody.
};

class EventQueue {
 public:
  static constexpr unsigned per_second_default = 50;
  static constexpr unsigned per_second_max = 1'000'000;
  static constexpr unsigned seconds_at_once = 4;  ///< A quiet port may tell so many seconds' events at once...
  static constexpr unsigned vring_at_once = 4;    ///< ...and so many more for each of its vrings.

  /// `per_second`: of a port, 1 to per_second_max.
  explicit EventQueue(unsigned per_second = per_second_default);
  ~EventQueue();
  EventQueue(const EventQueue&) = delete;
  EventQueue& operator=(const EventQueue&) = delete;

  /// Before the port's first event: large ports have more to tell at once. Without it a port is a small one.
  void add_port(const std::string& port, unsigned vrings);
  /// The port is gone: what is kept back is told in turn, and its rate is forgotten.
  void remove_port(const std::string& port);
  /// Any thread.
  void push(const std::string& port, const PortEvent& event);
  /// Makes fd() readable, though nothing waits here: the main thread has something else to look at. Any thread.
  void wake() noexcept;
  /// What there is room for, oldest first within a port; or all that there is.
  enum class Take { in_turn, all };
  std::vector<TimedEvent> take(Take which = Take::in_turn);
  /// All stays, and makes fd() readable no more: there is nowhere to tell it.
  void hush() noexcept;
  /// Something is kept back: take() will have it later, and nothing wakes for that.
  bool holds_back() const;
  /// Events that nobody is told of, because a later one of their kind and vring came before there was room.
  std::uint64_t lost() const;

  /// Readable while something waits; -1 where the kernel gave none.
  int fd() const noexcept { return fd_; }
  double seconds() const noexcept;

 private:
  static constexpr std::size_t waiting_max = 65536;

  /// Whose place a later event takes.
  struct Key {
    std::size_t kind = 0;
    std::uint16_t vring = 0;
    auto operator<=>(const Key&) const = default;
  };
  struct Held {
    std::uint64_t order = 0;
    TimedEvent event;
  };
  struct PortEvents {
    double at_once = 0;
    double room = 0;
    double filled_at = 0;
    std::uint64_t left_out = 0;
    std::map<Key, Held> held;
  };

  static Key key_of(const PortEvent& event);
  PortEvents& events_of(const std::string& port, unsigned vrings = 0);
  bool take_room(PortEvents& port, double now) const;
  static TimedEvent take_oldest(PortEvents& port);
  void hold(PortEvents& port, TimedEvent event);

  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  const unsigned per_second_;
  const int fd_;
  mutable std::mutex mutex_;
  std::vector<TimedEvent> waiting_;
  std::map<std::string, PortEvents> ports_;
  std::size_t held_ = 0;
  std::uint64_t order_ = 0;
  std::uint64_t lost_ = 0;
};

}  // namespace vhostx::tools
