// SPDX-License-Identifier: BSD-3-Clause
// AF_UNIX stream sockets at a path.
#pragma once

#include <cstddef>
#include <string>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"

namespace vhostx::backend {

inline constexpr std::size_t socket_path_max = 107;  // sun_path without its 0

/// Non-blocking, close-on-exec. Closed by `releases`, if any: with a Unix socket the kernel may close whatever peers
/// have left in others. Error: system.
Result<UniqueFd> make_unix_socket(Releases* releases = nullptr);

/// 0 or the errno of connect(). Never waits: a full backlog is EAGAIN.
int connect_unix(int socket, const std::string& path) noexcept;
/// 0 or the errno of bind().
int bind_unix(int socket, const std::string& path) noexcept;

/// What a socket must be to carry messages: AF_UNIX, SOCK_STREAM, connected. Error: protocol_violation, with what it is
/// and what was expected.
Result<void> check_connected_stream(int socket);

/// The path to which a socket is bound that carries a port's connections: AF_UNIX, SOCK_STREAM, listening. Error:
/// invalid_argument, with what it is and what was expected.
Result<std::string> listening_path(int socket);

/// Another descriptor of a listening socket: non-blocking, which holds for the socket itself, close-on-exec, closed by
/// `releases`. It listens again, so that connections from now on name this process (SO_PEERCRED). Error: system.
Result<UniqueFd> duplicate_listening(int socket, Releases& releases);

/// accept4() does not wait. Other holders of a socket may have changed that. Error: system.
Result<void> set_nonblocking(int socket);

/// Whether it is the front-end's end of a connection to this process, whichever port's and in whichever role, or of one
/// to the port at `path`, whoever began to listen there: held here, it would keep that connection from ever ending.
bool leads_back_here(int socket, const std::string& path) noexcept;

}  // namespace vhostx::backend
