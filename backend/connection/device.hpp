// SPDX-License-Identifier: BSD-3-Clause
// Device: all that one front-end has set up, from its connection to its end. The requests' handlers change it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <vhostx/events.hpp>
#include <vhostx/port.hpp>
#include <vhostx/result.hpp>

#include "backend/connection/backend_channel.hpp"
#include "backend/connection/device_state.hpp"
#include "backend/connection/memory_table.hpp"
#include "backend/connection/port_host.hpp"
#include "backend/connection/session_keeping.hpp"
#include "backend/connection/translation_placer.hpp"
#include "backend/loop/one_shot_timer.hpp"
#include "backend/ring/ring_control.hpp"
#include "base/event_fd.hpp"
#include "base/port_notice.hpp"
#include "base/unique_fd.hpp"
#include "memory/dirty_log.hpp"
#include "protocol/features.hpp"
#include "protocol/message.hpp"
#include "protocol/payloads.hpp"
#include "protocol/request_table.hpp"
#include "virtqueue/inflight_area.hpp"

namespace vhostx::backend {

inline constexpr std::uint8_t status_driver_ok = 4;  // VIRTIO 1.2, 2.1

/// Control thread. Errors of all changes: protocol_violation, limit, system; after one nothing has changed.
class Device final : private RingHost {
 public:
  /// keeping: null, or where the connection is kept; outlives this.
  Device(PortHost& port, const PortParts& parts, SessionKeeping* keeping);

  /// For check_legal(); `ring` is the ring that the message names, if it names one.
  protocol::Agreement agreement(const RingControl* ring) const noexcept;
  /// Error: protocol_violation (index at or over 2 * queue_pairs_max).
  Result<RingControl*> ring(std::uint64_t index);
  const std::vector<std::unique_ptr<RingControl>>& rings() const noexcept { return rings_; }

  Result<void> set_features(protocol::FeatureSet features);
  Result<void> set_protocol_features(protocol::ProtocolFeatureSet features);
  Result<void> change_memory(Result<void> (MemoryTable::*change)(protocol::Message&), protocol::Message& message);
  /// SET_LOG_BASE. Also error: out_of_memory.
  Result<void> set_log_base(const protocol::LogBase& where, UniqueFd file);
  /// SET_LOG_FD: signalled when pages were marked; null: nothing is.
  void set_log_signal(std::shared_ptr<const EventFd> signal);
  /// GET_INFLIGHT_FD: a new area for what `wanted` counts, and where it is. Also error: system.
  Result<UniqueFd> create_inflight(protocol::Inflight& wanted) const;
  /// SET_INFLIGHT_FD, before rings run: in place of an earlier one. Also error: out_of_memory.
  Result<void> set_inflight(const protocol::Inflight& where, UniqueFd file);
  Result<void> set_mtu(std::uint64_t mtu);
  Result<void> set_status(std::uint64_t status);
  Result<void> set_backend_socket(UniqueFd socket);
  void announce(std::uint64_t mac);
  /// SET_DEVICE_STATE_FD and CHECK_DEVICE_STATE, while no ring runs: see DeviceState. Also logs why not.
  Result<UniqueFd> begin_state_transfer(const protocol::DeviceState& what);
  Result<void> check_state_transfer();
  /// All rings stopped, disabled and forgotten, features not set; memory, protocol features and the back-end request
  /// channel stay: QEMU sends them once a connection (of memory slots only what has changed).
  void reset();
  void stop_rings();
  /// From now on rings are set up and do not start, and the back-end request channel is not read: both are another
  /// process's.
  void sleep() noexcept { dormant_ = true; }
  /// They are this process's now. The calls of the one before may be lost: calls all drivers. Answers to its requests
  /// may come. Errors: as set_backend_socket() and RingControl::set_kick(), and memory_lost().
  Result<void> wake();
  /// The back-end request channel goes on with another process.
  void leave_requests() noexcept;
  /// GET_VRING_BASE.
  std::uint32_t stop(RingControl& ring);

  /// Where nothing is lent because mbufs keep too much older memory: whether they still do.
  void lend_again();

  /// Why the connection cannot go on: guest memory was taken away under it.
  std::optional<Error> memory_lost() const;

  void look_at_placement(VringPlacer::Effort effort);
  /// Null while there is none.
  const std::shared_ptr<const memory::GuestMemory>& memory() const noexcept { return memory_.current(); }

  protocol::FeatureSet features_offered() const noexcept { return features_offered_; }
  protocol::ProtocolFeatureSet protocol_features_offered() const noexcept { return protocol_offered_; }
  protocol::ProtocolFeatureSet protocol_features() const noexcept { return protocol_features_; }
  std::uint8_t status() const noexcept { return status_; }
  bool has_log() const noexcept { return log_ != nullptr; }
  const PortParts& parts() const noexcept { return parts_; }

  /// Everything of PortInfo that a connection knows.
  void describe_to(PortInfo& info) const noexcept;
  /// The same of PortNotice and its vrings, one a ring: after a message that names a ring that one alone, else all.
  void describe_to(PortNotice& notice, std::span<VringNotice> vrings) noexcept;

 private:
  std::optional<RingEnvironment> ring_environment() const override;
  virtqueue::RingKind ring_kind() const noexcept override;
  bool knows_ring_kind() const noexcept override { return features_set_; }
  bool notifies_in_band() const noexcept override;
  bool is_dormant() const noexcept override { return dormant_; }
  void send_call(std::uint16_t index) override;
  void send_error(std::uint16_t index) override;
  void forget_requests(std::uint16_t index) override;
  void kicked_empty(std::uint16_t index) override;
  void kicked_too_soon(std::uint16_t index) override;

  void open_backend_channel(UniqueFd socket);
  void call_again();
  bool any_ring_started() const noexcept;
  Result<void> check_no_ring_runs() const;
  Result<void> check_inflight(const protocol::Inflight& said) const;
  bool waits_for_log() const noexcept;
  Result<void> switch_log(protocol::FeatureSet features);
  void forget_log_of_stopped_rings();
  void environment_changed();
  void map_for_devices();
  void expect_memory(std::string sign);

  PortHost& port_;
  const PortParts& parts_;
  SessionKeeping* const keeping_;
  const protocol::FeatureSet features_offered_;
  const protocol::ProtocolFeatureSet protocol_offered_;
  protocol::FeatureSet features_;
  protocol::ProtocolFeatureSet protocol_features_;
  bool features_set_ = false;
  bool dormant_ = false;
  std::uint16_t mtu_ = 0;
  std::uint8_t status_ = 0;
  std::uint16_t rings_named_ = 0;
  bool empty_reported_ = false;  // these two: once a connection
  bool no_memory_reported_ = false;
  OneShotTimer memory_timer_;
  std::optional<std::size_t> ring_to_note_;  // named since the last describe_to(PortNotice&)
  MemoryTable memory_;
  std::shared_ptr<const zerocopy::DmaMemory> dma_;  // of memory_; null without zero copy
  std::shared_ptr<const memory::DirtyLog> log_;     // as SET_LOG_BASE brought it; used with LOG_ALL
  std::shared_ptr<const EventFd> log_signal_;
  std::shared_ptr<const virtqueue::InflightArea> inflight_;  // as SET_INFLIGHT_FD brought it
  std::unique_ptr<BackendChannel> backend_channel_;
  UniqueFd backend_socket_;  // while dormant: that of the channel to come
  std::vector<std::unique_ptr<RingControl>> rings_;
  TranslationPlacer translations_;
  DeviceState state_transfer_;
};

}  // namespace vhostx::backend
