// SPDX-License-Identifier: BSD-3-Clause
#include "backend/port_core.hpp"

#include <algorithm>
#include <exception>
#include <fstream>
#include <utility>

#include <fmt/format.h>
#include <sys/socket.h>

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

// Also with what another process has left.
Result<void> PortCore::serve() {
  if (keeping_ != nullptr) open_counters();
  auto found = keeping_ == nullptr ? std::nullopt : keeping_->take_found();
  if (parts_.options.role == Role::client) {
    const auto on_socket = [this](UniqueFd socket) { take_socket(std::move(socket)); };
    const auto on_failure = [this](Error error) { report_no_connection(std::move(error)); };
    connector_ = std::make_unique<Connector>(executor(), parts_.options, parts_.releases,
                                             Connector::Handlers{on_socket, on_failure},
                                             found ? Connector::Start::by_retry : Connector::Start::now);
  } else if (auto listening = start_listening(); !listening) {
    return listening;
  }
  const bool has_waited = std::exchange(is_waiting_, false);
  if (found) take_over(std::move(*found));
  // Last: whoever forwards between ports begins when the rings of all run.
  if (has_waited && keeping_ != nullptr && keeping_->owns()) {
    emit(OwnershipChanged{PortOwnership::serving, 0}, {});
    deliver();
  }
  return {};
}

Result<void> PortCore::start_listening() {
  if (go_on_listening()) return {};
  auto listener = make_listener();
  if (!listener) return std::move(listener).error();
  listener_ = std::move(listener).value();
  parts_.log.info("listening");
  if (keeping_ == nullptr || parts_.options.listen_fd >= 0) return {};
  auto file = listener_->open_file();
  if (!file) return std::move(file).error();
  keeping_->listens(listener_->socket(), file->get());
  return {};
}

// On the socket of the process before, which is at the keeper already.
bool PortCore::go_on_listening() {
  const auto left = keeping_ == nullptr ? std::nullopt : keeping_->take_listener();
  if (!left) return false;
  if (parts_.options.listen_fd < 0) {
    auto goes_on =
        Listener::go_on(left->socket, left->file, parts_.options.socket_path, socket_access(), listener_parts());
    if (goes_on) {
      listener_ = std::move(goes_on).value();
      parts_.log.info("listening");
      return true;
    }
    parts_.log.info("listens anew: {}", goes_on.error().message);
  }
  ::shutdown(left->socket, SHUT_RDWR);  // others may have it, too
  keeping_->listens_no_more();
  return false;
}

Result<std::unique_ptr<Listener>> PortCore::make_listener() {
  const PortOptions& options = parts_.options;
  return options.listen_fd >= 0 ? Listener::adopt(options.listen_fd, options.socket_path, listener_parts())
                                : Listener::open(options.socket_path, socket_access(), listener_parts());
}

SocketAccess PortCore::socket_access() const noexcept {
  return {parts_.options.socket_mode, parts_.options.socket_group};
}

Listener::Parts PortCore::listener_parts() {
  return {executor(), parts_.log, parts_.releases, parts_.pending_max(),
          [this](UniqueFd socket) { take_socket(std::move(socket)); }};
}

// From an event handler the caller's frames below deliver what is emitted; but those of another port do not: its own
// attention does then.
bool PortCore::disconnect() noexcept {
  if (session_ == nullptr || farewell_ || closed_) return false;
  end_session(make_error(ErrorCode::closed, "the application ended the connection"));
  if (loop_->delivering()) parts_.attention->signal();
  return true;
}

