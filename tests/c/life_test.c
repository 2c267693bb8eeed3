// SPDX-License-Identifier: BSD-3-Clause
// Backends and ports, from open to close.
#define _DEFAULT_SOURCE
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include <vhostx/vhostx.h>

#include "tests/c/check.h"
#include "tests/c/event_log.h"
#include "tests/c/fake_guest.h"
#include "tests/c/tests_in_c.h"

static vhostx_port* open_port(vhostx_backend* backend, const char* name, vhostx_event_handler handler, void* user) {
  vhostx_port_options options;
  vhostx_port_options_init(&options, sizeof options);
  options.socket_path = fake_path(name);
  vhostx_error error = {.message = "opened"};
  vhostx_port* const port = vhostx_port_open(backend, &options, handler, user, &error);
  CHECK_TEXT(error.message, "opened");
  return port;
}

void a_port_lives_and_tells(void) {
  static struct event_log log;
  event_log_init(&log);
  vhostx_backend* const backend = vhostx_backend_create(NULL, NULL);
  vhostx_port* const port = open_port(backend, "lives", event_log_add, &log);
  CHECK(access(fake_path("lives"), F_OK) == 0);
  struct fake_guest* const guest = fake_guest_connect(fake_path("lives"));
  const struct logged_event* event = event_log_until(&log, VHOSTX_EVENT_CONNECTED);
  CHECK_TEXT(event->name, "connected");
  CHECK_TEXT(event->text, "front-end connected");
  CHECK(log.port == port);
  CHECK(event_log_until(&log, VHOSTX_EVENT_FEATURES_NEGOTIATED)->number != 0);
  CHECK(event_log_until(&log, VHOSTX_EVENT_MEMORY_CHANGED)->number == 1);
  event_log_until_started(&log, 1);
  fake_guest_set_mtu(guest, 1500);
  event = event_log_until(&log, VHOSTX_EVENT_MTU_SET);
  CHECK(event->number == 1500);
  CHECK_TEXT(event->text, "MTU 1500");
  fake_guest_enable(guest, 1, false);
  event = event_log_until(&log, VHOSTX_EVENT_VRING_ENABLED);
  CHECK(event->index == 1 && event->number == 0);
  fake_guest_leave(guest);
  event_log_until(&log, VHOSTX_EVENT_VRING_STOPPED);
  CHECK(event_log_until(&log, VHOSTX_EVENT_DISCONNECTED)->number == VHOSTX_CLOSED);
  vhostx_port_destroy(port);
  CHECK(access(fake_path("lives"), F_OK) != 0);
  vhostx_backend_destroy(backend);
}

static atomic_uint missed_lines;

static void count_missed(int level, const char* line, void* user) {
  (void)user;
  if (strstr(line, "vring 6 was asked for, expected 0 to 1: queue_pairs_max is 1") != NULL &&
      level == VHOSTX_LOG_WARNING)
    atomic_fetch_add(&missed_lines, 1);
}

/// What a program does that did not look at what it was given.
static void use_null(void) {
  vhostx_vring* const none = NULL;
  struct rte_mbuf* packets[1] = {NULL};
  CHECK(vhostx_vring_dequeue_burst(none, fake_pool(), packets, 1) == 0);
  CHECK(vhostx_vring_enqueue_burst(none, packets, 1) == 0 && vhostx_vring_commit_burst(none, packets, 1) == 0);
  CHECK(vhostx_vring_borrow_burst(none, fake_pool(), packets, 1) == 0 && vhostx_vring_poll_completions(none) == 0);
  CHECK(!vhostx_vring_set_notifications(none, true) && !vhostx_vring_call_guest(none));
  vhostx_vring_hold_calls(none, true);
  CHECK(vhostx_vring_index(none) == 0 && !vhostx_vring_is_from_guest(none) && vhostx_vring_pending(none) == 0);
  CHECK(vhostx_vring_enqueue_end(none) == VHOSTX_ENQUEUE_NOT_RUNNING && vhostx_vring_kick_fd(none) == -1);
  CHECK(vhostx_vring_get_state(none) == 0 && vhostx_vring_size(none) == 0 && vhostx_vring_count(none, 0) == 0);
  CHECK(vhostx_vring_numa_node(none) == VHOSTX_NO_NODE);
  uint64_t packets_moved = 1;
  CHECK(vhostx_vring_get_stats(none, &packets_moved, 1) == 1 && packets_moved == 0);
  vhostx_avail_watch watch = {.seen = 1};
  vhostx_vring_get_avail_watch(none, &watch, sizeof watch);
  CHECK(watch.index == NULL && watch.seen == 0);
  vhostx_loan_state loans = {.overdue = 1};
  vhostx_vring_get_loans(none, &loans, sizeof loans);
  CHECK(loans.outstanding == 0 && loans.overdue == 0);
  vhostx_error error = {0};
  CHECK(vhostx_vring_get_placement(none, &error) == NULL && error.code == VHOSTX_INVALID_ARGUMENT);
  CHECK_TEXT(error.message, "the vring is null, expected one of vhostx_port_vring()");
  vhostx_waiter* const waiter = vhostx_waiter_create(NULL);
  CHECK(vhostx_waiter_watch(waiter, none, &error) == VHOSTX_INVALID_ARGUMENT);
  vhostx_waiter_unwatch(waiter, none);
  vhostx_waiter_destroy(waiter);
  vhostx_transfer* const transfer = vhostx_transfer_create(NULL);
  CHECK(vhostx_transfer_begin(transfer, none, 1) == 0);
  vhostx_transfer_destroy(transfer);
}

