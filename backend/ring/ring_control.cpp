// SPDX-License-Identifier: BSD-3-Clause
#include "backend/ring/ring_control.hpp"

#include <chrono>
#include <utility>

#include "backend/ring/ring_record.hpp"
#include "base/error.hpp"
#include "virtqueue/ring_layout.hpp"

namespace vhostx::backend {

Result<void> RingControl::set_size(std::uint32_t size) {
  if (auto good = virtqueue::check_ring_size(host_.ring_kind(), size); !good) return good;
  config_.size = size;
  return {};
}

Result<void> RingControl::set_base(std::uint32_t base) {
  if (base > 0xffff && host_.knows_ring_kind() && host_.ring_kind() == virtqueue::RingKind::split)
    return protocol_violation("base {:#x}: expected 0 to 0xffff on a split ring", base);
  config_.base = base;
  return {};
}

// On a running ring the same addresses may come again with other flags: QEMU does so when it starts to log.
Result<void> RingControl::set_addresses(const protocol::VringAddress& addresses) {
  const virtqueue::RingAddresses wanted{
      .descriptors = {addresses.descriptor}, .avail = {addresses.available}, .used = {addresses.used}};
  const bool same = config_.addresses && config_.addresses->descriptors == wanted.descriptors &&
                    config_.addresses->avail == wanted.avail && config_.addresses->used == wanted.used;
  if (started() && !same)
    return protocol_violation("the addresses of a running ring cannot change, expected GET_VRING_BASE first");
  config_.addresses = wanted;
  config_.used_log = std::nullopt;
  if ((addresses.flags & protocol::vring_log) != 0) config_.used_log = memory::GuestAddress{addresses.log};
  change_running([this](RunningVring& next) { next.used_log = config_.used_log; });
  return {};
}

Result<void> RingControl::set_kick(std::shared_ptr<const EventFd> kick) {
  const bool in_band = kick == nullptr && host_.notifies_in_band();
  const bool polled = kick == nullptr && !in_band;  // no kick will ever come
  if (in_band) {
    kick = in_band_kick();
    if (kick == nullptr) return make_error(ErrorCode::system, "SET_VRING_KICK: no eventfd for in-band kicks");
  }
  if (started()) {
    swap_kick(std::move(kick));
    return {};
  }
  // A ring that cannot start is refused here, where the front-end gets the answer.
  if (const auto environment = host_.ring_environment())
    if (const auto layout = lay_out(config_, *environment); !layout) return layout.error();
  watch_.reset();  // before the descriptor that it watches may be closed
  config_.kick = std::move(kick);
  config_.armed = true;
  config_.kicked = polled;
  return host_.is_dormant() ? Result<void>() : start_or_watch();
}

Result<void> RingControl::wake() {
  core_.set_enabled(config_.enabled);
  return !config_.armed || started() ? Result<void>() : start_or_watch();
}

Result<void> RingControl::start_or_watch() {
  if (auto good = start_if_due(); !good) return good;
  if (config_.armed && !config_.kicked) watch_kick();
  return {};
}

// The ring runs on. To the application it stops and starts: that is how it learns that a descriptor is about to close.
void RingControl::swap_kick(std::shared_ptr<const EventFd> kick) {
  if (!replace(std::make_unique<RunningVring>(*core_.running()), kick)) return;
  port_.emit(VringStopped{core_.index()}, std::exchange(config_.kick, std::move(kick)));
  port_.emit(VringStarted{core_.index()});
  watch_idle_kicks();
}

std::shared_ptr<const EventFd> RingControl::in_band_kick() {
  auto own = EventFd::create();
  if (own) return std::make_shared<const EventFd>(std::move(own).value());
  port_.log().warning("vring {}: {}", core_.index(), own.error().message);
  return nullptr;
}

// The kick is seen and not read: the eventfd stays readable, so that a back-end that comes after this one, should this
// one die before it has used a buffer, sees that the driver has kicked.
void RingControl::watch_kick() {
  watch_ = std::make_unique<FdWatch>(port_.executor(), config_.kick->get(), [this] {
    port_.run_turn([this] {
      watch_.reset();
      config_.kicked = true;
      if (auto good = start_if_due(); !good) return fail(good.error());
      if (config_.armed && !started()) host_.kicked_too_soon(core_.index());
    });
  });
  watch_->arm();
}

// The rings of the first pair tell of the guest's memory, which is that of all rings.
void RingControl::watch_idle_kicks() {
  idle_kicks_ = nullptr;
  if (core_.index() > 1 || config_.kick == nullptr || !is_untouched()) return;
  idle_kicks_ = IdleKicks::watch(port_.executor(), config_.kick,
                                 {[this] { return is_untouched(); }, [this] { host_.kicked_empty(core_.index()); }});
}

bool RingControl::is_untouched() const noexcept { return started() && core_.running()->layout.is_untouched(); }

Result<void> RingControl::kick_in_band() {
  if (config_.kick == nullptr) config_.kick = in_band_kick();
  if (config_.kick != nullptr) config_.kick->signal();  // for a worker that sleeps
  config_.armed = true;
  config_.kicked = true;
  watch_.reset();
  return start_if_due();
}

Result<void> RingControl::start_if_due() {
  if (started() || !config_.armed || !config_.configured()) return {};
  const auto environment = host_.ring_environment();
  if (!environment) return {};
  auto running = build_running(config_, *environment);
  if (!running) return std::move(running).error();
  set_ready(true);
  if (!config_.kicked && !starts_without_kick(config_, (*running)->layout)) return {};
  config_.kicked = true;
  watch_.reset();
  if (!core_.is_stuck()) return start(std::move(running).value());
  report_stuck("not started");
  return {};
}

void RingControl::set_ready(bool ready) {
  if (ready || ready_) core_.set_size(ready ? config_.size : 0);
  if (ready == ready_) return;
  ready_ = ready;
  port_.emit(VringReady{core_.index(), ready});
  if (ready) port_.placement_due();
}

Result<void> RingControl::start(std::unique_ptr<RunningVring> running) {
  const virtqueue::RingKind kind = running->layout.kind;
  auto opened = recover(*running);
  if (!opened) return std::move(opened).error();
  const auto found = opened->position ? Result<virtqueue::RingPosition>(*opened->position)
                                      : virtqueue::start_position(running->layout, config_.base);
  if (!found) {
    fail(found.error());  // and is not armed any more
    return {};
  }
  const virtqueue::RingPosition& position = *found;
  if (opened->record.packed != nullptr && !opened->position) opened->record.packed->begin(position);
  record_end_ = {opened->record, opened->is_own};
  if (running->log != nullptr && running->used_log) running->layout.mark_start(*running->log);
  running->inflight = config_.inflight = std::move(opened->record);
  if (const std::uint32_t base = virtqueue::base_of(kind, position); base != config_.base)
    port_.log().debug("vring {}: base {:#x}, but the ring says {:#x}: continues at the latter", core_.index(),
                      config_.base, base);
  core_.set_enabled(config_.enabled);
  broken_ = false;
  check(core_.start(std::move(running), position, config_.kick));
  port_.emit(VringStarted{core_.index()});
  port_.placement_due();
  watch_idle_kicks();
  if (core_.running() == nullptr) stop(Stop::with_session);  // VringCore::show() met a burst that does not end
  return {};
}

// What an earlier back-end has taken and not given back comes before what the driver has made available since.
Result<RingRecord> RingControl::recover(const RunningVring& running) {
  const auto environment = host_.ring_environment();
  if (!environment) return RingRecord{};
  auto opened = open_record(*environment, core_.index(), running.layout);
  if (!opened) return make_error(opened.error().code, "vring {}: {}", core_.index(), opened.error().message);
  if (opened->record && opened->record.left() != 0)
    port_.log().info("vring {}: {} chains that an earlier back-end had in flight are served again", core_.index(),
                     opened->record.left());
  return opened;
}

// QEMU sends the kick before the call, and swaps calls when interrupts are masked: what was used meanwhile was
// signalled nowhere, or to the descriptor before.
void RingControl::set_call(std::shared_ptr<const EventFd> call) {
  config_.call = std::move(call);
  if (!started()) return;
  change_running([this](RunningVring& next) {
    next.call = config_.call;
    next.call_in_band = host_.notifies_in_band() && config_.call == nullptr;
  });
  if (config_.call != nullptr) config_.call->signal();
}

void RingControl::set_err(std::shared_ptr<const EventFd> err) {
  config_.err = std::move(err);
  change_running([this](RunningVring& next) { next.err = config_.err; });
}

void RingControl::enable(bool enabled) {
  const bool changes = config_.enabled != enabled;
  config_.enabled = enabled;
  if (!host_.is_dormant()) core_.set_enabled(enabled);
  change_running([enabled](RunningVring& next) { next.enabled = enabled; });
  if (changes) port_.emit(VringEnabled{core_.index(), enabled});
}

template <typename Change>
void RingControl::change_running(Change change) {
  if (!started()) return;
  auto next = std::make_unique<RunningVring>(*core_.running());
  change(*next);
  replace(std::move(next), config_.kick);
}

// False: the vring is stuck, and was stopped.
bool RingControl::replace(std::unique_ptr<RunningVring> next, std::shared_ptr<const EventFd> kick) {
  check(core_.replace(std::move(next), std::move(kick)));
  if (!core_.is_stuck()) return true;
  stop(Stop::with_session);
  return false;
}

std::uint32_t RingControl::stop(Stop why) {
  watch_.reset();
  idle_kicks_.reset();
  config_.armed = false;
  config_.kicked = false;
  std::shared_ptr<const EventFd> kick = std::exchange(config_.kick, nullptr);
  if (started()) {
    config_.base = core_.stop();
    config_.inflight = {};
    stopped_by_front_end_ = why == Stop::by_front_end;
    if (core_.is_stuck()) report_stuck("stopped");
    host_.forget_requests(core_.index());
    kick_shown_ = std::move(kick);
    waits_for_loans_ = true;
    if (!settle_loans(false)) port_.emit(LoansRecalled{core_.index(), core_.loans().state().outstanding});
  } else if (waits_for_loans_) {
    stopped_by_front_end_ |= why == Stop::by_front_end;
  } else {
    record_end_.stopped(why == Stop::by_front_end);  // of a start that failed, or that ended otherwise before
  }
  set_ready(false);
  return config_.base;
}

bool RingControl::settle_loans(bool give_up) {
  if (!waits_for_loans_) return true;
  const std::uint32_t out = core_.loans().settle(give_up);
  if (core_.loans().take_call_in_band()) host_.send_call(core_.index());
  if (out != 0 && !give_up) return false;
  if (out != 0) {
    port_.log().warning("vring {}: stopped with {} loans out", core_.index(), out);
    port_.emit(LoansOverdue{core_.index(), out});
  }
  waits_for_loans_ = false;
  record_end_.stopped(stopped_by_front_end_);
  port_.emit(VringStopped{core_.index()}, std::exchange(kick_shown_, nullptr));  // Vring::kick_fd() promises that
  return true;
}

void RingControl::reset() {
  stop(Stop::by_front_end);
  enable(false);
  config_ = VringConfig{.base = config_.base, .call = config_.call, .err = config_.err};
}

void RingControl::environment_changed() {
  if (!started()) {
    if (!host_.ring_environment()) return set_ready(false);
    // Its region may be one that comes later.
    if (const auto good = start_if_due(); !good) {
      port_.log().debug("vring {} does not start yet: {}", core_.index(), good.error().message);
      set_ready(false);
    }
    return;
  }
  const auto environment = host_.ring_environment();
  if (!environment) return fail(protocol_violation("the guest memory is gone"));
  auto running = build_running(config_, *environment);
  if (!running) return fail(running.error());
  if (!replace(std::move(running).value(), config_.kick)) return;
  port_.placement_due();
  if (const std::uint32_t out = core_.loans().followed(); out != 0) port_.emit(LoansRecalled{core_.index(), out});
}

std::optional<Error> RingControl::memory_lost() const {
  if (!started()) return std::nullopt;
  for (const auto& window : core_.running()->layout.windows()) {
    const memory::MappedRegion* const region = window == nullptr ? nullptr : window->lost();
    if (region != nullptr)
      return protocol_violation(
          "vring {}: an area over two memory regions is lost: the file of the region at guest address "
          "{:#x} was shrunk, or had no page to give (SIGBUS)",
          core_.index(), region->description().guest.value);
  }
  return std::nullopt;
}

// This ring alone: it starts again with the next SET_VRING_KICK.
void RingControl::fail(const Error& reason) {
  port_.log().warning("vring {} stopped: {}", core_.index(), reason.message);
  const VringFault fault{.cause = VringFaultCause::outside_memory,
                         .a = config_.addresses ? config_.addresses->descriptors.value : 0,
                         .b = virtqueue::descriptor_table_bytes(config_.size)};
  port_.emit(VringBroken{core_.index(), fault});
  stop(Stop::with_session);
  if (config_.err != nullptr)
    config_.err->signal();
  else if (host_.notifies_in_band())
    host_.send_error(core_.index());
}

// A ring that waits for its first kick has its pages already, and the application may ask where.
bool RingControl::look_before_start(VringPlacer::Effort effort) {
  const auto environment = host_.ring_environment();
  if (!ready_ || !environment) return false;
  const auto ready = build_running(config_, *environment);
  return ready && core_.look_at_placement(**ready, effort);
}

void RingControl::look_at_placement(VringPlacer::Effort effort) {
  if (!(started() ? core_.look_at_placement(effort) : look_before_start(effort))) return;
  PlacementChanged event{.index = core_.index(), .placement = core_.placement()};
  event.node = event.placement.wanted_node;
  if (event.placement.problem.empty())
    port_.log().info("{}", describe(event));
  else
    port_.log().warning("{}", describe(event));
  port_.emit(std::move(event));
}

void RingControl::serve_attention() {
  const VringCore::Attention attention = core_.take_attention();
  if (!started()) return;
  if (attention.call_in_band) host_.send_call(core_.index());
  if (!attention.broken) return;
  broken_ = true;
  const VringBroken event{core_.index(), core_.fault()};
  port_.log().warning("{}", describe(event));
  if (config_.err == nullptr && host_.notifies_in_band()) host_.send_error(core_.index());
  port_.emit(event);
}

// The application's doing, not the guest's.
void RingControl::report_stuck(const char* outcome) {
  port_.log().error(
      "vring {} {}: a burst of the application has not ended for {} s. Likely causes: Transfer::begin() without end(), "
      "a thread that ended or is held inside a burst, two threads in one vring at a time. The memory that the burst "
      "uses stays mapped, and the vring cannot start until the burst has ended",
      core_.index(), outcome, std::chrono::duration_cast<std::chrono::seconds>(VringGate::patience_usual).count());
}

void RingControl::check(Result<void> watched) {
  if (!watched) port_.log().warning("vring {}: {}", core_.index(), watched.error().message);
}

}  // namespace vhostx::backend
