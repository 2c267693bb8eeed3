// SPDX-License-Identifier: BSD-3-Clause
#include "backend/connection/state_keeping.hpp"

#include <exception>
#include <utility>

#include "backend/connection/application_state.hpp"
#include "base/error.hpp"

namespace vhostx::backend {
namespace {

using continuity::StateFile;

template <typename Action>
Result<void> without_exceptions(Action action) noexcept {
  try {
    return action();
  } catch (const std::exception& error) {
    return make_error(ErrorCode::out_of_memory, "{}", error.what());
  }
}

}  // namespace

StateKeeping::StateKeeping(asio::any_io_executor executor, Parts parts, KeeperLink& link)
    : parts_(std::move(parts)), link_(link), timer_(std::move(executor)) {}

void StateKeeping::begin() noexcept {
  auto made = StateFile::create(record_bytes_max());
  if (made) {
    link_.hold_file(KeeperLink::state_slot, made->fd());
    file_.emplace(std::move(made).value());
  }
  start_timer();  // where there is no file, it is tried again then
}

void StateKeeping::load() noexcept {
  if (auto loaded = without_exceptions([this] { return try_load(); }); !loaded)
    parts_.log.warning("{} goes on without the application's state that was kept: {}", parts_.who,
                       loaded.error().message);
}

Result<void> StateKeeping::try_load() {
  const int file = link_.file(KeeperLink::state_slot);
  if (file < 0) return {};
  const auto bytes = StateFile::read(file, record_bytes_max());
  if (!bytes) return bytes.error();
  if (bytes->empty()) return {};
  const auto record = StateRecord::parse(*bytes);
  if (!record) return record.error();
  return load_application(parts_.state.load, parts_.state.bytes_max, *record);
}

void StateKeeping::start_timer() noexcept {
  is_served_ = true;
  if (parts_.state.interval.count() == 0) return;
  const auto started = without_exceptions([this]() -> Result<void> {
    timer_.start(parts_.state.interval, [this] {
      save();
      start_timer();
    });
    return {};
  });
  if (!started)
    parts_.log.warning("the application's state is not kept while it is served: {}", started.error().message);
}

void StateKeeping::leave() noexcept {
  if (is_served_) save();
  end();
}

void StateKeeping::end() noexcept {
  timer_.cancel();
  is_served_ = failed_ = false;
  file_.reset();
  kept_.reset();
}

void StateKeeping::save() noexcept {
  const auto saved = without_exceptions([this] { return try_save(); });
  if (!saved && !failed_) parts_.log.warning("the application's state could not be kept: {}", saved.error().message);
  failed_ = !saved;
}

// What was kept before stays if anything fails. A new file goes to the keeper when the bytes are in it.
Result<void> StateKeeping::try_save() {
  auto saved = save_application(parts_.state.save, parts_.state.bytes_max);
  if (!saved) return saved.error();
  if (kept_ && *saved == *kept_) return {};
  StateRecord record;
  record.application = *saved;
  const Bytes bytes = record.serialize();
  if (!file_) {
    auto made = StateFile::create(record_bytes_max());
    if (!made) return made.error();
    if (auto written = made->write(bytes); !written) return written;
    link_.hold_file(KeeperLink::state_slot, made->fd());
    file_.emplace(std::move(made).value());
  } else if (auto written = file_->write(bytes); !written) {
    return written;
  }
  kept_ = std::move(saved).value();
  return {};
}

}  // namespace vhostx::backend
