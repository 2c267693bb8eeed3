// SPDX-License-Identifier: BSD-3-Clause
#define _DEFAULT_SOURCE
#include "tests/c/event_log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/c/check.h"

enum { PATIENCE_S = 20 };  // only a failure waits that long

void event_log_init(struct event_log* log) {
  memset(log, 0, sizeof *log);
  pthread_mutex_init(&log->lock, NULL);
  pthread_cond_init(&log->arrived, NULL);
}

static void fill(struct logged_event* to, const vhostx_event* event) {
  to->kind = event->kind;
  to->index = -1;
  snprintf(to->name, sizeof to->name, "%s", event->name);
  snprintf(to->text, sizeof to->text, "%s", event->text);
  switch (event->kind) {
    case VHOSTX_EVENT_DISCONNECTED:
      to->number = (uint64_t)event->as.disconnected.code;
      break;
    case VHOSTX_EVENT_FEATURES_NEGOTIATED:
      to->number = event->as.features;
      break;
    case VHOSTX_EVENT_MEMORY_CHANGED:
      to->number = event->as.memory.regions;
      break;
    case VHOSTX_EVENT_VRING_STARTED:
    case VHOSTX_EVENT_VRING_STOPPED:
      to->index = event->as.vring.index;
      break;
    case VHOSTX_EVENT_VRING_ENABLED:
      to->index = event->as.enabled.index;
      to->number = event->as.enabled.enabled;
      break;
    case VHOSTX_EVENT_VRING_BROKEN:
      to->index = event->as.broken.index;
      to->number = (uint64_t)event->as.broken.fault.cause;
      break;
    case VHOSTX_EVENT_MTU_SET:
      to->number = event->as.mtu;
      break;
    case VHOSTX_EVENT_LOANS_RECALLED:
    case VHOSTX_EVENT_LOANS_OVERDUE:
      to->index = event->as.loans.index;
      to->number = event->as.loans.outstanding;
      break;
    default:
      break;
  }
}

void event_log_add(vhostx_port* port, const vhostx_event* event, void* user) {
  struct event_log* const log = user;
  pthread_mutex_lock(&log->lock);
  log->port = port;
  if (CHECK(log->count < sizeof log->events / sizeof log->events[0])) fill(&log->events[log->count++], event);
  pthread_cond_signal(&log->arrived);
  pthread_mutex_unlock(&log->lock);
}

const struct logged_event* event_log_until(struct event_log* log, int kind) {
  const struct logged_event* found = NULL;
  struct timespec deadline;
  clock_gettime(CLOCK_REALTIME, &deadline);
  deadline.tv_sec += PATIENCE_S;
  pthread_mutex_lock(&log->lock);
  for (int waited = 0; found == NULL && waited == 0;) {
    if (log->taken == log->count) {
      waited = pthread_cond_timedwait(&log->arrived, &log->lock, &deadline);
      continue;
    }
    const struct logged_event* const next = &log->events[log->taken++];
    if (next->kind == kind) found = next;
  }
  pthread_mutex_unlock(&log->lock);
  CHECK(found != NULL);
  return found;
}

void event_log_until_started(struct event_log* log, int index) {
  for (;;) {
    const struct logged_event* const event = event_log_until(log, VHOSTX_EVENT_VRING_STARTED);
    if (event == NULL || event->index == index) return;
  }
}
