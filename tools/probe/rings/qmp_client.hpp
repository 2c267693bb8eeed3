// SPDX-License-Identifier: BSD-3-Clause
// QmpClient: one connection to QEMU's monitor (QEMU, docs/interop/qmp-spec). It asks; it changes nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"

namespace vhostx::tools::probe {

class QmpClient {
 public:
  using Json = nlohmann::ordered_json;
  static constexpr std::size_t line_bytes_max = std::size_t{1} << 20;

  /// Connects and says qmp_capabilities. `timeout` is that of each answer. Errors: system, timed_out (a monitor serves
  /// one client at a time: another one is connected), closed, protocol_violation (it is no monitor).
  static Result<QmpClient> connect(const std::string& path, std::chrono::milliseconds timeout);
  /// The same over a connection that there is.
  static Result<QmpClient> over(UniqueFd socket, std::chrono::milliseconds timeout);

  /// What the command returns. Errors: unsupported, with QEMU's words (it refuses, or knows no such command), and those
  /// of connect(), after which the connection is of no more use.
  Result<Json> execute(const std::string& command, Json arguments = Json::object());

  /// QEMU's, major and minor; {0, 0}: its greeting tells none.
  std::pair<unsigned, unsigned> version() const noexcept { return version_; }

  /// Called every other millisecond while an answer is waited for.
  void while_waiting(std::function<void()> act) { act_ = std::move(act); }

  /// The process that the socket was made by; it need not be QEMU: libvirt makes it before it starts QEMU.
  Result<int> socket_owner() const;

 private:
  using Clock = std::chrono::steady_clock;

  QmpClient(UniqueFd socket, std::chrono::milliseconds timeout) : socket_(std::move(socket)), timeout_(timeout) {}
  Result<void> greet();
  Result<void> send(const std::string& line, Clock::time_point deadline);
  Result<void> wait(short events, Clock::time_point deadline) const;
  /// The next line, which is an object.
  Result<Json> receive(Clock::time_point deadline);

  UniqueFd socket_;
  std::chrono::milliseconds timeout_;
  std::function<void()> act_;
  std::string received_;
  std::uint64_t last_id_ = 0;
  std::pair<unsigned, unsigned> version_;
};

}  // namespace vhostx::tools::probe
