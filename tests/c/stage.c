// SPDX-License-Identifier: BSD-3-Clause
#include "tests/c/stage.h"

#include <stddef.h>

struct stage* set_up(const char* name, bool zero_copy) {
  static struct stage stage;
  fake_pool();
  event_log_init(&stage.log);
  stage.backend = vhostx_backend_create(NULL, NULL);
  vhostx_port_options options;
  vhostx_port_options_init(&options, sizeof options);
  options.socket_path = fake_path(name);
  options.zero_copy = zero_copy;
  options.loan_timeout_ms = 0;
  stage.port = vhostx_port_open(stage.backend, &options, event_log_add, &stage.log, NULL);
  stage.from = vhostx_port_from_guest(stage.port, 0);
  stage.to = vhostx_port_to_guest(stage.port, 0);
  stage.guest = fake_guest_connect(fake_path(name));
  event_log_until_started(&stage.log, 1);
  return &stage;
}

void tear_down(struct stage* stage) {
  if (stage->guest != NULL) fake_guest_leave(stage->guest);
  vhostx_port_destroy(stage->port);
  vhostx_backend_destroy(stage->backend);
}
