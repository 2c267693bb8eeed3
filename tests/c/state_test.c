// SPDX-License-Identifier: BSD-3-Clause
// An application's own state moves with its guest, or is kept for the next process.
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
  int changes;  // of the state's ownership
  int ownership;
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

static void on_ownership(void* user, int ownership, int other_pid) {
  struct application* const application = user;
  (void)other_pid;
  ++application->changes;
  application->ownership = ownership;
}

static vhostx_backend_options kept_options(const char* keeper, struct application* application) {
  vhostx_backend_options options;
  vhostx_backend_options_init(&options, sizeof options);
  options.control_thread = VHOSTX_CONTROL_THREAD_APPLICATION;
  options.keeper = keeper;
  options.state_name = "firewall";
  options.save_state = save_state;
  options.load_state = load_state;
  options.on_state_ownership = on_ownership;
  options.state_user = application;
  options.state_bytes_max = 64;
  return options;
}

void a_backends_state_is_kept(const char* keeper) {
  struct application first = {.state = "rules"};
  struct application second = {.state = ""};
  struct application third = {.state = ""};
  fake_pool();  // EAL
  vhostx_backend_options options = kept_options(keeper, &first);
  vhostx_backend_destroy(vhostx_backend_create(&options, NULL));
  CHECK(first.loads == 0);

  options = kept_options(keeper, &second);
  vhostx_backend* const old = vhostx_backend_create(&options, NULL);
  CHECK(second.loads == 1 && second.changes == 0);
  CHECK_TEXT(second.state, "rules");
  vhostx_error error = {0};
  CHECK(vhostx_backend_create(&options, &error) == NULL && error.code == VHOSTX_BUSY);

  strcpy(second.state, "newer rules");
  options = kept_options(keeper, &third);
  options.keeper_claim = VHOSTX_KEEPER_CLAIM_TAKE_OVER;
  vhostx_backend* const fresh = vhostx_backend_create(&options, NULL);
  CHECK(third.changes == 1 && third.ownership == VHOSTX_OWNERSHIP_STANDING_BY);
  while (third.changes == 1) {
    vhostx_backend_run_control(old, 1);
    vhostx_backend_run_control(fresh, 1);
  }
  CHECK(third.loads == 1 && third.ownership == VHOSTX_OWNERSHIP_SERVING);
  CHECK_TEXT(third.state, "newer rules");
  CHECK(second.changes == 2 && second.ownership == VHOSTX_OWNERSHIP_STANDING_BY);
  vhostx_backend_destroy(fresh);
  vhostx_backend_destroy(old);

  options.state_name = NULL;
  CHECK(vhostx_backend_create(&options, &error) == NULL && error.code == VHOSTX_INVALID_ARGUMENT);
  options = kept_options(keeper, &first);
  options.load_state = NULL;
  CHECK(vhostx_backend_create(&options, &error) == NULL && error.code == VHOSTX_INVALID_ARGUMENT);
  CHECK_TEXT(error.message, "save_state is set without load_state: expected both, or none");
}
