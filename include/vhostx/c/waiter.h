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

/// One a worker thread. The library adds and removes the kick eventfds of the watched vrings as rings start and stop.
///
///     vhostx_waiter_watch(waiter, vring, &error);          // once
///     ...nothing came for a while...
///     if (!vhostx_vring_set_notifications(vring, true)) vhostx_waiter_wait(waiter, 1000);
///     vhostx_vring_set_notifications(vring, false);
typedef struct vhostx_waiter vhostx_waiter;

/// Makes one. Null: VHOSTX_SYSTEM (epoll or eventfd could not be made), VHOSTX_OUT_OF_MEMORY. Any thread.
vhostx_waiter* vhostx_waiter_create(vhostx_error* error);
/// Frees it; nobody waits. Vrings that it watched are let go. Any thread.
void vhostx_waiter_destroy(vhostx_waiter* waiter);

/// Watches a vring, now and after each restart, until vhostx_waiter_unwatch() or the port's end. A vring has at most
/// one waiter; a second one takes its place. A driver that polls gives no eventfd: its ring neither wakes nor ends a
/// wait. Error: VHOSTX_SYSTEM (the kick cannot be watched). Any thread.
int vhostx_waiter_watch(vhostx_waiter* waiter, vhostx_vring* vring, vhostx_error* error);
/// The opposite; nothing happens to a vring that it does not watch. Any thread.
void vhostx_waiter_unwatch(vhostx_waiter* waiter, vhostx_vring* vring);

/// Watches any other descriptor (a TAP, a timer) for input, until it is closed. Error: VHOSTX_SYSTEM. Any thread.
int vhostx_waiter_watch_fd(vhostx_waiter* waiter, int fd, vhostx_error* error);
/// The opposite, for a descriptor that is at an end (EPOLLERR would wake for ever) and stays open; nothing happens to
/// one that it does not watch. Any thread.
void vhostx_waiter_unwatch_fd(vhostx_waiter* waiter, int fd);

/// Sleeps until a kick, input on a watched descriptor, vhostx_waiter_wake(), a vring starting, or `timeout_ms`
/// milliseconds are over. True: something came. One thread at a time.
bool vhostx_waiter_wait(vhostx_waiter* waiter, uint32_t timeout_ms);

/// Ends a wait that is under way, or the next one. Any thread.
void vhostx_waiter_wake(vhostx_waiter* waiter);

/// The epoll descriptor, for an event loop of the application's own: readable when vhostx_waiter_wait() would return at
/// once. The waiter's. Any thread.
int vhostx_waiter_fd(const vhostx_waiter* waiter);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