void an_index_past_the_last_vring_is_said(void) {
  atomic_store(&missed_lines, 0);
  vhostx_backend_options options;
  vhostx_backend_options_init(&options, sizeof options);
  options.log = count_missed;
  vhostx_backend* const backend = vhostx_backend_create(&options, NULL);
  vhostx_port* const port = open_port(backend, "missed", NULL, NULL);
  CHECK(vhostx_port_from_guest(port, 0) != NULL);
  CHECK(vhostx_port_to_guest(port, 3) == NULL);
  CHECK(vhostx_port_vring(port, 2) == NULL && vhostx_port_from_guest(port, UINT16_MAX) == NULL);
  vhostx_port_look_at_placement(port, NULL);  // the control thread takes a turn
  while (atomic_load(&missed_lines) == 0) usleep(1000);
  use_null();
  vhostx_port_destroy(port);
  vhostx_backend_destroy(backend);
  CHECK(atomic_load(&missed_lines) == 1);
}

struct closing {
  atomic_bool closed;
  vhostx_port* port;
};

/// Its control side runs in vhostx_backend_run_control().
static vhostx_backend* backend_of_ours(void) {
  vhostx_backend_options options;
  vhostx_backend_options_init(&options, sizeof options);
  options.control_thread = VHOSTX_CONTROL_THREAD_APPLICATION;
  return vhostx_backend_create(&options, NULL);
}

static void close_at_once(vhostx_port* port, const vhostx_event* event, void* user) {
  struct closing* const closing = user;
  if (event->kind != VHOSTX_EVENT_CONNECTED) return;
  closing->port = port;
  vhostx_port_destroy(port);
  atomic_store(&closing->closed, true);
}

void a_handler_may_close_its_port(void) {
  struct closing closing = {.port = NULL};
  atomic_init(&closing.closed, false);
  vhostx_backend* const backend = backend_of_ours();
  vhostx_port* const port = open_port(backend, "closes", close_at_once, &closing);
  const int peer = fake_connect(fake_path("closes"));
  while (!atomic_load(&closing.closed)) vhostx_backend_run_control(backend, 100);
  CHECK(closing.port == port);
  CHECK(access(fake_path("closes"), F_OK) != 0);
  close(peer);
  vhostx_backend_destroy(backend);
}

