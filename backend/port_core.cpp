// SPDX-License-Identifier: BSD-3-Clause
#include "backend/port_core.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "backend/port_options.hpp"
#include "base/error.hpp"
#include "numa/kernel.hpp"

namespace vhostx::backend {

Result<std::shared_ptr<PortCore>> PortCore::create(std::shared_ptr<ControlLoop> loop, PortOptions options,
                                                   EventHandler on_event) {
  if (auto named = name_listening_socket(options); !named) return std::move(named).error();
  if (auto good = check_options(options); !good) return std::move(good).error();
  auto attention = EventFd::create();
  if (!attention) return std::move(attention).error();
  auto core = std::make_shared<PortCore>(std::move(loop), options, std::move(on_event),
                                         std::make_shared<const EventFd>(std::move(attention).value()));
  if (auto made = core->make_vrings(); !made) return std::move(made).error();
  return core;
}

PortCore::PortCore(std::shared_ptr<ControlLoop> loop, const PortOptions& options, EventHandler on_event,
                   const std::shared_ptr<const EventFd>& attention)
    : loop_(std::move(loop)),
      parts_{.options = options,
             .log = loop_->log().for_peer(options.socket_path),
             .memory_bytes_max = memory_bytes_max(options),
             .touch_budget = memory::make_touch_budget(),
             .attention = attention,
             .signals = std::make_shared<SlowSignals>(attention),
             .releases = std::make_shared<Releases>(loop_->release_pool()),
             .vrings = {}},
      handler_(std::move(on_event)),
      keeper_watch_(loop_->executor(), [this] { attend_keeper(); }),
      ahead_timer_(loop_->executor()),
      late_timer_(loop_->executor()),
      loan_timer_(loop_->executor()),
      placement_watch_(loop_->executor(), parts_.options, numa::kernel().has_several_nodes(),
                       [this] { look_at_placement(VringPlacer::Effort::usual); }) {}

Result<void> PortCore::make_vrings() {
  const std::uint16_t count = static_cast<std::uint16_t>(2 * parts_.options.queue_pairs_max);
  parts_.vrings.reserve(count);
  // A turn in which each ring stops, recalls its loans and is not ready any more.
  events_.reserve(8 + 3 * std::size_t{count});
  for (std::uint16_t i = 0; i < count; ++i) {
    auto vring = VringCore::create(i, parts_.options, *parts_.attention, parts_.log);
    if (!vring) return std::move(vring).error();
    parts_.vrings.push_back(std::move(vring).value());
  }
  notice_ = NoticeBoard::create(parts_.options.socket_path, count);
  if (notice_ == nullptr) parts_.log.debug("no memfd: `vhostx-probe rings` cannot look into this port");
  publish_info();
  return {};
}

Result<void> PortCore::open() {
  if (auto kept = open_keeping(); !kept) return kept;
  watch_attention();
  if (keeping_ == nullptr || keeping_->owns()) {
    if (auto served = serve(); !served) return served;
  } else {
    publish_info();
    emit(OwnershipChanged{PortOwnership::standing_by, 0}, {});
    deliver();
  }
  loop_->add(shared_from_this());
  return {};
}

void PortCore::close(Farewell farewell) {
  if (closed_) return;
  const auto self = shared_from_this();
  if (farewell == Farewell::silent)
    closed_ = true;  // nothing is delivered, not even by a delivery that is on the stack
  finish_taking_over();
  keeper_watch_.end();
  if (listener_ != nullptr && leaves_session()) listener_->leave();
  listener_.reset();
  connector_.reset();
  attention_watch_.reset();
  loan_timer_.cancel();
  placement_watch_.stop();
  ahead_timer_.cancel();
  prepared_.reset();
  if (leaves_session()) {
    leave_session("the port was closed, and its keeper holds the connection");
    keeping_->park(loop_->keeper_grace());
    publish_info();
    deliver();
  }
  if (farewell == Farewell::silent) {
    drop_session();
    events_.clear();
    publish_info();
    for (const auto& vring : parts_.vrings) vring->wake_waiter();
  } else if (session_ != nullptr) {
    end_session(make_error(ErrorCode::closed, "the port was closed"));
    finish_session();
  }
  closed_ = true;
  if (keeping_ != nullptr && keeping_->owns()) keeping_->park({});
  left_ = {};
  keeping_.reset();  // who waits for the port waits no more, and is not given it
  notice_.reset();
  parts_.signals->close();
  loop_->remove(*this);
  if (is_in_use()) loop_->keep(self);
}

void PortCore::drain() noexcept {
  for (const auto& vring : parts_.vrings) vring->drain();
  if (is_in_use()) loop_->keep(shared_from_this());
}

bool PortCore::is_in_use() noexcept {
  return std::any_of(parts_.vrings.begin(), parts_.vrings.end(), [](const auto& vring) { return vring->is_stuck(); });
}

// What mbufs keep alive beyond its time (memory that the guest has no more, rings that have stopped) is looked at until
// it is gone.
void PortCore::look_after_loans() {
  if (!parts_.options.zero_copy || closed_) return;
  bool left = false;
  for (const auto& vring : parts_.vrings) left |= vring->loans().look_after();
  constexpr std::chrono::milliseconds pause{20};
  if (!left) return;
  loan_timer_.start(pause, [this] {
    look_after_loans();
    if (session_ != nullptr && !farewell_) run_turn([this] { session_->device().lend_again(); });
  });
}

// An mbuf keeps the whole table that it points into, and a front-end may bring new ones as fast as it likes.
std::shared_ptr<const zerocopy::DmaMemory> PortCore::map_for_devices(std::shared_ptr<const memory::GuestMemory> memory,
                                                                     const zerocopy::DmaMemory* before) noexcept {
  constexpr std::size_t alive_max = 3;  // EAL has 128 lists for all ports, a table takes 32 at most
  std::erase_if(mapped_, [](const auto& table) { return table.expired(); });
  if (mapped_.size() >= alive_max) return nullptr;
  try {
    mapped_.reserve(mapped_.size() + 1);
    auto table = zerocopy::DmaMemory::create(std::move(memory), before);
    mapped_.push_back(table);
    return table;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void PortCore::look_at_placement(VringPlacer::Effort effort) {
  if (session_ == nullptr || farewell_) return;
  const auto self = shared_from_this();
  try {
    session_->device().look_at_placement(effort);
  } catch (const std::exception& error) {
    parts_.log.warning("the nodes of guest memory could not be looked up: {}", error.what());
  }
  deliver();
}

/// A table that nobody else holds is unmapped by the caller, and not under the lock.
std::shared_ptr<const memory::GuestMemory> PortCore::swap_memory(
    std::shared_ptr<const memory::GuestMemory> memory) noexcept {
  const std::lock_guard guard(info_lock_);
  published_memory_.swap(memory);
  return memory;
}

void PortCore::emit(PortEvent event, std::shared_ptr<const void> keep) noexcept {
  if (closed_ || !handler_) return;
  try {
    (aside_ == nullptr ? events_ : *aside_).push_back({std::move(event), std::move(keep)});
  } catch (const std::bad_alloc&) {
    parts_.log.error("out of memory: an event is lost, {} wait", events_.size() - delivered_);
  }
}

void PortCore::turn_done() noexcept {
  if (connector_ != nullptr) connector_->peer_is_good();
  deliver();
}

void PortCore::run_turn(const std::function<void()>& change) noexcept {
  const auto self = shared_from_this();
  try {
    change();
  } catch (const std::exception& error) {
    return end_session(make_error(ErrorCode::out_of_memory, "{}", error.what()));
  }
  publish_notice();
  turn_done();
}

// The handler may destroy the Port: this, and the caller's frames below, must then touch nothing of it but `self`.
void PortCore::deliver() noexcept {
  if (loop_->delivering()) return;
  const auto self = shared_from_this();
  while (delivered_ < events_.size() && !closed_) {
    const Queued next = std::move(events_[delivered_++]);  // one that comes meanwhile may move them all
    call_handler(next.event);
  }
  events_.clear();
  delivered_ = 0;
}

void PortCore::call_handler(const PortEvent& event) noexcept {
  ControlLoop& loop = *loop_;  // kept here: the handler may close the port
  loop.set_delivering(true);
  try {
    handler_(*handle_, event);
  } catch (const std::exception& error) {
    parts_.log.error("the handler of event {} threw: {}", event_name(event), error.what());
  } catch (...) {
    parts_.log.error("the handler of event {} threw", event_name(event));
  }
  loop.set_delivering(false);
}

void PortCore::publish_notice() noexcept {
  if (notice_ == nullptr) return;
  notice_->update([this](PortNotice& notice, std::span<VringNotice> vrings) {
    const bool connected = session_ != nullptr && !farewell_;
    notice.connected = connected ? 1 : 0;
    notice.front_end_pid = connected ? front_end_pid_ : 0;
    notice.features = 0;
    notice.log = notice.log_bytes = notice.log_offset = 0;
    if (session_ != nullptr) return session_->device().describe_to(notice, vrings);
    std::fill(vrings.begin(), vrings.end(), VringNotice{});
  });
}

}  // namespace vhostx::backend
