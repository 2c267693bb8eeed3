// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// What went wrong, a code for programs and a text for people; and which version this is.
#pragma once

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/// What kind of thing went wrong; the text beside it says what exactly, and what was expected.
enum vhostx_code {
  VHOSTX_OK = 0,                  ///< Nothing went wrong.
  VHOSTX_INVALID_ARGUMENT = 1,    ///< The caller's value is out of range or contradicts another one.
  VHOSTX_UNSUPPORTED = 2,         ///< The library, the build or the machine cannot do this.
  VHOSTX_BUSY = 3,                ///< Someone else holds it, e.g. a live socket at the same path.
  VHOSTX_LIMIT = 4,               ///< A configured or built-in bound would be exceeded.
  VHOSTX_OUT_OF_MEMORY = 5,       ///< An allocation failed.
  VHOSTX_SYSTEM = 6,              ///< A system call failed: see vhostx_error::system_errno.
  VHOSTX_PROTOCOL_VIOLATION = 7,  ///< The peer broke the vhost-user or VIRTIO specification.
  VHOSTX_CLOSED = 8,              ///< The peer is gone.
  VHOSTX_TIMED_OUT = 9            ///< The peer did not answer in time.
};

/// An error that can be read. The caller's; its size is for good.
typedef struct vhostx_error {
  int code;           ///< One of vhostx_code.
  int system_errno;   ///< errno where code is VHOSTX_SYSTEM, else 0.
  char message[504];  ///< What was wrong and what was expected, one line without a full stop, never empty; cut where it
                      ///< is longer.
} vhostx_error;

/// Name of a code as it stands in logs and JSON, e.g. "protocol_violation"; "unknown" for any other number. Any thread.
const char* vhostx_code_name(int code);

/// The library's version as it runs, e.g. "0.1.0". Any thread.
const char* vhostx_version(void);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