void a_port_answers_what_it_is(void) {
  static struct event_log log;
  event_log_init(&log);
  vhostx_backend* const backend = vhostx_backend_create(NULL, NULL);
  vhostx_port* const port = open_port(backend, "answers", event_log_add, &log);
  CHECK_TEXT(vhostx_port_socket_path(port), fake_path("answers"));
  CHECK(vhostx_port_vring_count(port) == 2);
  CHECK(vhostx_port_vring(port, 0) == vhostx_port_to_guest(port, 0));
  CHECK(vhostx_port_vring(port, 1) == vhostx_port_from_guest(port, 0));
  CHECK(vhostx_port_vring(port, 2) == NULL && vhostx_port_to_guest(port, 1) == NULL);
  CHECK(vhostx_port_from_guest(port, UINT16_MAX) == NULL);
  vhostx_vring* const ring = vhostx_port_from_guest(port, 0);
  CHECK(vhostx_vring_index(ring) == 1 && vhostx_vring_is_from_guest(ring));
  CHECK(!vhostx_vring_is_from_guest(vhostx_port_to_guest(port, 0)));
  CHECK(vhostx_vring_get_state(ring) == 0 && vhostx_vring_kick_fd(ring) == -1 && vhostx_vring_size(ring) == 0);
  struct fake_guest* const guest = fake_guest_connect(fake_path("answers"));
  event_log_until_started(&log, 1);
  CHECK(vhostx_vring_get_state(ring) == (VHOSTX_VRING_STARTED | VHOSTX_VRING_ENABLED));
  CHECK(vhostx_vring_kick_fd(ring) >= 0 && vhostx_vring_size(ring) != 0);
  vhostx_port_info info;
  memset(&info, 0xff, sizeof info);
  vhostx_error error;
  CHECK(vhostx_port_get_info(port, &info, sizeof info, &error) == VHOSTX_OK);
  CHECK(info.connected && info.features != 0 && (info.features & ~info.features_offered) == 0);
  CHECK(info.protocol_features != 0 && info.memory_regions == 1 && info.memory_bytes == 8U << 20);
  vhostx_port_options options;
  vhostx_port_get_options(port, &options, sizeof options);
  uint64_t offered = 0;
  CHECK(vhostx_port_offered_features(&options, &offered, &error) == VHOSTX_OK && offered == info.features_offered);
  options.role = 9;
  CHECK(vhostx_port_offered_features(&options, &offered, &error) == VHOSTX_INVALID_ARGUMENT);
  CHECK(info.vrings_named == 2 && info.vrings_ready == 2 && info.queue_pairs_up == 1);
  CHECK(info.link_up && vhostx_port_link_up(port) && !info.driver_ok);
  CHECK(info.connections == 1 && info.mtu == 0 && info.memory_regions_for_dma == 0);
  while (info.releases_pending != 0)  // the file of the memory is mapped, and its descriptor on its way
    CHECK(vhostx_port_get_info(port, &info, sizeof info, &error) == VHOSTX_OK);
  fake_guest_leave(guest);
  vhostx_port_destroy(port);
  vhostx_backend_destroy(backend);
}

struct lines {
  pthread_mutex_t lock;
  unsigned count;
  bool named;
};

static void count_line(int level, const char* line, void* user) {
  struct lines* const lines = user;
  pthread_mutex_lock(&lines->lock);
  ++lines->count;
  lines->named = lines->named || (level <= VHOSTX_LOG_INFO && strstr(line, fake_path("logged")) != NULL);
  pthread_mutex_unlock(&lines->lock);
}

void a_closed_port_does_nothing_more(void) {
  static struct event_log log;
  event_log_init(&log);
  vhostx_backend* const backend = vhostx_backend_create(NULL, NULL);
  vhostx_port* const port = open_port(backend, "closed", event_log_add, &log);
  struct fake_guest* const guest = fake_guest_connect(fake_path("closed"));
  event_log_until_started(&log, 1);
  vhostx_port_close(port);
  CHECK(access(fake_path("closed"), F_OK) != 0);
  struct rte_mbuf* packet;
  CHECK(vhostx_vring_dequeue_burst(vhostx_port_from_guest(port, 0), NULL, &packet, 1) == 0);
  vhostx_port_info info;
  CHECK(vhostx_port_get_info(port, &info, sizeof info, NULL) == VHOSTX_OK);
  CHECK(!info.connected);
  fake_guest_leave(guest);
  vhostx_port_destroy(port);
  vhostx_backend_destroy(backend);
}

void a_guest_is_disconnected(void) {
  static struct event_log log;
  event_log_init(&log);
  vhostx_backend* const backend = vhostx_backend_create(NULL, NULL);
  vhostx_port* const port = open_port(backend, "disconnected", event_log_add, &log);
  CHECK(!vhostx_port_disconnect(port));
  for (int i = 0; i < 2; ++i) {
    struct fake_guest* const guest = fake_guest_connect(fake_path("disconnected"));
    event_log_until_started(&log, 1);
    CHECK(vhostx_port_disconnect(port) && !vhostx_port_link_up(port));
    CHECK(event_log_until(&log, VHOSTX_EVENT_DISCONNECTED)->number == VHOSTX_CLOSED);
    fake_guest_leave(guest);
  }
  vhostx_port_destroy(port);
  vhostx_backend_destroy(backend);
}

