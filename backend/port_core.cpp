// SPDX-License-Identifier: BSD-3-Clause
#include "backend/port_core.hpp"

#include <algorithm>
#include <exception>
#include <fstream>
#include <utility>

#include <fmt/format.h>
#include <sys/socket.h>

#include "backend/connection/features.hpp"
#include "backend/memory_placement.hpp"
#include "backend/port_options.hpp"
#include "base/error.hpp"
#include "base/peer_process.hpp"
#include "numa/kernel.hpp"

namespace vhostx::backend {

namespace {

/// Its number and its name. Threads of this process alone: no file of a peer's is read.
std::string describe_thread(std::uint32_t number) {
  std::string name;
  std::getline(std::ifstream(fmt::format("/proc/self/task/{}/comm", number)), name);
  return fmt::format("thread {} ({})", number, name.empty() ? "ended since" : name);
}

}  // namespace

Result<std::shared_ptr<PortCore>> PortCore::create(std::shared_ptr<ControlLoop> loop, PortOptions options,
                                                   EventHandler on_event) {
  if (auto named = name_listening_socket(options); !named) return std::move(named).error();
  if (auto good = check_options(options); !good) return std::move(good).error();
  auto attention = EventFd::create();
  if (!attention) return std::move(attention).error();
  auto core = std::make_shared<PortCore>(std::move(loop), std::move(options), std::move(on_event),
                                         std::make_shared<const EventFd>(std::move(attention).value()));
  if (auto made = core->make_vrings(); !made) return std::move(made).error();
  return core;
}

PortCore::PortCore(std::shared_ptr<ControlLoop> loop, PortOptions options, EventHandler on_event,
                   std::shared_ptr<const EventFd> attention)
    : loop_(std::move(loop)),
      options_(std::move(options)),
      memory_bytes_max_(backend::memory_bytes_max(options_)),
      touch_budget_(memory::make_touch_budget()),
      log_(loop_->log().for_peer(options_.socket_path)),
      handler_(std::move(on_event)),
      attention_(std::move(attention)),
      signals_(std::make_shared<SlowSignals>(attention_)),
      releases_(std::make_shared<Releases>(loop_->release_pool())),
      loan_timer_(loop_->executor()),
      placement_watch_(loop_->executor(), options_, numa::kernel().has_several_nodes(),
                       [this] { look_at_placement(VringPlacer::Effort::usual); }) {}

PortCore::~PortCore() = default;

Result<void> PortCore::make_vrings() {
  const std::uint16_t count = static_cast<std::uint16_t>(2 * options_.queue_pairs_max);
  vrings_.reserve(count);
  // A turn in which each ring stops, recalls its loans and is not ready any more.
  events_.reserve(8 + 3 * std::size_t{count});
  for (std::uint16_t i = 0; i < count; ++i) {
    auto vring = VringCore::create(i, options_, *attention_, log_);
    if (!vring) return std::move(vring).error();
    vrings_.push_back(std::move(vring).value());
  }
  notice_ = NoticeBoard::create(options_.socket_path, count);
  if (notice_ == nullptr) log_.debug("no memfd: `vhostx-probe rings` cannot look into this port");
  publish_info();
  return {};
}

Result<void> PortCore::open() {
  watch_attention();
  if (options_.role == Role::client) {
    connector_ = std::make_unique<Connector>(
        executor(), options_, releases_,
        Connector::Handlers{[this](UniqueFd socket) { take_socket(std::move(socket)); },
                            [this](Error error) { report_no_connection(std::move(error)); }});
  } else {
    auto listener = listen();
    if (!listener) return std::move(listener).error();
    listener_ = std::move(listener).value();
    log_.info("listening");
  }
  loop_->add(shared_from_this());
  return {};
}

Result<std::unique_ptr<Listener>> PortCore::listen() {
  Listener::Parts parts{executor(), log_, releases_, pending_max(),
                        [this](UniqueFd socket) { take_socket(std::move(socket)); }};
  if (options_.listen_fd >= 0) return Listener::adopt(options_.listen_fd, options_.socket_path, std::move(parts));
  return Listener::open(options_.socket_path, {options_.socket_mode, options_.socket_group}, std::move(parts));
}

// From an event handler the caller's frames below deliver what is emitted; but those of another port do not: its own
// attention does then.
bool PortCore::disconnect() noexcept {
  if (session_ == nullptr || farewell_ || closed_) return false;
  end_session(make_error(ErrorCode::closed, "the application ended the connection"));
  if (loop_->delivering()) attention_->signal();
  return true;
}

void PortCore::close(Farewell farewell) {
  if (closed_) return;
  const auto self = shared_from_this();
  listener_.reset();
  connector_.reset();
  attention_watch_.reset();
  loan_timer_.cancel();
  placement_watch_.stop();
  if (farewell == Farewell::silent) {
    closed_ = true;  // nothing is delivered any more, not even by a delivery that is on the stack
    drop_session();
    events_.clear();
    publish_info();
    for (const auto& vring : vrings_) vring->wake_waiter();
  } else if (session_ != nullptr) {
    end_session(make_error(ErrorCode::closed, "the port was closed"));
    finish_session();
  }
  closed_ = true;
  notice_.reset();
  signals_->close();
  loop_->remove(*this);
  if (is_in_use()) loop_->keep(self);
}

void PortCore::drain() noexcept {
  for (const auto& vring : vrings_) vring->drain();
  if (is_in_use()) loop_->keep(shared_from_this());
}

bool PortCore::is_in_use() noexcept {
  return std::any_of(vrings_.begin(), vrings_.end(), [](const auto& vring) { return vring->is_stuck(); });
}

void PortCore::watch_attention() {
  attention_watch_ = std::make_unique<FdWatch>(executor(), attention_->get(), [this] {
    attention_->drain();  // before attend() looks: what comes later is signalled again
    attention_watch_->arm();
    attend();
  });
  attention_watch_->arm();
}

void PortCore::serve_signals() {
  if (const auto served = signals_->serve(); !served) log_.warning("{}", served.error().message);
  if (const std::uint64_t us = signals_->take_report(); us != 0)
    log_.warning(
        "a signal to an eventfd of the front-end took {} us of processor time, expected less than 200: too many wait "
        "for "
        "it; a thread of its own makes the signals now, with pauses",
        us);
}

void PortCore::report_misuse() {
  for (const auto& vring : vrings_)
    if (const auto misuse = vring->take_misuse())
      log_.error(
          "vring {}: {} called it while {} was in a call of the same vring, expected one thread at a time. "
          "The call did nothing. More of this vring is not reported",
          vring->index(), describe_thread(misuse->refused), describe_thread(misuse->inside));
}

void PortCore::report_bad_pools() {
  for (const auto& vring : vrings_)
    if (const auto fault = vring->take_pool_fault())
      log_.error("vring {}: {}. Its bursts do nothing, counter stall_bad_pool. More of this vring is not reported",
                 vring->index(), describe(*fault));
}

void PortCore::missed_vring(std::uint32_t index) noexcept {
  std::uint64_t none = 0;
  if (missed_vring_.compare_exchange_strong(none, std::uint64_t{index} + 1, std::memory_order_relaxed))
    attention_->signal();
}

void PortCore::report_missed_vring() {
  const std::uint64_t missed = missed_vring_.load(std::memory_order_relaxed);
  if (missed == 0 || std::exchange(missed_vring_reported_, true)) return;
  log_.warning("vring {} was asked for, expected 0 to {}: queue_pairs_max is {}. More of this port is not reported",
               missed - 1, vring_count() - 1, options_.queue_pairs_max);
}

void PortCore::attend() {
  serve_signals();
  report_missed_vring();
  try {
    report_bad_pools();
    if constexpr (checks_threads) report_misuse();
  } catch (const std::exception& error) {  // the rings are served all the same
    log_.error("a report is lost: {}", error.what());
  }
  if (session_ == nullptr) return deliver();  // what disconnect() left
  if (auto lost = session_->device().memory_lost()) return end_session(std::move(*lost));
  run_turn([this] { session_->device().serve_attention(); });
}

void PortCore::take_socket(UniqueFd socket) noexcept {
  const auto self = shared_from_this();
  if (!make_room()) {
    ::shutdown(socket.get(), SHUT_RDWR);  // the peer is to know at once
    return;
  }
  front_end_pid_ = peer_pid(socket.get());
  try {
    session_ = std::make_unique<Session>(*this, std::move(socket));
  } catch (const std::exception& error) {
    log_.error("connection dropped: {}", error.what());
    if (connector_ != nullptr) connector_->lost();
    return;
  }
  ++connections_;
  keep_error({});
  log_.info("front-end connected");
  publish_info();
  emit(FrontEndConnected{}, {});
  deliver();
}

void PortCore::report_no_connection(Error error) noexcept {
  log_.info("{}; trying again", error.message);
  keep_error(error.message);
  emit(ConnectFailed{std::move(error)}, {});
  deliver();
}

// A front-end that was killed and comes back may be here before the end of its old connection has been read.
bool PortCore::make_room() {
  if (farewell_) finish_session();  // it waits for loans only
  if (closed_) return false;
  if (!may_bring_more()) {
    if (connector_ != nullptr) connector_->lost();
    return false;
  }
  if (session_ == nullptr) return true;
  if (!session_->peer_is_gone()) {
    log_.warning("a second front-end was turned away: one at a time");
    return false;
  }
  end_session(make_error(ErrorCode::closed, "the front-end is gone, and another one is here"));
  if (farewell_) finish_session();
  return !closed_;
}

// A front-end whose descriptors nobody can close leaves them here; the next ones must not add to them without end.
bool PortCore::may_bring_more() {
  constexpr std::uint32_t standing_max = 16;
  const bool releasing = loop_->release_pool()->prepare();
  if (!releases_->stands_still() || releases_->pending() < standing_max) return true;
  if (releasing)
    log_.warning(
        "a front-end was turned away: {} descriptors and mappings of earlier ones wait to be released, {} of them in "
        "close() or munmap() for more than {} ms",
        releases_->pending(), releases_->held_up(), ReleasePool::held_up_after.count());
  else
    log_.warning(
        "a front-end was turned away: {} descriptors and mappings of earlier ones wait to be released, and no thread "
        "can be started",
        releases_->pending());
  return false;
}

// A session's own descriptors, and those of one before it: the socket, that for back-end requests, and three a vring.
std::uint32_t PortCore::pending_max() const noexcept {
  return 64 + 4 * static_cast<std::uint32_t>(2 * options_.queue_pairs_max);
}

void PortCore::end_session(Error reason) noexcept {
  if (session_ == nullptr || farewell_) return;
  const auto self = shared_from_this();
  if (reason.code == ErrorCode::closed)
    log_.info("front-end disconnected: {}", reason.message);
  else
    log_.warning("front-end disconnected: {}", reason.message);
  farewell_ = std::move(reason);
  session_->device().stop_rings();
  if (session_->lingers()) {
    publish_info();
    return deliver();
  }
  finish_session();
}

void PortCore::finish_session() noexcept {
  if (session_ == nullptr || !farewell_) return;
  const auto self = shared_from_this();
  Error reason = *std::exchange(farewell_, std::nullopt);
  keep_error(reason.message);
  drop_session();
  publish_info();
  if (connector_ != nullptr) connector_->lost();
  emit(FrontEndDisconnected{std::move(reason)}, {});
  deliver();
}

void PortCore::drop_session() noexcept {
  if (session_ == nullptr) return;
  session_->device().stop_rings();
  session_->device().give_up_loans();
  publish_memory({});
  session_.reset();
  farewell_.reset();
  placement_watch_.stop();
  look_after_loans();
}

// What mbufs keep alive beyond its time (memory that the guest has no more, rings that have stopped) is looked at until
// it is gone.
void PortCore::look_after_loans() {
  if (!options_.zero_copy || closed_) return;
  bool left = false;
  for (const auto& vring : vrings_) left |= vring->loans().look_after();
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
    log_.warning("the nodes of guest memory could not be looked up: {}", error.what());
  }
  deliver();
}

