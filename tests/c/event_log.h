// SPDX-License-Identifier: BSD-3-Clause
// Events of a port, kept for a test in C that waits for them.
#pragma once

#include <pthread.h>

#include <vhostx/vhostx.h>

struct logged_event {
  int kind;
  int index;        ///< Of the vring, where there is one; else -1.
  uint64_t number;  ///< Features, MTU, status, regions, cause of a fault, code of a reason.
  char name[32];
  char text[200];
};

struct event_log {
  pthread_mutex_t lock;
  pthread_cond_t arrived;
  struct logged_event events[256];
  unsigned count;
  unsigned taken;
  vhostx_port* port;  ///< Of the last event.
};

void event_log_init(struct event_log* log);
/// A vhostx_event_handler; `user` is an event_log.
void event_log_add(vhostx_port* port, const vhostx_event* event, void* user);
/// Passes over events until one of this kind comes, which it returns; null (and a failure) when none comes in time.
const struct logged_event* event_log_until(struct event_log* log, int kind);
/// The same until vring `index` has started.
void event_log_until_started(struct event_log* log, int index);
