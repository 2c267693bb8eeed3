// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// vhostx_waiter: lets a polling thread sleep until one of its vrings is kicked.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <vhostx/c/error.h>
#include <vhostx/c/vring.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/// Sleeps until one of its vrings is kicked; one per worker thread. The library adds and removes the kick eventfds of
/// the watched vrings as their rings start and stop.
///
///     vhostx_waiter_watch(waiter, vring, &error);          // once
///     // when there was no work for a while:
///     if (!vhostx_vring_set_notifications(vring, true)) vhostx_waiter_wait(waiter, 1000);
///     vhostx_vring_set_notifications(vring, false);
typedef struct vhostx_waiter vhostx_waiter;

/// Creates a waiter. Null on errors: VHOSTX_SYSTEM (epoll or eventfd could not be created), VHOSTX_OUT_OF_MEMORY. Any
/// thread.
vhostx_waiter* vhostx_waiter_create(vhostx_error* error);
/// Destroys a waiter. No thread may be in vhostx_waiter_wait(). Watched vrings need not be unwatched first. Any thread.
void vhostx_waiter_destroy(vhostx_waiter* waiter);

/// Watches a vring, now and after each restart, until vhostx_waiter_unwatch() or the end of the port. A vring has at
/// most one waiter; a second one replaces the first. The kicks of a driver that polls cannot be watched, because it
/// provides no eventfd. Errors: VHOSTX_SYSTEM (the kick cannot be watched),
/// VHOSTX_INVALID_ARGUMENT (the vring is null). Takes a lock: not for the data path. Any
/// thread.
int vhostx_waiter_watch(vhostx_waiter* waiter, vhostx_vring* vring, vhostx_error* error);
/// Stops watching a vring; no effect on a vring that this waiter does not watch. Any thread.
void vhostx_waiter_unwatch(vhostx_waiter* waiter, vhostx_vring* vring);

/// Watches any other descriptor (a TAP, a timer) for input, until it is closed. The caller owns it. Error:
/// VHOSTX_SYSTEM. Any thread.
int vhostx_waiter_watch_fd(vhostx_waiter* waiter, int fd, vhostx_error* error);
/// Stops watching a descriptor that stays open, for example one that failed and would wake the waiter for ever
/// (EPOLLERR). No effect on a descriptor that it does not watch. Any thread.
void vhostx_waiter_unwatch_fd(vhostx_waiter* waiter, int fd);

/// Sleeps until a kick, input on a watched descriptor, vhostx_waiter_wake(), or the start of a watched vring, for
/// `timeout_ms` milliseconds at most. Returns false if the timeout passed. 0 does not sleep. One thread at a time.
bool vhostx_waiter_wait(vhostx_waiter* waiter, uint32_t timeout_ms);

/// Ends the vhostx_waiter_wait() in progress, or else the next one. Any thread.
void vhostx_waiter_wake(vhostx_waiter* waiter);

/// The epoll descriptor, for the application's own event loop: readable when vhostx_waiter_wait() would return at once.
/// The waiter owns it. Any thread.
int vhostx_waiter_fd(const vhostx_waiter* waiter);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
