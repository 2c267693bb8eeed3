// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// Errors: a code for programs and a message for people.
#pragma once

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/// Kind of an error. The message with it says what exactly was wrong and what was expected.
enum vhostx_code {
  VHOSTX_OK = 0,                  ///< Success.
  VHOSTX_INVALID_ARGUMENT = 1,    ///< A value from the caller is out of range or contradicts another one.
  VHOSTX_UNSUPPORTED = 2,         ///< The library, the build or the machine cannot do this.
  VHOSTX_BUSY = 3,                ///< It is in use, e.g. a process listens on the same path.
  VHOSTX_LIMIT = 4,               ///< A configured or built-in bound would be exceeded.
  VHOSTX_OUT_OF_MEMORY = 5,       ///< An allocation failed.
  VHOSTX_SYSTEM = 6,              ///< A system call failed: see vhostx_error::system_errno.
  VHOSTX_PROTOCOL_VIOLATION = 7,  ///< The peer broke the vhost-user or VIRTIO specification.
  VHOSTX_CLOSED = 8,              ///< The peer is gone.
  VHOSTX_TIMED_OUT = 9            ///< The peer did not answer in time.
};

/// An error. The caller provides the struct; its size never changes.
typedef struct vhostx_error {
  int code;           ///< One of vhostx_code.
  int system_errno;   ///< errno if `code` is VHOSTX_SYSTEM, else 0.
  char message[504];  ///< What was wrong and what was expected, without a full stop. Never empty; cut if it is
                      ///< longer.
} vhostx_error;

/// Name of a code in logs and JSON, e.g. "protocol_violation"; "unknown" for any other number. A static string. Any
/// thread.
const char* vhostx_code_name(int code);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
