// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// Where log lines go.
#pragma once

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/// How much a line of the log matters.
enum vhostx_log_level {
  VHOSTX_LOG_DEBUG = 0,    ///< Each message of each peer.
  VHOSTX_LOG_INFO = 1,     ///< What happens in the life of a connection.
  VHOSTX_LOG_WARNING = 2,  ///< A peer did something wrong, or something is not as it could be.
  VHOSTX_LOG_ERROR = 3     ///< Something does not work.
};

/// Name of a level, e.g. "warning"; "unknown" for any other number. Any thread.
const char* vhostx_log_level_name(int level);

/// Takes one line without its newline; the text is the library's, and good during the call. `level`: one of
/// vhostx_log_level; `user`: as given with the function. Called on the control thread, and on the thread that makes or
/// ends a backend; never on the data path, with no library lock held. What front-ends of one port cause is at most 50
/// lines a second, and 200 at once: how many more there were is said.
typedef void (*vhostx_log_sink)(int level, const char* line, void* user);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