std::vector<RegionPlacement> PortCore::memory_placement() const {
  std::shared_ptr<const memory::GuestMemory> memory;
  {
    const std::lock_guard guard(info_lock_);
    memory = published_memory_;
  }
  return memory == nullptr ? std::vector<RegionPlacement>() : placement_of(*memory);
}

/// A table that nobody else holds is unmapped here, and not under the lock.
void PortCore::publish_memory(std::shared_ptr<const memory::GuestMemory> memory) noexcept {
  const std::lock_guard guard(info_lock_);
  published_memory_.swap(memory);
}

void PortCore::emit(PortEvent event, std::shared_ptr<const void> keep) noexcept {
  if (closed_ || !handler_) return;
  try {
    events_.push_back({std::move(event), std::move(keep)});
  } catch (const std::bad_alloc&) {
    log_.error("out of memory: an event is lost, {} wait", events_.size() - delivered_);
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
  const ControlLoop::Delivery delivery(*loop_);
  try {
    handler_(*handle_, event);
  } catch (const std::exception& error) {
    log_.error("the handler of event {} threw: {}", event_name(event), error.what());
  } catch (...) {
    log_.error("the handler of event {} threw", event_name(event));
  }
}

void PortCore::publish_notice() noexcept {
  if (notice_ == nullptr) return;
  notice_->update([this](PortNotice& notice, std::span<VringNotice> vrings) {
    const bool connected = session_ != nullptr && !farewell_;
    notice.connected = connected ? 1 : 0;
    notice.front_end_pid = connected ? front_end_pid_ : 0;
    notice.features = 0;
    if (session_ != nullptr) return session_->device().describe_to(notice, vrings);
    std::fill(vrings.begin(), vrings.end(), VringNotice{});
  });
}

}  // namespace vhostx::backend
