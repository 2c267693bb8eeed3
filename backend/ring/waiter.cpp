// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>
#include <limits>
#include <new>

#include <sys/epoll.h>

#include <vhostx/waiter.hpp>

#include "backend/ring/vring_core.hpp"
#include "backend/ring/waiter_state.hpp"
#include "base/error.hpp"

namespace vhostx {

Result<std::shared_ptr<Waiter::State>> Waiter::State::create() {
  auto state = std::make_shared<State>();
  state->epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!state->epoll_) return make_system_error(errno, "epoll_create1");
  auto wake_fd = EventFd::create();
  if (!wake_fd) return std::move(wake_fd).error();
  state->wake_ = std::move(wake_fd).value();
  if (auto added = state->add(state->wake_.get()); !added) return std::move(added).error();
  return state;
}

// Edge-triggered: each write to an eventfd is an edge, even if the one before was not read.
Result<void> Waiter::State::add(int fd) noexcept { return control(fd, EPOLLIN | EPOLLET); }

Result<void> Waiter::State::add_level(int fd) noexcept { return control(fd, EPOLLIN); }

Result<void> Waiter::State::control(int fd, unsigned events) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return {};
  if (errno == EEXIST && ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0) return {};
  return make_system_error(errno, "epoll_ctl: descriptor {} cannot be watched", fd);
}

void Waiter::State::remove(int fd) noexcept { ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

void Waiter::State::wake() noexcept { wake_.signal(); }

bool Waiter::State::wait(std::chrono::milliseconds timeout) noexcept {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds longest{std::numeric_limits<int>::max()};
  timeout = std::clamp(timeout, std::chrono::milliseconds::zero(), longest);
  const auto deadline = Clock::now() + timeout;
  for (;;) {
    std::array<epoll_event, 64> events;
    const int count =
        ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), static_cast<int>(timeout.count()));
    if (count > 0) return true;
    if (count == 0 || errno != EINTR) return false;
    timeout = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    if (timeout <= std::chrono::milliseconds::zero()) return false;
  }
}

Waiter::Waiter(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}

// Vrings that still hold the state release it when they stop or get another Waiter.
Waiter::~Waiter() = default;

Result<std::unique_ptr<Waiter>> Waiter::create() noexcept {
  try {
    auto state = State::create();
    if (!state) return std::move(state).error();
    return std::unique_ptr<Waiter>(new Waiter(std::move(state).value()));
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::out_of_memory, {}, 0};
  }
}

Result<void> Waiter::watch(Vring& vring) noexcept { return backend::VringCore::of(vring).watch(state_); }

void Waiter::unwatch(Vring& vring) noexcept { backend::VringCore::of(vring).unwatch(*state_); }

Result<void> Waiter::watch_fd(int fd) noexcept { return state_->add_level(fd); }

void Waiter::unwatch_fd(int fd) noexcept { state_->remove(fd); }

bool Waiter::wait(std::chrono::milliseconds timeout) noexcept { return state_->wait(timeout); }

void Waiter::wake() noexcept { state_->wake(); }

int Waiter::fd() const noexcept { return state_->fd(); }

}  // namespace vhostx