void PortCore::close(Farewell farewell) {
  if (closed_) return;
  const auto self = shared_from_this();
  keeper_watch_.end();
  if (listener_ != nullptr && leaves_session()) listener_->leave();
  listener_.reset();
  connector_.reset();
  attention_watch_.reset();
  loan_timer_.cancel();
  placement_watch_.stop();
  if (farewell == Farewell::silent)
    closed_ = true;  // nothing is delivered, not even by a delivery that is on the stack
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

void PortCore::watch_attention() {
  attention_watch_ = std::make_unique<FdWatch>(executor(), parts_.attention->get(), [this] {
    parts_.attention->drain();  // before attend() looks: what comes later is signalled again
    attention_watch_->arm();
    attend();
  });
  attention_watch_->arm();
}

void PortCore::serve_signals() {
  if (const auto served = parts_.signals->serve(); !served) parts_.log.warning("{}", served.error().message);
  if (const std::uint64_t us = parts_.signals->take_report(); us != 0)
    parts_.log.warning(
        "a signal to an eventfd of the front-end took {} us of processor time, expected less than 200: too many wait "
        "for "
        "it; a thread of its own makes the signals now, with pauses",
        us);
}

void PortCore::report_misuse() {
  for (const auto& vring : parts_.vrings) {
    if (const auto misuse = vring->take_misuse())
      parts_.log.error(
          "vring {}: {} called it while {} was in a call of the same vring, expected one thread at a time. "
          "The call did nothing. More of this vring is not reported",
          vring->index(), describe_thread(misuse->refused), describe_thread(misuse->inside));
    if (const auto fault = vring->take_pool_fault())
      parts_.log.error(
          "vring {}: {}. Its bursts do nothing, counter stall_bad_pool. More of this vring is not reported",
          vring->index(), describe(*fault));
  }
}

void PortCore::missed_vring(std::uint32_t index) noexcept {
  std::uint64_t none = 0;
  if (missed_vring_.compare_exchange_strong(none, std::uint64_t{index} + 1, std::memory_order_relaxed))
    parts_.attention->signal();
}

void PortCore::report_missed_vring() {
  const std::uint64_t missed = missed_vring_.load(std::memory_order_relaxed);
  if (missed == 0 || std::exchange(missed_vring_reported_, true)) return;
  parts_.log.warning(
      "vring {} was asked for, expected 0 to {}: queue_pairs_max is {}. More of this port is not reported", missed - 1,
      vring_count() - 1, parts_.options.queue_pairs_max);
}

void PortCore::attend() {
  const auto self = shared_from_this();
  serve_signals();
  attend_keeper();
  if (closed_) return;
  report_missed_vring();
  try {
    report_misuse();
  } catch (const std::exception& error) {  // the rings are served all the same
    parts_.log.error("a report is lost: {}", error.what());
  }
  if (session_ == nullptr) return deliver();  // what disconnect() left
  if (auto lost = session_->device().memory_lost()) return end_session(std::move(*lost));
  run_turn([this] {
    for (const auto& ring : session_->device().rings()) ring->serve_attention();
  });
}

void PortCore::take_socket(UniqueFd socket) noexcept {
  const auto self = shared_from_this();
  if (!make_room()) {
    ::shutdown(socket.get(), SHUT_RDWR);  // the peer is to know at once
    return;
  }
  if (!start_session(std::move(socket))) {
    if (connector_ != nullptr) connector_->retry();
    return;
  }
  keep_error({});
  parts_.log.info("front-end connected");
  publish_info();
  emit(FrontEndConnected{}, {});
  deliver();
}

bool PortCore::start_session(UniqueFd socket) noexcept {
  front_end_pid_ = peer_pid(socket.get());
  try {
    begin_keeping(socket.get());
    session_ = std::make_unique<Session>(*this, parts_, std::move(socket), keeping_.get());
  } catch (const std::exception& error) {
    parts_.log.error("connection dropped: {}", error.what());
    if (keeping_ != nullptr) keeping_->end();
    return false;
  }
  if (state_ != nullptr) state_->begin();
  count_connection();
  return true;
}

void PortCore::report_no_connection(Error error) noexcept {
  parts_.log.info("{}; trying again", error.message);
  keep_error(error.message);
  emit(ConnectFailed{std::move(error)}, {});
  deliver();
}

// A front-end that was killed and comes back may be here before the end of its old connection has been read.
bool PortCore::make_room() {
  if (farewell_) finish_session();  // it waits for loans only
  if (closed_) return false;
  if (!may_bring_more()) {
    if (connector_ != nullptr) connector_->retry();
    return false;
  }
  if (session_ == nullptr) return true;
  if (!session_->peer_is_gone()) {
    parts_.log.warning("a second front-end was turned away: one at a time");
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
  if (!parts_.releases->stands_still() || parts_.releases->pending() < standing_max) return true;
  if (releasing)
    parts_.log.warning(
        "a front-end was turned away: {} descriptors and mappings of earlier ones wait to be released, {} of them in "
        "close() or munmap() for more than {} ms",
        parts_.releases->pending(), parts_.releases->held_up(), ReleasePool::held_up_after.count());
  else
    parts_.log.warning(
        "a front-end was turned away: {} descriptors and mappings of earlier ones wait to be released, and no thread "
        "can be started",
        parts_.releases->pending());
  return false;
}

void PortCore::end_session(Error reason) noexcept {
  if (session_ == nullptr || farewell_) return;
  const auto self = shared_from_this();
  if (reason.code == ErrorCode::closed)
    parts_.log.info("front-end disconnected: {}", reason.message);
  else
    parts_.log.warning("front-end disconnected: {}", reason.message);
  farewell_ = std::move(reason);
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
  if (connector_ != nullptr) connector_->retry();
  emit(FrontEndDisconnected{std::move(reason)}, {});
  deliver();
}

void PortCore::drop_session() noexcept {
  if (session_ == nullptr) return;
  session_->end_without_loans();
  publish_memory({});
  session_.reset();
  if (state_ != nullptr) state_->end();
  if (keeping_ != nullptr) keeping_->end();
  farewell_.reset();
  placement_watch_.stop();
  look_after_loans();
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
