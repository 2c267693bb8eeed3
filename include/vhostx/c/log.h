// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// Where log lines go.
#pragma once

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/// Level of a log line.
enum vhostx_log_level {
  VHOSTX_LOG_DEBUG = 0,    ///< Each message of each peer.
  VHOSTX_LOG_INFO = 1,     ///< Events in the life of a connection.
  VHOSTX_LOG_WARNING = 2,  ///< A peer made an error, or something is not at its best.
  VHOSTX_LOG_ERROR = 3     ///< Something does not work.
};

/// Name of a level, e.g. "warning"; "unknown" for any other number. A static string. Any thread.
const char* vhostx_log_level_name(int level);

/// Receives one line, without a newline. The library owns `line`; it is valid during the call. `level`: one of
/// vhostx_log_level; `user`: vhostx_backend_options::log_user. Called on the control thread, and on the thread that
/// creates or destroys a backend; never on the data path, and with no library lock held. Above debug level, a port logs
/// at most 50 lines per second and 200 at once; a line then reports how many were left out.
typedef void (*vhostx_log_sink)(int level, const char* line, void* user);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
