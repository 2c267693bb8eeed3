// SPDX-License-Identifier: BSD-3-Clause
// PortCore: its connection comes from a keeper, and goes there.
#include <exception>
#include <stdexcept>
#include <utility>

#include "backend/connection/features.hpp"
#include "backend/port_core.hpp"
#include "base/error.hpp"
#include "base/peer_process.hpp"

namespace vhostx::backend {
namespace {

constexpr std::chrono::seconds given_up_grace{30};  // for one that is killed before it has what it was given

// Of what is in flight: split rings that lend keep one, and all packed rings.
bool keeps_own_record(const PortOptions& options) noexcept {
  return options.zero_copy || offered_features(options).has(protocol::VirtioFeature::ring_packed);
}

}  // namespace

Result<void> PortCore::open_keeping() {
  if (!loop_->keepers()) return {};
  const PortOptions& options = parts_.options;
  SessionKeeping::Parts parts{.link = {.connect = [this] { return loop_->keepers()(parts_.options.socket_path); },
                                       .on_events = [this] { parts_.attention->signal(); },
                                       .releases = parts_.releases,
                                       .log = parts_.log},
                              .limits = {vring_count(), options.memory_slots_max},
                              .keeps_state = static_cast<bool>(options.save_state)};
  auto keeping = SessionKeeping::open(std::move(parts), loop_->keeper_claim());
  if (!keeping) return make_error(keeping.error().code, "{}: {}", options.socket_path, keeping.error().message);
  keeping_ = std::move(keeping).value();
  if (options.save_state) make_state_keeping();
  is_waiting_ = !keeping_->owns();
  keeper_watch_.begin(*keeping_);
  if (!is_waiting_) return {};
  get_ready();
  look_ahead_later();
  if (loop_->keeper_claim() == KeeperClaim::take_over) keeping_->ask_owner();
  return {};
}

void PortCore::make_state_keeping() {
  const PortOptions& options = parts_.options;
  KeptState state{.save = options.save_state,
                  .load = options.load_state,
                  .bytes_max = options.state_bytes_max,
                  .interval = options.state_interval};
  StateKeeping::Parts parts{.state = std::move(state), .who = "the connection", .log = parts_.log};
  state_ = std::make_unique<StateKeeping>(executor(), std::move(parts), *keeping_);
}

// Without them the counts begin at 0, and all else works.
void PortCore::open_counters() {
  const UniqueFd found = keeping_->take_counters();
  auto next = std::exchange(next_counters_, std::nullopt);
  auto counters = next ? Result<CounterPages>(std::move(*next)) : CounterPages::create(vring_count());
  Result<void> shown = counters ? Result<void>{} : counters.error();
  if (shown) counters->copy(found);
  for (std::uint16_t i = 0; i < vring_count() && shown; ++i) shown = vring(i).keep_counters(*counters);
  if (!shown) return parts_.log.warning("here and in the next process counts begin at 0: {}", shown.error().message);
  keeping_->hold_counters(counters->fd());
  connections_ = counters->connections();
  counters_.emplace(std::move(counters).value());
}

// Without it, it is made when it is needed, and guests wait for it.
void PortCore::prepare_counters() {
  if (next_counters_) return;
  if (auto made = CounterPages::create(vring_count())) next_counters_.emplace(std::move(made).value());
}

void PortCore::count_connection() noexcept {
  ++connections_;
  if (counters_) counters_->set_connections(connections_);
}

void PortCore::begin_keeping(int socket) {
  if (keeping_ == nullptr) return;
  keeping_->begin(socket);
  if (!keeps_own_record(parts_.options)) return;
  if (auto begun = keeping_->begin_own_inflight(); !begun) throw std::runtime_error(begun.error().message);
}

void PortCore::take_over(SessionKeeping::Found found) noexcept {
  const auto self = shared_from_this();
  front_end_pid_ = peer_pid(found.socket.get());
  auto prepared = std::exchange(prepared_, std::nullopt);
  if (prepared && !(found.as_ahead && prepared->state == found.state)) prepared.reset();
  const bool is_prepared = prepared.has_value();
  Result<void> adopted;
  try {
    auto session =
        is_prepared ? std::move(prepared->session) : std::make_unique<Session>(*this, parts_, keeping_.get());
    session->begin(std::move(found.socket));
    session_ = std::move(session);
    if (connections_ == 0) count_connection();  // else it was counted by the process that accepted it
    emit(FrontEndConnected{.adopted = true}, {});
    adopted = keeping_->adopt_own_inflight(found, keeps_own_record(parts_.options));
    keeping_->go_on(found.state);
    if (adopted) load_kept_state();
    if (closed_ || session_ == nullptr || farewell_) return;
    if (adopted) adopted = wake_or_set_up(std::move(prepared), found.state);
  } catch (const std::exception& error) {
    adopted = make_error(ErrorCode::out_of_memory, "{}", error.what());
  }
  if (adopted) {
    if (state_ != nullptr) state_->go_on();
    parts_.log.info("the connection of a process before goes on{}", is_prepared ? ", as prepared" : "");
    return turn_done();
  }
  end_session(
      make_error(adopted.error().code, "the connection of a process before cannot go on: {}", adopted.error().message));
}

Result<void> PortCore::wake_or_set_up(std::optional<Prepared> prepared, const continuity::SessionState& state) {
  if (!prepared) {
    if (auto good = session_->set_up(state, keeping_->files()); !good) return good;
  } else {
    for (auto& [event, keep] : prepared->events) emit(std::move(event), std::move(keep));
  }
  return session_->wake();
}

// As where a guest brings its state: the application has heard of the front-end, and of no ring yet. Its handler may
// end the connection or close the port.
void PortCore::load_kept_state() {
  if (state_ == nullptr) return;
  publish_info();
  deliver();
  if (!closed_ && session_ != nullptr && !farewell_) state_->load();
}

// Whether the connection outlives this port.
bool PortCore::leaves_session() const noexcept {
  return keeping_ != nullptr && keeping_->owns() && session_ != nullptr && !farewell_ &&
         loop_->keeper_grace().count() != 0;
}

void PortCore::leave_session(const std::string& why) {
  session_->leave();
  if (state_ != nullptr) state_->leave();
  left_ = {std::move(session_), swap_memory({})};
  placement_watch_.stop();
  look_after_loans();
  emit(FrontEndDisconnected{make_error(ErrorCode::closed, "{}", why)}, {});
}

void PortCore::attend_keeper() {
  const auto self = shared_from_this();
  while (keeping_ != nullptr && !closed_) {
    const auto event = keeping_->next_event();
    if (!event) return;
    if (std::holds_alternative<SessionKeeping::Acquired>(*event)) acquired();
    if (const auto* const yield = std::get_if<SessionKeeping::YieldAsked>(&*event)) yield_to(yield->pid);
    if (const auto* const settled = std::get_if<SessionKeeping::Settled>(&*event)) settled_by(settled->pid);
    if (std::holds_alternative<SessionKeeping::Changed>(*event)) ahead_has_changed();
    if (std::holds_alternative<SessionKeeping::Lost>(*event)) {
      stale_ = true;
      keeper_watch_.lost();
    }
  }
}

void PortCore::cannot_serve(const Error& error) noexcept {
  parts_.log.error("the port is this process's now, and cannot be served: {}", error.message);
  keep_error(error.message);
  if (farewell_) finish_session();  // it waits for loans only
  if (session_ != nullptr) leave_session("the port cannot be served");
  stop_listening();
  keeping_->let_go(given_up_grace);
  if (!is_waiting_) emit(OwnershipChanged{PortOwnership::standing_by, 0}, {});  // it was told that it serves
  wait();
}

void PortCore::acquired() {
  yielded_ = false;
  ahead_timer_.cancel();
  if (auto served = serve(); !served) cannot_serve(served.error());
  prepared_.reset();
  left_ = {};
  publish_info();
  deliver();
}

// What another process has asked for is there for it at once.
void PortCore::yield_to(std::uint32_t pid) {
  finish_taking_over();
  if (closed_) return;
  yielded_ = true;
  if (!keeping_->owns()) return;  // it has let go of the port just now
  const std::string who = loop_->describe_peer(static_cast<int>(pid));
  parts_.log.info("{} takes the port over", who);
  emit(OwnershipChanged{PortOwnership::yielding, static_cast<int>(pid)}, {});
  deliver();
  if (farewell_) finish_session();  // it waits for loans only; the handler may have ended the connection, too
  if (closed_) return;
  if (session_ != nullptr) leave_session(who + " takes the port over");
  stop_listening();
  keeping_->yield(given_up_grace);
  wait();
  publish_info();
  emit(OwnershipChanged{PortOwnership::standing_by, static_cast<int>(pid)}, {});
  deliver();
}

void PortCore::settled_by(std::uint32_t pid) {
  const auto now = std::exchange(yielded_, false) ? PortOwnership::handed_over : PortOwnership::standing_by;
  parts_.log.info("{} serves the port for good", loop_->describe_peer(static_cast<int>(pid)));
  if (now == PortOwnership::handed_over) {
    keeper_watch_.end();
    ahead_timer_.cancel();
    left_ = {};
    prepared_.reset();
    state_.reset();
    keeping_.reset();
    next_counters_.reset();
  }
  emit(OwnershipChanged{now, static_cast<int>(pid)}, {});
  deliver();
}

void PortCore::ask_owner() noexcept {
  if (keeping_ != nullptr && !closed_) keeping_->ask_owner();
}

void PortCore::confirm_take_over() noexcept {
  finish_taking_over();  // which may fail
  if (keeping_ == nullptr || closed_ || !keeping_->owns()) return;
  keeping_->settle();
  loop_->confirm_take_over();
}

}  // namespace vhostx::backend
