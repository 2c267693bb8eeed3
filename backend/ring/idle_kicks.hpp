// SPDX-License-Identifier: BSD-3-Clause
// IdleKicks: finds a driver that kicks a ring in which nothing is available. Drivers publish before they kick, so such
// a driver writes to other memory than the back-end reads: the front-end has not shared it.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include <asio/any_io_executor.hpp>

#include "backend/loop/fd_watch.hpp"
#include "backend/loop/one_shot_timer.hpp"
#include "base/event_fd.hpp"
#include "base/unique_fd.hpp"

namespace vhostx::backend {

/// Of a ring that starts empty. Control thread; a peer that kicks all the time wakes it a few times.
class IdleKicks {
 public:
  /// QEMU kicks a ring itself when it starts it, once or twice.
  static constexpr std::chrono::milliseconds kicks_of_front_end{100};
  /// From such a kick to the last look.
  static constexpr std::chrono::milliseconds last_look{1000};

  struct Handlers {
    std::function<bool()> is_empty;  ///< Whether the driver has still put nothing into the ring.
    std::function<void()> report;    ///< It was kicked, and is empty after `last_look` too. Once.
  };
  /// Null: out of descriptors or memory; nothing is found then.
  static std::unique_ptr<IdleKicks> watch(asio::any_io_executor executor, std::shared_ptr<const EventFd> kick,
                                          Handlers handlers) noexcept;
  /// Internal. watch() makes one.
  IdleKicks(asio::any_io_executor executor, UniqueFd epoll, std::shared_ptr<const EventFd> kick, Handlers handlers);
  IdleKicks(const IdleKicks&) = delete;
  IdleKicks& operator=(const IdleKicks&) = delete;

 private:
  void on_kick();
  void look_in(std::chrono::milliseconds pause);
  void end() noexcept;

  const std::shared_ptr<const EventFd> kick_;
  const Handlers handlers_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  unsigned early_ = 0;
  UniqueFd epoll_;  // edge-triggered: nobody reads a kick eventfd, so that it stays readable
  OneShotTimer timer_;
  std::unique_ptr<FdWatch> watch_;  // of epoll_, and after it
};

}  // namespace vhostx::backend
