// SPDX-License-Identifier: BSD-3-Clause
#include "backend/loop/fd_watch.hpp"

#include <utility>

#include <asio/posix/stream_descriptor.hpp>

#include "protocol/handler_memory.hpp"

namespace vhostx::backend {

struct FdWatch::State {
  State(asio::any_io_executor executor, int fd, std::function<void()> callback)
      : descriptor(std::move(executor), fd), on_readable(std::move(callback)) {}

  asio::posix::stream_descriptor descriptor;
  std::function<void()> on_readable;
  bool ended = false;
  protocol::HandlerMemory<1> memory;
};

FdWatch::FdWatch(asio::any_io_executor executor, int fd, std::function<void()> on_readable)
    : state_(std::make_shared<State>(std::move(executor), fd, std::move(on_readable))) {}

FdWatch::~FdWatch() {
  state_->ended = true;
  state_->descriptor.release();  // cancels the wait, takes the descriptor out of asio's epoll set, does not close it
}

void FdWatch::arm() {
  // The handler holds the state: cancelled, it may still run after the watch is gone.
  auto on_readable = [state = state_](const asio::error_code& error) {
    if (!state->ended && !error) state->on_readable();
  };
  state_->descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                protocol::kept_in(state_->memory, std::move(on_readable)));
}

}  // namespace vhostx::backend
