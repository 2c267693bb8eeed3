// SPDX-License-Identifier: BSD-3-Clause
// Where metrics are served: a Unix socket, or a port of the machine itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <sys/socket.h>
#include <sys/types.h>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"

namespace vhostx::tools {

struct MetricsAddress {
  std::string path;        ///< Of the Unix socket; empty: TCP.
  std::string host;        ///< A loopback address in numbers, without brackets.
  std::uint16_t port = 0;  ///< 0: one that is free.
};

/// unix:PATH, 127.0.0.1:PORT (any of 127.0.0.0/8) or [::1]:PORT. Metrics name sockets and tell of traffic, and have no
/// password: other addresses are refused. Error: invalid_argument.
Result<MetricsAddress> parse_metrics_address(std::string_view text);

/// A listening socket, non-blocking, and what it is: `port` is the one that was taken. A Unix socket that nobody
/// listens on is replaced, a live one is not.
struct MetricsSocket {
  UniqueFd fd;
  MetricsAddress address;
  dev_t device = 0;  ///< With `inode`: the socket's file.
  ino_t inode = 0;
};
/// `option`: for messages. `mode`: of a Unix socket's file, before anybody can connect; not given: the umask decides.
/// Errors: busy (somebody listens there, or it is no socket), system.
Result<MetricsSocket> listen_at(const MetricsAddress& address, const char* option = "--metrics",
                                std::optional<mode_t> mode = {});
/// Removes the socket's file, unless another one is there by now.
void remove_file(const MetricsSocket& socket) noexcept;

/// For people and clients: unix:PATH, or a URL.
std::string to_text(const MetricsAddress& address);

}  // namespace vhostx::tools
