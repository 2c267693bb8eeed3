// SPDX-License-Identifier: BSD-3-Clause
#include "backend/ring/idle_kicks.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include <sys/epoll.h>

namespace vhostx::backend {
namespace {

// Takes the edge that there is: the next kick is another one.
void take_edge(int epoll) noexcept {
  epoll_event event;
  ::epoll_wait(epoll, &event, 1, 0);
}

UniqueFd watch_edges(int fd) noexcept {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  if (!epoll || ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0) return {};
  take_edge(epoll.get());  // the kick that started the ring
  return epoll;
}

}  // namespace

std::unique_ptr<IdleKicks> IdleKicks::watch(asio::any_io_executor executor, std::shared_ptr<const EventFd> kick,
                                            Handlers handlers) noexcept {
  UniqueFd epoll = watch_edges(kick->get());
  if (!epoll) return nullptr;
  try {
    return std::make_unique<IdleKicks>(std::move(executor), std::move(epoll), std::move(kick), std::move(handlers));
  } catch (const std::exception&) {
    return nullptr;
  }
}

IdleKicks::IdleKicks(asio::any_io_executor executor, UniqueFd epoll, std::shared_ptr<const EventFd> kick,
                     Handlers handlers)
    : kick_(std::move(kick)),
      handlers_(std::move(handlers)),
      epoll_(std::move(epoll)),
      timer_(executor),
      watch_(std::make_unique<FdWatch>(executor, epoll_.get(), [this] { on_kick(); })) {
  watch_->arm();
  look_in(kicks_of_front_end);
}

// Most rings are in use soon, without a kick where bursts poll: then nothing is watched any more.
void IdleKicks::look_in(std::chrono::milliseconds pause) {
  const auto next = std::min<std::chrono::milliseconds>(2 * pause, std::chrono::minutes(1));
  timer_.start(pause, [this, next] { handlers_.is_empty() ? look_in(next) : end(); });
}

void IdleKicks::on_kick() {
  constexpr unsigned early_max = 16;
  take_edge(epoll_.get());
  if (!handlers_.is_empty()) return end();
  if (std::chrono::steady_clock::now() - began_ < kicks_of_front_end)
    return ++early_ < early_max ? watch_->arm() : end();
  end();
  timer_.start(last_look, [this] {
    if (handlers_.is_empty()) handlers_.report();
  });
}

void IdleKicks::end() noexcept {
  timer_.cancel();
  watch_.reset();
  epoll_.reset();
}

}  // namespace vhostx::backend
