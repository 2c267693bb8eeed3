// SPDX-License-Identifier: BSD-3-Clause
// PublishedPort, and the commands that DPDK calls.
#include <array>
#include <cerrno>
#include <mutex>
#include <new>
#include <utility>

#include <rte_telemetry.h>

#include <vhostx/telemetry.hpp>

#include "telemetry/dpdk_data.hpp"
#include "telemetry/registry.hpp"
#include "telemetry/requests.hpp"
#include "telemetry/text.hpp"

namespace vhostx {
namespace telemetry {
namespace {

/// Never destroyed: DPDK's commands have no context, cannot be unregistered, and are answered by threads that live
/// until the process ends.
Registry& registry() {
  static Registry& only = *new Registry;
  return only;
}

/// Called by C code, so it must not throw.
template <Request* request>
int answer(const char*, const char* parameters, rte_tel_data* out) noexcept try {
  auto result = request(registry(), parameters == nullptr ? "" : parameters);
  if (!result) {
    Dict refusal;
    refusal.add("error", result.error().message);
    return fill(out, refusal);
  }
  return fill(out, *result);
} catch (const std::bad_alloc&) {
  return -ENOMEM;
}

struct Command {
  const char* name;
  telemetry_cb answer;
  const char* help;  // at most 63 bytes
};
constexpr std::array<Command, 5> commands{{
    {"/vhostx/list", answer<list_ports>, "Names of vhost-user ports. Parameters: [int FIRST]"},
    {"/vhostx/port", answer<tell_port>, "A port's state and counters. Parameters: NAME"},
    {"/vhostx/vring", answer<tell_vring>, "A vring's state and counters. Parameters: NAME,INDEX"},
    {"/vhostx/memory", answer<tell_memory>, "Guest memory by region. Parameters: NAME[,int FIRST]"},
    {"/vhostx/numa", answer<tell_numa>, "Nodes of started vrings. Parameters: NAME[,int FIRST]"},
}};

/// Once for the process. Commands that failed are tried again by the next call.
Result<void> register_commands() {
  static std::mutex lock;
  static std::size_t registered = 0;
  const std::lock_guard guard(lock);
  for (; registered < commands.size(); ++registered) {
    const auto& command = commands[registered];
    if (const int error = rte_telemetry_register_cmd(command.name, command.answer, command.help); error < 0)
      return Error{
          error == -ENOMEM ? ErrorCode::out_of_memory : ErrorCode::limit,
          joined({"DPDK's telemetry refuses the command ", command.name, " (error ", std::to_string(-error), ")"}), 0};
  }
  return {};
}

}  // namespace
}  // namespace telemetry

Result<PublishedPort> PublishedPort::publish(Port& port, std::string name) try {
  if (auto registered = telemetry::register_commands(); !registered) return std::move(registered).error();
  auto named = telemetry::registry().add(name.empty() ? port.socket_path() : std::move(name), port);
  if (!named) return std::move(named).error();
  return PublishedPort(*std::move(named));
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::out_of_memory, "out of memory", 0};
}

PublishedPort::PublishedPort(std::shared_ptr<telemetry::NamedPort> named) noexcept : named_(std::move(named)) {}
PublishedPort::PublishedPort(PublishedPort&&) noexcept = default;

PublishedPort& PublishedPort::operator=(PublishedPort&& other) noexcept {
  if (this == &other) return *this;
  withdraw();
  named_ = std::move(other.named_);
  return *this;
}

PublishedPort::~PublishedPort() { withdraw(); }

void PublishedPort::withdraw() noexcept {
  if (named_ != nullptr) telemetry::registry().remove(*named_);
  named_.reset();
}

const std::string& PublishedPort::name() const noexcept {
  static const std::string none;
  return named_ == nullptr ? none : named_->name();
}

}  // namespace vhostx
