// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// vhostx_backend: the control thread and the ports that it serves.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vhostx/c/error.h>
#include <vhostx/c/log.h>
#include <vhostx/c/state.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/// The control side of any number of ports: messages, timers, events. A process may have any number of backends. They
/// share only the SIGBUS handler and up to 16 contexts for asynchronous I/O, which signal eventfds.
typedef struct vhostx_backend vhostx_backend;

/// Which thread runs the control side.
enum vhostx_control_thread {
  VHOSTX_CONTROL_THREAD_OWN = 0,         ///< The library starts a thread, named vhostx-control. It blocks signals
                                         ///< other than faults and runs on vhostx_backend_options::control_cpus.
  VHOSTX_CONTROL_THREAD_APPLICATION = 1  ///< The application calls vhostx_backend_run_control() repeatedly, always from
                                         ///< the same thread.
};

/// Which code handles SIGBUS. The kernel raises it on an access to guest memory that its owner has taken away.
enum vhostx_bus_errors {
  VHOSTX_BUS_ERRORS_HANDLE = 0,  ///< The library, from the first backend to the end of the process. It passes signals
                                 ///< that are not about guest memory to the previous action. If the application has a
                                 ///< handler, install it before.
  VHOSTX_BUS_ERRORS_APPLICATION = 1  ///< The application, whose handler calls vhostx_recover_from_bus_error().
};

/// What vhostx_port_open() does with a port that another process serves, by the word of the keeper. The ports that wait
/// tell how it goes by VHOSTX_EVENT_OWNERSHIP_CHANGED.
enum vhostx_keeper_claim {
  VHOSTX_KEEPER_CLAIM_IF_FREE = 0,   ///< It fails: VHOSTX_BUSY.
  VHOSTX_KEEPER_CLAIM_STAND_BY = 1,  ///< The port waits until that process ends, is killed, or closes the port.
  VHOSTX_KEEPER_CLAIM_TAKE_OVER = 2  ///< The same, and that process is asked to hand the port over now. See
                                     ///< vhostx_port_confirm_take_over().
};

/// Options for a backend. vhostx_backend_options_init() sets the defaults, which are given at the end of each line.
typedef struct vhostx_backend_options {
  size_t size;          ///< Size of this struct in the caller's header.
  vhostx_log_sink log;  ///< Receives log lines; null: no log. Null.
  void* log_user;       ///< Passed to `log`. Null.
  int log_level;        ///< One of vhostx_log_level: lines below it are not produced. VHOSTX_LOG_INFO.
  int control_thread;   ///< One of vhostx_control_thread. VHOSTX_CONTROL_THREAD_OWN.
  int bus_errors;       ///< One of vhostx_bus_errors. VHOSTX_BUS_ERRORS_HANDLE.
  int reserved;         ///< 0.
  /// CPUs on which the library's own threads run, by the kernel's numbers (0 to 1023). Null with control_cpu_count 0:
  /// those of the thread that calls vhostx_backend_create(), without the CPUs of EAL's lcores; where none is left,
  /// those of the whole process without the lcores'; where none is left either, those of the calling thread. With
  /// VHOSTX_CONTROL_THREAD_APPLICATION they are for the threads that close descriptors (vhostx-release) alone. Null.
  const unsigned* control_cpus;
  size_t control_cpu_count;  ///< Number of CPUs in control_cpus. 0.
  /// Socket of a keeper (vhostx-keeper, at most 107 bytes), which holds the connections of all ports while no process
  /// serves them. A port that is opened with the name of one that is held goes on with its connection. Null: none, and
  /// connections end with the process. A port with zero_copy records what is lent, so that each buffer is given back
  /// once, also after a kill. Counters of vrings and vhostx_port_info::connections go on. Null.
  const char* keeper;
  /// How long the keeper holds the connection of a port that was closed, or whose backend was destroyed, for the next
  /// process, in milliseconds, 0 to 86400000. 0: not at all. 30000.
  uint64_t keeper_grace_ms;
  int keeper_claim;  ///< One of vhostx_keeper_claim. VHOSTX_KEEPER_CLAIM_IF_FREE.
  int reserved_2;    ///< 0.
  /// The application's bytes that belong to no port, which the keeper holds for the next process: under which name, 1
  /// to 100 bytes, the same in each process that is to have them. It is no socket path, and may be that of a port: in
  /// lists of the keeper an '@' is before it, with which no port's path begins. Without a keeper nothing is kept. They
  /// are yielded as soon as another process asks for them (VHOSTX_KEEPER_CLAIM_TAKE_OVER), in its
  /// vhostx_backend_create(), and left for keeper_grace_ms. The functions are called on the control thread, within
  /// vhostx_backend_create() and vhostx_backend_destroy(), too. They must not destroy the backend.
  ///
  /// save_state() is called each state_interval_ms while this process owns the bytes, right before it yields them to
  /// another one, and when the backend is destroyed, after its ports are closed (not with a keeper_grace_ms of 0).
  /// load_state() gets what the process before has kept, once for each time that this process comes to own it: within
  /// vhostx_backend_create(), or later where another process had to end or to yield it. It is not called if nothing was
  /// kept, or where it is damaged or larger than state_bytes_max: the log says so. Whoever may use the keeper can forge
  /// the bytes.
  ///
  /// Null: none, and save_state and load_state must be null, too. Null.
  const char* state_name;
  vhostx_save_state save_state;  ///< Null.
  vhostx_load_state load_state;  ///< Null.
  /// Optional: who owns the bytes. VHOSTX_OWNERSHIP_STANDING_BY: another process does. _SERVING: this one does now, and
  /// load_state() was called if there was something to load. _YIELDING: another one takes them over, and save_state()
  /// is called next for the last time. _HANDED_OVER: that process has them for good, by its
  /// vhostx_port_confirm_take_over(). Not called where vhostx_backend_create() finds them free. Null.
  vhostx_state_ownership_handler on_state_ownership;
  void* state_user;            ///< `user` of the three. Null.
  uint32_t state_bytes_max;    ///< Most bytes, 0 to 16 MiB. 1048576.
  uint32_t state_interval_ms;  ///< Interval at which save_state() is called and the bytes kept if they have changed,
                               ///< 10 ms to 24 h. A process that is killed leaves what it kept last. 0: they are kept
                               ///< only when they are left in order. 1000.
} vhostx_backend_options;

