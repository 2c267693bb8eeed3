// SPDX-License-Identifier: BSD-3-Clause
// A port with a guest on it, whose two rings run.
#pragma once

#include <stdbool.h>

#include <vhostx/vhostx.h>

#include "tests/c/event_log.h"
#include "tests/c/fake_guest.h"

struct stage {
  struct event_log log;
  vhostx_backend* backend;
  vhostx_port* port;
  vhostx_vring* from;
  vhostx_vring* to;
  struct fake_guest* guest;
};

/// One at a time. Its socket is fake_path(name). With zero copy, loans are not waited for.
struct stage* set_up(const char* name, bool zero_copy);
/// The guest may have left: then `guest` is null.
void tear_down(struct stage* stage);
