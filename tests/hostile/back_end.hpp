// SPDX-License-Identifier: BSD-3-Clause
// BackEnd: a vhostx-switch process, and what it says: events and statistics on standard output, the log on standard
// error.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <sys/types.h>

#include "base/unique_fd.hpp"

namespace vhostx::hostile {

/// A waiting that is longer than anything that works takes, on a machine however busy.
inline constexpr std::chrono::seconds patience{20};

/// The sockets of the back-end. What one port of a pair sends arrives at the other.
enum class Socket : std::size_t { attacked, honest, lending, lending_honest, victim, victim_peer };
inline constexpr std::size_t socket_count = 6;

struct BackEndEvent {
  std::string name;    ///< "disconnected", "vring_broken", ...
  std::string port;    ///< Its socket.
  std::string reason;  ///< Of disconnected.
  std::string cause;   ///< Of vring_broken.
  int vring = -1;
  std::string line;  ///< As it was printed.
};

struct Statistics {
  std::uint64_t mbufs_in_use = 0;
  std::uint64_t events_lost = 0;
  /// By socket, then by counter: both directions and the switch's own drops together.
  std::map<std::string, std::map<std::string, std::uint64_t>> counters;
};

class BackEnd {
 public:
  /// Starts it and waits until it listens. Throws std::runtime_error.
  explicit BackEnd(const std::string& program);
  ~BackEnd();
  BackEnd(const BackEnd&) = delete;
  BackEnd& operator=(const BackEnd&) = delete;

  pid_t pid() const noexcept { return pid_; }
  const std::string& path(Socket socket) const noexcept { return paths_[static_cast<std::size_t>(socket)]; }
  bool lives();
  /// Ends it as Ctrl-C does. What was wrong with that; empty: nothing.
  std::string end();

  // ---- what it said
  using EventTest = std::function<bool(const BackEndEvent&)>;
  std::size_t events_until_now() const;
  /// The first event from `since` on that passes; waits for it while the process lives.
  std::optional<BackEndEvent> wait_event(std::size_t since, const EventTest& test,
                                         std::chrono::milliseconds timeout = patience) const;
  /// Statistics that were taken after this call began and pass; else the last ones that came within the timeout.
  Statistics wait_statistics(const std::function<bool(const Statistics&)>& test,
                             std::chrono::milliseconds timeout = patience) const;
  std::size_t log_bytes() const;
  std::string log_since(std::size_t position) const;
  /// The log has the text behind this position; waits for it.
  bool wait_log(std::size_t position, const std::string& text) const;

 private:
  void launch(const std::string& program);
  void clean_up();
  void listen(int output, int errors);
  void take_line(const std::string& line);
  bool wait(std::unique_lock<std::mutex>& lock, std::chrono::milliseconds timeout,
            const std::function<bool()>& condition) const;

  std::string folder_;
  std::array<std::string, socket_count> paths_;
  pid_t pid_ = -1;
  int status_ = 0;
  bool reaped_ = false;
  std::thread listener_;

  mutable std::mutex mutex_;
  mutable std::condition_variable said_;
  std::vector<BackEndEvent> events_;
  Statistics statistics_;
  std::size_t statistics_read_ = 0;
  std::string log_;
  bool silent_ = false;  ///< It has closed its output.
};

}  // namespace vhostx::hostile