/// Sets all defaults. `size`: sizeof *options. Options that the library does not know become 0. Any thread.
void vhostx_backend_options_init(vhostx_backend_options* options, size_t size);

/// Creates a backend. EAL must be initialised. `options`: null for the defaults; not used after the call. Returns null
/// on errors: VHOSTX_INVALID_ARGUMENT (EAL is not initialised, an option), VHOSTX_UNSUPPORTED (an option that only a
/// newer library knows), VHOSTX_SYSTEM (no thread, no descriptors, no SIGBUS handler), VHOSTX_OUT_OF_MEMORY; with a
/// state_name also VHOSTX_BUSY (a process that lives owns it, by the keeper's word), and those of the keeper. If the
/// process cannot have asynchronous I/O, a warning in the log says what a front-end can do then. Any thread.
vhostx_backend* vhostx_backend_create(const vhostx_backend_options* options, vhostx_error* error);

/// Destroys a backend. Closes the ports that still exist, with their events; call vhostx_port_destroy() for each of
/// them afterwards, or before. Must not be called from an event handler. Threads: any other, but with
/// VHOSTX_CONTROL_THREAD_APPLICATION only the thread that runs the control side.
void vhostx_backend_destroy(vhostx_backend* backend);

/// Asks for the state and all ports that stand by (VHOSTX_KEEPER_CLAIM_STAND_BY), at once: the processes that serve
/// them hand them over as with VHOSTX_KEEPER_CLAIM_TAKE_OVER. What is opened first and asked for then leaves guests
/// without service for the hand-over alone, and not while further ports are opened. VHOSTX_EVENT_OWNERSHIP_CHANGED
/// tells how it goes. Without a port that stands by it does nothing. Threads: as vhostx_port_open(), and not in an
/// event handler.
void vhostx_backend_take_over(vhostx_backend* backend);

/// Sets the level (enum vhostx_log_level) below which lines are not produced, instead of
/// vhostx_backend_options::log_level. No effect if there is no such level. Any thread.
void vhostx_backend_set_log_level(vhostx_backend* backend, int level);

/// With VHOSTX_CONTROL_THREAD_APPLICATION: runs the handlers that are due, at most 256; if none is, waits up to
/// `wait_ms` milliseconds for one. Returns how many ran. With VHOSTX_CONTROL_THREAD_OWN, or in an event handler, it
/// does nothing and returns 0.
size_t vhostx_backend_run_control(vhostx_backend* backend, uint32_t wait_ms);

/// For an application's own SIGBUS handler (SA_SIGINFO). `info` points to the siginfo_t that the handler got (strict
/// C11 does not have that type). Returns true if the fault was about guest memory: then return from the handler; the
/// control thread ends the connection that the memory belongs to. Async-signal-safe. Any thread.
bool vhostx_recover_from_bus_error(const void* info);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
