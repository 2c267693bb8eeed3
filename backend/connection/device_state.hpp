// SPDX-License-Identifier: BSD-3-Clause
// DeviceState: moves what this back-end knows of a guest to or from its front-end (vhost-user "Migrating back-end
// state"): SET_DEVICE_STATE_FD begins, and CHECK_DEVICE_STATE ends it.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <asio/any_io_executor.hpp>

#include <vhostx/result.hpp>

#include "backend/connection/port_host.hpp"
#include "backend/connection/state_channel.hpp"
#include "backend/connection/state_record.hpp"
#include "backend/loop/fd_watch.hpp"
#include "backend/loop/one_shot_timer.hpp"
#include "base/unique_fd.hpp"
#include "protocol/payloads.hpp"

namespace vhostx::backend {

/// Control thread. One transfer at a time, of at most PortOptions::message_timeout.
class DeviceState {
 public:
  DeviceState(asio::any_io_executor executor, const PortParts& parts);

  /// Calls PortOptions::save_state when the state is to be saved. Errors: protocol_violation (what is asked for, the
  /// descriptor, a transfer that runs), limit (larger than allowed), system, and whatever save_state threw.
  Result<void> begin(const protocol::DeviceState& what, UniqueFd fd);

  /// Whether check() has to wait.
  bool runs() const noexcept { return transfer_ != nullptr && !transfer_->channel.is_file(); }
  /// While it runs: makes this call when it has ended, whatever became of it. The call may destroy this.
  void call_at_end(std::function<void()> on_end) { on_end_ = std::move(on_end); }
  /// The connection ends: nothing goes on, and nobody is called.
  void cancel() noexcept;

  /// What became of the last transfer. The first call after a load checks the record and loads it: all or nothing.
  Result<void> check();

 private:
  using Bytes = StateRecord::Bytes;
  using For = StateChannel::For;
  struct Transfer {
    For use;
    StateChannel channel;
    Bytes bytes;
    std::size_t done = 0;
    std::unique_ptr<FdWatch> watch{};  // not of a file; before the channel it goes away
  };

  Result<Bytes> record() const;
  Result<Bytes> save_application() const;
  void start(Transfer transfer);
  void go_on();
  std::optional<Result<void>> move_some();
  std::optional<Result<void>> write_some();
  std::optional<Result<void>> read_some();
  void move_file();
  void end(Result<void> outcome);
  Result<void> load(const Bytes& bytes) const;
  Result<void> load_application(const StateRecord& record) const;
  std::size_t record_bytes_max() const noexcept;

  const asio::any_io_executor executor_;
  const PortParts& parts_;
  std::unique_ptr<Transfer> transfer_;
  OneShotTimer deadline_;
  std::function<void()> on_end_;
  std::optional<Bytes> received_;  // whole, and not yet checked
  Result<void> outcome_;
};

}  // namespace vhostx::backend
