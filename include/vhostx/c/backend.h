// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// vhostx_backend: the control thread and the ports that it serves.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vhostx/c/error.h>
#include <vhostx/c/log.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/// The control side: messages, timers, events, of any number of ports. Any number of backends may live in one process;
/// they share no state but what is the process's: the handler of SIGBUS.
typedef struct vhostx_backend vhostx_backend;

/// Who runs the control side.
enum vhostx_control_thread {
  VHOSTX_CONTROL_THREAD_OWN = 0,         ///< The library starts one thread for it.
  VHOSTX_CONTROL_THREAD_APPLICATION = 1  ///< The application calls vhostx_backend_run_control() again and again, from
                                         ///< one thread.
};

/// Who handles SIGBUS, which an access to guest memory raises once its owner has taken it away.
enum vhostx_bus_errors {
  VHOSTX_BUS_ERRORS_HANDLE = 0,  ///< The library, from the first backend to the end of the process. What is not about
                                 ///< guest memory goes to the action that was in force before. An application's own
                                 ///< handler must be installed earlier.
  VHOSTX_BUS_ERRORS_APPLICATION = 1  ///< The application has a handler, and calls vhostx_recover_from_bus_error().
};

/// How a backend shall be. vhostx_backend_options_init() sets the defaults.
typedef struct vhostx_backend_options {
  size_t size;          ///< Of this struct, as the caller knows it.
  vhostx_log_sink log;  ///< Null, the default: silence.
  void* log_user;       ///< Handed to `log`; null.
  int log_level;        ///< One of vhostx_log_level: lines below it are not made. VHOSTX_LOG_INFO.
  int control_thread;   ///< One of vhostx_control_thread. VHOSTX_CONTROL_THREAD_OWN.
  int bus_errors;       ///< One of vhostx_bus_errors. VHOSTX_BUS_ERRORS_HANDLE.
  int reserved;         ///< 0.
} vhostx_backend_options;

/// Sets all defaults. `size` is sizeof *options; what the library does not know of it becomes 0. Any thread.
void vhostx_backend_options_init(vhostx_backend_options* options, size_t size);

/// Makes one. `options`: null for the defaults; not needed after the call. Null on errors: VHOSTX_INVALID_ARGUMENT (an
/// option), VHOSTX_UNSUPPORTED (an option that only a newer library knows), VHOSTX_SYSTEM (no thread, no descriptors),
/// VHOSTX_OUT_OF_MEMORY. Any thread.
vhostx_backend* vhostx_backend_create(const vhostx_backend_options* options, vhostx_error* error);

/// Ends it. Ports that still exist are closed, with their events; vhostx_port_close() is still to be called for each of
/// them. Not from an event handler. Any thread, but with VHOSTX_CONTROL_THREAD_APPLICATION the one that runs the
/// control side.
void vhostx_backend_destroy(vhostx_backend* backend);

/// With VHOSTX_CONTROL_THREAD_APPLICATION: does what is due, waits up to `wait_ms` milliseconds for something to become
/// due, and returns how many things were done. With VHOSTX_CONTROL_THREAD_OWN it does nothing and returns 0.
size_t vhostx_backend_run_control(vhostx_backend* backend, uint32_t wait_ms);

/// For an application's own handler of SIGBUS (SA_SIGINFO): `info` is the siginfo_t that it was called with (a type
/// that strict C11 does not have). True: the fault was about guest memory, and the handler should return; the
/// connection that it belongs to is ended by the control thread. May be called in a signal handler.
bool vhostx_recover_from_bus_error(const void* info);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
