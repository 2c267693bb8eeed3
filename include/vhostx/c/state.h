// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// Functions of the application's that save and load its own state: of a guest, or of a backend.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/// vhostx_port_options::save_state: writes the state to `buffer`, which has `size` bytes (state_bytes_max), and returns
/// its length. A larger number: it failed. In a migration: the guest leaves, and its vrings are stopped; it may come
/// back, as its migration can still fail. If the call fails, the guest does not move. With a keeper: also each
/// state_interval_ms while a front-end is connected and vrings run, and when the connection is left to another process,
/// with the vrings stopped, within vhostx_port_close() or vhostx_port_destroy(), too. If the call fails, what was kept
/// before stays. For vhostx_backend_options::save_state: see vhostx_backend_options::state_name.
typedef size_t (*vhostx_save_state)(void* user, void* buffer, size_t size);
/// vhostx_port_options::load_state: the guest has come, with the `count` bytes of save_state() at the other host, or
/// its connection has, with those that the process before has kept; no vring runs yet, and
/// VHOSTX_EVENT_FRONT_END_CONNECTED was delivered (but not where vhostx_port_open() is called in an event handler). The
/// bytes are whole and unchanged, but their writer may be another version, and the guest's front-end, or whoever may
/// use the keeper, can forge them. Returns false if they are no good: then nothing may have been loaded. A guest does
/// not move then; a connection goes on without the state. Not called if there is no state. For
/// vhostx_backend_options::load_state: see vhostx_backend_options::state_name.
typedef bool (*vhostx_load_state)(void* user, const void* bytes, size_t count);
/// vhostx_backend_options::on_state_ownership: `ownership` is one of vhostx_ownership (vhostx/c/events.h). `other_pid`:
/// who owns the state instead; 0: this process does, or it is not known here.
typedef void (*vhostx_state_ownership_handler)(void* user, int ownership, int other_pid);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
