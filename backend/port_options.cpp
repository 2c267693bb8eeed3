// SPDX-License-Identifier: BSD-3-Clause
#include "backend/port_options.hpp"

#include <algorithm>

#include "backend/connection/features.hpp"
#include "backend/connection/unix_socket.hpp"
#include "base/error.hpp"
#include "base/memory_limit.hpp"

namespace vhostx::backend {
namespace {

constexpr std::uint32_t mode_max = 0777;
constexpr auto no_group = static_cast<std::uint32_t>(-1);  // chown() takes it for "as it is"

Result<void> check_path(const std::string& path) {
  if (path.find('\0') != std::string::npos) return invalid_argument("socket_path has a zero byte in it");
  if (path.empty() || path.size() > socket_path_max)
    return invalid_argument("socket_path '{}' has {} bytes, expected 1 to {}", path, path.size(), socket_path_max);
  // Elsewhere such a name is an abstract socket, for which anybody in the network namespace has permission.
  if (path.front() == '@')
    return invalid_argument(
        "socket_path '{}': abstract sockets are not served, as they have no mode: expected a path (a file "
        "of that name is './{}')",
        path, path);
  return {};
}

Result<void> check_access(const PortOptions& options) {
  if (!options.socket_mode && !options.socket_group) return {};
  if (options.role == Role::client)
    return invalid_argument(
        "{} is given in the client role, in which the front-end makes the socket: expected Role::server",
        options.socket_mode ? "socket_mode" : "socket_group");
  if (options.listen_fd >= 0)
    return invalid_argument(
        "{} is given with listen_fd, whose socket file somebody else has made: expected one of the two",
        options.socket_mode ? "socket_mode" : "socket_group");
  if (options.socket_group == no_group)
    return invalid_argument("socket_group is {}: expected a group's number", no_group);
  if (!options.socket_mode || *options.socket_mode <= mode_max) return {};
  return invalid_argument("socket_mode is {:#o}, expected 0 to {:#o}", *options.socket_mode, mode_max);
}

Result<void> time_in_range(const char* option, std::chrono::milliseconds value, std::chrono::milliseconds min) {
  constexpr std::chrono::milliseconds max = std::chrono::hours(24);
  if (value >= min && value <= max) return {};
  return invalid_argument("{} is {} ms, expected {} to {} ms", option, value.count(), min.count(), max.count());
}

// A state that only one side can move is lost on the way back.
Result<void> check_state(bool saves, bool loads, std::uint32_t bytes_max, std::chrono::milliseconds interval) {
  if (saves != loads)
    return invalid_argument("{} is set without {}: expected both, or none", saves ? "save_state" : "load_state",
                            saves ? "load_state" : "save_state");
  if (auto good = in_range("state_bytes_max", bytes_max, 0, 16U << 20); !good) return good;
  if (interval.count() == 0) return {};
  return time_in_range("state_interval", interval, std::chrono::milliseconds(10));
}

}  // namespace

Result<void> name_listening_socket(PortOptions& options) {
  if (options.listen_fd < 0) return {};
  if (options.role == Role::client)
    return invalid_argument("listen_fd is {} in the client role, in which the front-end listens: expected Role::server",
                            options.listen_fd);
  auto path = listening_path(options.listen_fd);
  if (!path) return invalid_argument("listen_fd is {}: {}", options.listen_fd, path.error().message);
  if (options.socket_path.empty()) options.socket_path = *path;
  if (options.socket_path == *path) return {};
  return invalid_argument("socket_path is '{}', but listen_fd {} is bound to '{}'", options.socket_path,
                          options.listen_fd, *path);
}

Result<void> check_options(const PortOptions& options) {
  using std::chrono::milliseconds;
  const auto loan_timeout = static_cast<std::uint64_t>(options.loan_timeout.count());
  const bool looks = options.numa_interval != milliseconds(0);
  for (const Result<void>& good : {
           check_path(options.socket_path),
           check_extra_features(options),
           check_access(options),
           in_range("queue_pairs_max", options.queue_pairs_max, 1, 128),
           in_range("memory_slots_max", options.memory_slots_max, 8, 4096),
           in_range("memory_bytes_max", options.memory_bytes_max, 0, std::uint64_t{1} << 63),
           time_in_range("message_timeout", options.message_timeout, milliseconds(1)),
           time_in_range("reconnect_delay_min", options.reconnect_delay_min, milliseconds(1)),
           time_in_range("reconnect_delay_max", options.reconnect_delay_max, options.reconnect_delay_min),
           in_range("copy_below", options.copy_below, 0, 65536),
           in_range("loans_max", options.loans_max, 0, 32768),
           in_range("loan_timeout in ms", loan_timeout, 0, 60'000),
           check_state(static_cast<bool>(options.save_state), static_cast<bool>(options.load_state),
                       options.state_bytes_max, options.state_interval),
           looks ? time_in_range("numa_interval", options.numa_interval, milliseconds(10)) : Result<void>(),
       })
    if (!good) return good;
  return {};
}

Result<void> check_options(const KeptState& state) {
  constexpr std::size_t name_max = 100;
  const bool saves = static_cast<bool>(state.save);
  if (auto good = check_state(saves, static_cast<bool>(state.load), state.bytes_max, state.interval); !good)
    return good;
  if (state.name.size() > name_max || state.name.find('\0') != std::string::npos)
    return invalid_argument("the state's name has {} bytes, expected at most {} without a zero byte", state.name.size(),
                            name_max);
  if (saves != state.name.empty()) return {};
  return invalid_argument("{}: expected all three, or none",
                          saves ? "save_state and load_state are set, and the state has no name"
                                : "the state's name is '" + state.name + "', without save_state and load_state");
}

// A page of 8 bytes an entry for 512 pages of the guest: a port whose guest touches all that it has costs at most 0.4 %
// of the machine's memory, or a sixteenth of the limit.
std::uint64_t memory_bytes_max(const PortOptions& options) {
  if (options.memory_bytes_max != 0) return options.memory_bytes_max;
  constexpr std::uint64_t least = std::uint64_t{4} << 30;
  std::uint64_t bytes = 2 * machine_memory_bytes();
  if (const auto limit = MemoryLimit::find()) bytes = std::min(bytes, 32 * limit->bytes());
  return std::max(bytes, least);
}

}  // namespace vhostx::backend
