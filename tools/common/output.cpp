// SPDX-License-Identifier: BSD-3-Clause
#include "tools/common/output.hpp"

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <unistd.h>
#include <utility>

namespace vhostx::tools {

struct Output::State {
  explicit State(int where, std::function<void()> notice) : fd(where), on_change(std::move(notice)) {}

  const int fd;
  mutable std::mutex lock;
  std::condition_variable changed;
  std::function<void()> on_change;  // called with the lock held, so that ~Output() can end that
  std::string waiting;              // the thread takes all of it at once
  std::size_t unwritten = 0;        // with what the thread has taken
  bool lost = false;
  bool ending = false;
};

namespace {

bool write_all(int fd, const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const auto written = ::write(fd, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    done += static_cast<std::size_t>(written);
  }
  return true;
}

}  // namespace

Output::Output(int fd, std::function<void()> on_change) : state_(std::make_shared<State>(fd, std::move(on_change))) {}

Output::~Output() {
  const std::lock_guard guard(state_->lock);
  state_->ending = true;
  state_->on_change = nullptr;
  state_->waiting.clear();
  state_->changed.notify_all();
}

void Output::write(std::string text) {
  {
    const std::lock_guard guard(state_->lock);
    if (state_->lost) return;
    state_->unwritten += text.size();
    state_->waiting += text;
  }
  state_->changed.notify_all();
  if (!std::exchange(started_, true)) std::thread(run, state_).detach();
}

bool Output::has_room() const {
  const std::lock_guard guard(state_->lock);
  return state_->unwritten < bytes_waiting_max;
}

bool Output::lost() const {
  const std::lock_guard guard(state_->lock);
  return state_->lost;
}

std::size_t Output::drain(std::chrono::milliseconds timeout) {
  std::unique_lock guard(state_->lock);
  state_->changed.wait_for(guard, timeout, [this] { return state_->unwritten == 0 || state_->lost; });
  return state_->lost ? 0 : state_->unwritten;
}

void Output::run(const std::shared_ptr<State>& state) {
  std::unique_lock guard(state->lock);
  for (;;) {
    state->changed.wait(guard, [&] { return state->ending || !state->waiting.empty(); });
    if (state->ending) return;
    const auto text = std::exchange(state->waiting, {});
    guard.unlock();
    const bool written = write_all(state->fd, text);
    guard.lock();
    const bool was_full = state->unwritten >= bytes_waiting_max;
    state->unwritten -= text.size();
    state->lost = !written;
    if (state->on_change && (state->lost || (was_full && state->unwritten < bytes_waiting_max))) state->on_change();
    state->changed.notify_all();
    if (state->lost) return;
  }
}

}  // namespace vhostx::tools
