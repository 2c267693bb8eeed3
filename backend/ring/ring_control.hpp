// SPDX-License-Identifier: BSD-3-Clause
// RingControl: the control side of one ring for one connection: its states, from configuration to start and stop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include <asio/any_io_executor.hpp>

#include <vhostx/events.hpp>
#include <vhostx/result.hpp>

#include "backend/loop/fd_watch.hpp"
#include "backend/ring/idle_kicks.hpp"
#include "backend/ring/ring_record.hpp"
#include "backend/ring/vring_config.hpp"
#include "backend/ring/vring_core.hpp"
#include "base/event_fd.hpp"
#include "base/logger.hpp"
#include "protocol/payloads.hpp"

namespace vhostx::backend {

/// What a ring needs from its device.
class RingHost {
 public:
  /// Nothing while something that a start needs is missing (SET_FEATURES, memory).
  virtual std::optional<RingEnvironment> ring_environment() const = 0;
  /// As negotiated; split before, when it is not known.
  virtual virtqueue::RingKind ring_kind() const noexcept = 0;
  virtual bool knows_ring_kind() const noexcept = 0;
  virtual bool notifies_in_band() const noexcept = 0;
  /// The rings are another process's: none starts or looks at a kick before wake().
  virtual bool is_dormant() const noexcept = 0;
  virtual void send_call(std::uint16_t index) = 0;
  virtual void send_error(std::uint16_t index) = 0;
  virtual void forget_requests(std::uint16_t index) = 0;
  /// A ring was kicked and has nothing in it, and nothing has ever been there.
  virtual void kicked_empty(std::uint16_t index) = 0;
  /// A ring was kicked that cannot start.
  virtual void kicked_too_soon(std::uint16_t index) = 0;

 protected:
  ~RingHost() = default;
};

/// What a ring needs from its port.
class RingPort {
 public:
  /// Queued; `keep` lives until the event has been delivered.
  virtual void emit(PortEvent event, std::shared_ptr<const void> keep = {}) noexcept = 0;
  /// Runs `change` on a turn of its own, delivers what it emitted. Neither ring nor host may be touched afterwards.
  virtual void run_turn(const std::function<void()>& change) noexcept = 0;
  /// A ring runs on memory whose placement was not checked yet: check it soon.
  virtual void placement_due() = 0;
  virtual asio::any_io_executor executor() noexcept = 0;
  virtual const Logger& log() const noexcept = 0;

 protected:
  ~RingPort() = default;
};

/// Control thread.
class RingControl {
 public:
  RingControl(RingHost& host, RingPort& port, VringCore& core) noexcept : host_(host), port_(port), core_(core) {}
  RingControl(const RingControl&) = delete;
  RingControl& operator=(const RingControl&) = delete;

  std::uint16_t index() const noexcept { return core_.index(); }
  const VringConfig& config() const noexcept { return config_; }
  bool started() const noexcept { return core_.started(); }
  /// Everything is there that it needs to start, but the driver's first kick.
  bool waits_for_kick() const noexcept { return ready_ && !started(); }
  /// Of a started ring that the driver broke; else null.
  const VringFault* fault() const noexcept { return broken_ && started() ? &core_.fault() : nullptr; }
  const RunningVring* running() const noexcept { return core_.running(); }
  int numa_node() const noexcept { return core_.numa_node(); }
  const void* packets_at() const noexcept { return core_.packets_at(); }

  /// The request table refuses size and base while the ring runs. Errors: protocol_violation.
  Result<void> set_size(std::uint32_t size);
  Result<void> set_base(std::uint32_t base);
  Result<void> set_addresses(const protocol::VringAddress& addresses);
  /// Null: no descriptor comes; the driver kicks in-band, or is polled.
  Result<void> set_kick(std::shared_ptr<const EventFd> kick);
  void set_call(std::shared_ptr<const EventFd> call);
  void set_err(std::shared_ptr<const EventFd> err);
  void enable(bool enabled);
  /// VRING_KICK.
  Result<void> kick_in_band();

  /// GET_VRING_BASE, or the end of the connection: what is in flight may be of interest to the next process only after
  /// the latter. Answers the base. Where loans are out the application is
  /// asked for them, and VringStopped comes when settle_loans() returns true.
  enum class Stop { by_front_end, with_session };
  std::uint32_t stop(Stop why);
  /// True: the ring does not wait for loans, has them back, or gives them up.
  bool settle_loans(bool give_up);
  /// Back to what it was before the first message, but for two things. The base stays: when QEMU stops a machine it
  /// sends SET_STATUS 0 first and GET_VRING_BASE then. The call and err descriptors stay: it sends the one for masked
  /// interrupts once a connection, not once a start.
  void reset();

  /// The rings are this process's from now on: it starts if it is due. Errors: as set_kick().
  Result<void> wake();

  /// Memory, features or MTU changed: a running ring is built again, or stops; one that only waited for them starts.
  void environment_changed();
  /// Where the memory of a ring is that runs or is ready to; the state follows.
  void look_at_placement(VringPlacer::Effort effort);
  /// Handles what the data thread asked for.
  void serve_attention();
  /// Where a window over two regions has lost pages. For areas in one region see MemoryTable::lost().
  std::optional<Error> memory_lost() const;

 private:
  std::shared_ptr<const EventFd> in_band_kick();
  void swap_kick(std::shared_ptr<const EventFd> kick);
  void watch_kick();
  void watch_idle_kicks();
  bool is_untouched() const noexcept;
  Result<void> start_or_watch();
  Result<void> start_if_due();
  void set_ready(bool ready);
  Result<void> start(std::unique_ptr<RunningVring> running);
  Result<RingRecord> recover(const RunningVring& running);
  bool look_before_start(VringPlacer::Effort effort);
  void fail(const Error& reason);
  template <typename Change>
  void change_running(Change change);
  bool replace(std::unique_ptr<RunningVring> next, std::shared_ptr<const EventFd> kick);
  void report_stuck(const char* outcome);
  void check(Result<void> watched);

  RingHost& host_;
  RingPort& port_;
  VringCore& core_;
  VringConfig config_;
  bool ready_ = false;            // as last reported by VringReady
  bool broken_ = false;           // since the last start
  bool waits_for_loans_ = false;  // the ring has stopped
  bool stopped_by_front_end_ = false;
  RingRecord::End record_end_;                 // until the ring has its loans back
  std::shared_ptr<const EventFd> kick_shown_;  // of a ring that has stopped: open until VringStopped is delivered
  std::unique_ptr<IdleKicks> idle_kicks_;      // of a ring that has started and is empty
  std::unique_ptr<FdWatch> watch_;  // for the first kick; after config_, so that it goes before the kick is closed
};

}  // namespace vhostx::backend