void a_socket_of_somebody_else_is_served(void) {
  static struct event_log log;
  event_log_init(&log);
  vhostx_backend* const backend = vhostx_backend_create(NULL, NULL);
  vhostx_port_options options;
  vhostx_port_options_init(&options, sizeof options);
  options.listen_fd = fake_listen(fake_path("activated"));
  vhostx_error error = {.message = "opened"};
  vhostx_port* const port = vhostx_port_open(backend, &options, event_log_add, &log, &error);
  CHECK_TEXT(error.message, "opened");
  CHECK_TEXT(vhostx_port_socket_path(port), fake_path("activated"));
  struct fake_guest* const guest = fake_guest_connect(fake_path("activated"));
  event_log_until_started(&log, 1);
  fake_guest_leave(guest);
  vhostx_port_destroy(port);
  CHECK(access(fake_path("activated"), F_OK) == 0);
  close(options.listen_fd);
  unlink(fake_path("activated"));
  vhostx_backend_destroy(backend);
}

void lines_are_logged(void) {
  static struct lines lines = {.lock = PTHREAD_MUTEX_INITIALIZER};
  static struct event_log log;
  event_log_init(&log);
  vhostx_backend_options options;
  vhostx_backend_options_init(&options, sizeof options);
  options.log = count_line;
  options.log_user = &lines;
  options.log_level = VHOSTX_LOG_ERROR;
  vhostx_backend* const backend = vhostx_backend_create(&options, NULL);
  vhostx_backend_set_log_level(backend, VHOSTX_LOG_DEBUG);
  vhostx_backend_set_log_level(backend, VHOSTX_LOG_ERROR + 1);  // is no level, and changes nothing
  vhostx_backend_take_over(backend);                            // nothing stands by
  vhostx_port* const port = open_port(backend, "logged", event_log_add, &log);
  struct fake_guest* const guest = fake_guest_connect(fake_path("logged"));
  event_log_until_started(&log, 1);
  fake_guest_leave(guest);
  vhostx_port_destroy(port);
  vhostx_backend_destroy(backend);
  CHECK(lines.count > 0 && lines.named);
}

void an_application_runs_the_control_side(void) {
  static struct event_log log;
  event_log_init(&log);
  vhostx_backend* const backend = backend_of_ours();
  vhostx_port* const port = open_port(backend, "own", event_log_add, &log);
  const int peer = fake_connect(fake_path("own"));
  while (log.count == 0) vhostx_backend_run_control(backend, 100);  // events come on this thread
  CHECK(log.events[0].kind == VHOSTX_EVENT_CONNECTED);
  close(peer);
  vhostx_port_destroy(port);
  vhostx_backend_destroy(backend);
}

void a_client_finds_its_front_end(void) {
  static struct event_log log;
  event_log_init(&log);
  vhostx_backend* const backend = vhostx_backend_create(NULL, NULL);
  vhostx_port_options options;
  vhostx_port_options_init(&options, sizeof options);
  options.socket_path = fake_path("front-end");
  options.role = VHOSTX_ROLE_CLIENT;
  options.reconnect_delay_min_ms = 1;
  vhostx_port* const port = vhostx_port_open(backend, &options, event_log_add, &log, NULL);
  if (CHECK(port != NULL)) {
    event_log_until(&log, VHOSTX_EVENT_CONNECT_FAILED);
    vhostx_port_info info;
    CHECK(vhostx_port_get_info(port, &info, sizeof info, NULL) == VHOSTX_OK);
    CHECK(strstr(info.last_error, fake_path("front-end")) != NULL);
    const int listener = fake_listen(fake_path("front-end"));
    event_log_until(&log, VHOSTX_EVENT_CONNECTED);
    close(listener);
  }
  vhostx_port_destroy(port);
  unlink(fake_path("front-end"));
  vhostx_backend_destroy(backend);
}

void sigbus_of_others_is_not_ours(void) {
  static int nowhere;
  siginfo_t info;
  memset(&info, 0, sizeof info);
  info.si_signo = SIGBUS;
  info.si_addr = &nowhere;
  CHECK(!vhostx_recover_from_bus_error(&info));
}
