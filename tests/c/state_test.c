// SPDX-License-Identifier: BSD-3-Clause
// An application's own state moves with its guest.
#include <string.h>

#include <vhostx/vhostx.h>

#include "tests/c/check.h"
#include "tests/c/fake_guest.h"
#include "tests/c/tests_in_c.h"

/// A firewall, say.
struct application {
  char state[32];
  size_t save_result;  // what save_state returns instead of the length, 0: the length
  bool refuses;
  int loads;
};

static size_t save_state(void* user, void* buffer, size_t size) {
  struct application* const application = user;
  if (application->save_result != 0) return application->save_result;
  CHECK(size == 64);
  memcpy(buffer, application->state, sizeof application->state);
  return sizeof application->state;
}

static bool load_state(void* user, const void* bytes, size_t count) {
  struct application* const application = user;
  if (application->refuses || !CHECK(count == sizeof application->state)) return false;
  memcpy(application->state, bytes, count);
  ++application->loads;
  return true;
}

static vhostx_port* open_port(vhostx_backend* backend, const char* name, struct application* application) {
  vhostx_port_options options;
  vhostx_port_options_init(&options, sizeof options);
  options.socket_path = fake_path(name);
  options.save_state = save_state;
  options.load_state = load_state;
  options.state_user = application;
  options.state_bytes_max = 64;
  options.migrate_stats = true;
  vhostx_port* const port = vhostx_port_open(backend, &options, NULL, NULL, NULL);
  CHECK(port != NULL);
  return port;
}

static int move_state(void) {
  char from[108];
  strcpy(from, fake_path("from"));
  return fake_move_state(from, fake_path("to"));
}

void a_state_moves_from_port_to_port(void) {
  struct application source = {.state = "connections"};
  struct application destination = {.state = ""};
  fake_pool();  // EAL
  vhostx_backend* const backend = vhostx_backend_create(NULL, NULL);
  vhostx_port* const from = open_port(backend, "from", &source);
  vhostx_port* const to = open_port(backend, "to", &destination);

  CHECK(move_state() == 0);
  CHECK_TEXT(destination.state, "connections");
  CHECK(destination.loads == 1);

  destination.refuses = true;
  CHECK(move_state() == 2);
  source.save_result = SIZE_MAX;  // it failed
  CHECK(move_state() == 1);
  source.save_result = 65;  // longer than it may be
  CHECK(move_state() == 1);
  CHECK(destination.loads == 1);

  vhostx_port_options options;
  vhostx_port_get_options(from, &options, sizeof options);
  CHECK(options.save_state == save_state && options.load_state == load_state && options.state_user == &source);
  CHECK(options.state_bytes_max == 64 && options.migrate_stats);
  vhostx_port_destroy(to);
  vhostx_port_destroy(from);
  vhostx_backend_destroy(backend);
}
