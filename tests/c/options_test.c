// SPDX-License-Identifier: BSD-3-Clause
// Options, errors, names.
#include <string.h>

#include <vhostx/vhostx.h>

#include "tests/c/check.h"
#include "tests/c/fake_guest.h"
#include "tests/c/tests_in_c.h"

void names_are_known(void) {
  CHECK_TEXT(vhostx_code_name(VHOSTX_OK), "ok");
  CHECK_TEXT(vhostx_code_name(VHOSTX_INVALID_ARGUMENT), "invalid_argument");
  CHECK_TEXT(vhostx_code_name(VHOSTX_PROTOCOL_VIOLATION), "protocol_violation");
  CHECK_TEXT(vhostx_code_name(VHOSTX_TIMED_OUT), "timed_out");
  CHECK_TEXT(vhostx_code_name(VHOSTX_TIMED_OUT + 1), "unknown");
  CHECK_TEXT(vhostx_code_name(-1), "unknown");
  CHECK_TEXT(vhostx_log_level_name(VHOSTX_LOG_WARNING), "warning");
  CHECK_TEXT(vhostx_log_level_name(VHOSTX_LOG_ERROR + 1), "unknown");
  CHECK_TEXT(vhostx_fault_cause_name(VHOSTX_FAULT_NONE), "none");
  CHECK_TEXT(vhostx_fault_cause_name(VHOSTX_FAULT_OUTSIDE_MEMORY), "outside_memory");
  CHECK_TEXT(vhostx_fault_cause_name(VHOSTX_FAULT_FRUITLESS), "fruitless");
  CHECK_TEXT(vhostx_fault_cause_name(VHOSTX_FAULT_FRUITLESS + 1), "unknown");
  CHECK_TEXT(vhostx_counter_name(VHOSTX_COUNTER_PACKETS), "packets");
  CHECK_TEXT(vhostx_counter_name(VHOSTX_COUNTER_OVERDUE), "overdue");
  CHECK(vhostx_counter_name(vhostx_counter_count()) == NULL);
  CHECK(vhostx_counter_is_drop(VHOSTX_COUNTER_DROP_TOO_LARGE));
  CHECK(!vhostx_counter_is_drop(VHOSTX_COUNTER_PACKETS) && !vhostx_counter_is_drop(vhostx_counter_count()));
  CHECK_TEXT(vhostx_size_counter_name(VHOSTX_SIZE_65_127), "size_65_127");
  CHECK_TEXT(vhostx_size_counter_name(VHOSTX_SIZE_BROADCAST), "broadcast");
  CHECK(vhostx_size_counter_name(vhostx_size_counter_count()) == NULL);
  CHECK_TEXT(vhostx_version(), VHOSTX_VERSION_STRING);
  CHECK(vhostx_version_number() == VHOSTX_VERSION_NUMBER);
  char text[64];
  CHECK(vhostx_describe_features(VHOSTX_VIRTIO_NET_F_MRG_RXBUF | VHOSTX_VIRTIO_F_VERSION_1, text, sizeof text) == 41);
  CHECK_TEXT(text, "VIRTIO_NET_F_MRG_RXBUF VIRTIO_F_VERSION_1");
  CHECK(vhostx_describe_protocol_features(VHOSTX_PROTOCOL_F_MQ | VHOSTX_PROTOCOL_F_STATUS, text, 5) == 9);
  CHECK_TEXT(text, "MQ S");
  CHECK(vhostx_to_guest_index(2) == 4 && vhostx_from_guest_index(2) == 5);
  CHECK(vhostx_queue_pair_of(5) == 2 && vhostx_is_from_guest(5) && !vhostx_is_from_guest(4));
}

void defaults_are_those_of_cpp(void) {
  vhostx_port_options port;
  memset(&port, 0xff, sizeof port);
  vhostx_port_options_init(&port, sizeof port);
  CHECK(port.size == sizeof port && port.socket_path == NULL && port.features_masked == 0);
  CHECK(port.features_extra == 0 && port.protocol_features_extra == 0);
  CHECK(port.memory_bytes_max == 0 && port.memory_slots_max == 512 && port.queue_pairs_max == 1);
  CHECK(port.role == VHOSTX_ROLE_SERVER && port.numa == VHOSTX_NUMA_FOLLOW && port.numa_interval_ms == 500);
  CHECK(port.message_timeout_ms == 5000 && port.reconnect_delay_min_ms == 100 && port.reconnect_delay_max_ms == 2000);
  CHECK(!port.zero_copy && port.copy_below == 1024 && port.loans_max == 0 && port.loan_timeout_ms == 100);
  CHECK(port.socket_mode == VHOSTX_SOCKET_MODE_OF_UMASK && port.socket_group == VHOSTX_SOCKET_GROUP_OF_PROCESS);
  CHECK(port.listen_fd == -1 && port.reserved == 0 && port.reserved_2[0] == 0 && !port.count_sizes);
  CHECK(port.save_state == NULL && port.load_state == NULL && port.state_user == NULL);
  CHECK(port.state_bytes_max == 1048576 && port.state_interval_ms == 1000 && !port.migrate_stats);
  vhostx_backend_options backend;
  vhostx_backend_options_init(&backend, sizeof backend);
  CHECK(backend.size == sizeof backend && backend.log == NULL && backend.log_level == VHOSTX_LOG_INFO);
  CHECK(backend.control_thread == VHOSTX_CONTROL_THREAD_OWN && backend.bus_errors == VHOSTX_BUS_ERRORS_HANDLE);
  CHECK(backend.control_cpus == NULL && backend.control_cpu_count == 0);
  CHECK(backend.keeper == NULL && backend.keeper_grace_ms == 30000);
  CHECK(backend.keeper_claim == VHOSTX_KEEPER_CLAIM_IF_FREE);
  CHECK(backend.state_name == NULL && backend.save_state == NULL && backend.load_state == NULL);
  CHECK(backend.on_state_ownership == NULL && backend.state_user == NULL);
  CHECK(backend.state_bytes_max == 1048576 && backend.state_interval_ms == 1000);
  vhostx_mempools_options pools;
  vhostx_mempools_options_init(&pools, sizeof pools);
  CHECK_TEXT(pools.name, "vhostx");
  CHECK(pools.mbufs == 8192 && pools.cache == 256 && pools.data_room == 2176 && pools.pools_max == 8);
}

static void refused(vhostx_backend* backend, const vhostx_port_options* options, int code, const char* word) {
  vhostx_error error = {0};
  CHECK(vhostx_port_open(backend, options, NULL, NULL, &error) == NULL);
  CHECK(error.code == code);
  if (!CHECK(strstr(error.message, word) != NULL)) CHECK_TEXT(error.message, word);
}

static vhostx_port_options good_options(void) {
  vhostx_port_options options;
  vhostx_port_options_init(&options, sizeof options);
  options.socket_path = fake_path("options");
  return options;
}

static size_t save_nothing(void* user, void* buffer, size_t size) {
  (void)user, (void)buffer, (void)size;
  return 0;
}

void options_out_of_range_are_refused(void) {
  vhostx_backend* const backend = vhostx_backend_create(NULL, NULL);
  vhostx_port_options options = good_options();
  refused(backend, NULL, VHOSTX_INVALID_ARGUMENT, "socket_path");
  options.socket_path = NULL;
  refused(backend, &options, VHOSTX_INVALID_ARGUMENT, "socket_path");
  options = good_options();
  options.role = 2;
  refused(backend, &options, VHOSTX_INVALID_ARGUMENT, "role is 2, expected 0 to 1");
  options = good_options();
  options.numa = -1;
  refused(backend, &options, VHOSTX_INVALID_ARGUMENT, "numa is -1, expected 0 to 2");
  options = good_options();
  options.queue_pairs_max = 129;
  refused(backend, &options, VHOSTX_INVALID_ARGUMENT, "queue_pairs_max is 129");
  options = good_options();
  options.features_extra = (uint64_t)1 << 33;
  refused(backend, &options, VHOSTX_INVALID_ARGUMENT,
          "features_extra is 0x200000000: cannot offer VIRTIO_F_ACCESS_PLATFORM");
  options = good_options();
  options.protocol_features_extra = (uint64_t)1 << 14;
  refused(backend, &options, VHOSTX_INVALID_ARGUMENT, "expected BACKEND_REQ with it");
  options = good_options();
  options.state_bytes_max = (16 << 20) + 1;
  refused(backend, &options, VHOSTX_INVALID_ARGUMENT, "state_bytes_max is 16777217");
  options = good_options();
  options.state_interval_ms = 9;
  refused(backend, &options, VHOSTX_INVALID_ARGUMENT, "state_interval is 9 ms, expected 10 to 86400000 ms");
  options = good_options();
  options.save_state = save_nothing;
  refused(backend, &options, VHOSTX_INVALID_ARGUMENT, "save_state is set without load_state");
  options = good_options();
  options.socket_mode = 01000;
  refused(backend, &options, VHOSTX_INVALID_ARGUMENT, "socket_mode is 01000");
  options = good_options();
  options.listen_fd = 0;
  refused(backend, &options, VHOSTX_INVALID_ARGUMENT, "listen_fd is 0");
  options = good_options();
  options.size = 0;
  refused(backend, &options, VHOSTX_INVALID_ARGUMENT, "was it initialised");
  options.size = (size_t)-1;
  refused(backend, &options, VHOSTX_INVALID_ARGUMENT, "was it initialised");
  options = good_options();
  options.socket_path = "/no/such/folder/socket";
  vhostx_error error = {0};
  CHECK(vhostx_port_open(backend, &options, NULL, NULL, &error) == NULL);
  CHECK(error.code == VHOSTX_SYSTEM && error.system_errno != 0);
  vhostx_backend_options bad;
  vhostx_backend_options_init(&bad, sizeof bad);
  bad.log_level = 4;
  CHECK(vhostx_backend_create(&bad, &error) == NULL && error.code == VHOSTX_INVALID_ARGUMENT);
  vhostx_backend_options_init(&bad, sizeof bad);
  bad.control_cpu_count = 2;
  CHECK(vhostx_backend_create(&bad, &error) == NULL && error.code == VHOSTX_INVALID_ARGUMENT);
  CHECK_TEXT(error.message, "control_cpus is null, expected 2 CPUs as control_cpu_count says");
  const unsigned cpus[] = {0, 1024};
  bad.control_cpus = cpus;
  CHECK(vhostx_backend_create(&bad, &error) == NULL && error.code == VHOSTX_INVALID_ARGUMENT);
  CHECK_TEXT(error.message, "control_cpus has 1024, expected CPUs from 0 to 1023");
  vhostx_backend_options_init(&bad, sizeof bad);
  bad.keeper = "/no/such/keeper";
  bad.keeper_grace_ms = 86400001;
  CHECK(vhostx_backend_create(&bad, &error) == NULL && error.code == VHOSTX_INVALID_ARGUMENT);
  CHECK_TEXT(error.message, "keeper_grace_ms is 86400001, expected 0 to 86400000");
  vhostx_backend_options_init(&bad, sizeof bad);
  bad.keeper_claim = 3;
  CHECK(vhostx_backend_create(&bad, &error) == NULL && error.code == VHOSTX_INVALID_ARGUMENT);
  CHECK_TEXT(error.message, "keeper_claim is 3, expected 0 to 2");
  vhostx_backend_destroy(backend);
}

void an_older_program_gets_the_defaults_of_what_it_does_not_know(void) {
  vhostx_backend* const backend = vhostx_backend_create(NULL, NULL);
  vhostx_port_options options;
  memset(&options, 0xff, sizeof options);
  const size_t older = offsetof(vhostx_port_options, role);  // what was before it is all that this program has
  vhostx_port_options_init(&options, older);
  CHECK(options.size == older && options.role == -1);  // what lies behind is not touched
  options.socket_path = fake_path("older");
  vhostx_error error;
  vhostx_port* const port = vhostx_port_open(backend, &options, NULL, NULL, &error);
  if (CHECK(port != NULL)) {
    vhostx_port_options used;
    vhostx_port_get_options(port, &used, sizeof used);
    CHECK(used.role == VHOSTX_ROLE_SERVER && used.queue_pairs_max == 1);
    CHECK_TEXT(used.socket_path, fake_path("older"));
  }
  vhostx_port_destroy(port);
  vhostx_backend_destroy(backend);
}

void a_newer_program_may_not_set_what_is_not_known(void) {
  vhostx_backend* const backend = vhostx_backend_create(NULL, NULL);
  struct {
    vhostx_port_options known;
    uint64_t later;
  } newer;
  memset(&newer, 0xff, sizeof newer);
  vhostx_port_options_init(&newer.known, sizeof newer);
  CHECK(newer.known.size == sizeof newer && newer.later == 0);
  newer.known.socket_path = fake_path("newer");
  vhostx_port* const port = vhostx_port_open(backend, &newer.known, NULL, NULL, NULL);
  CHECK(port != NULL);
  vhostx_port_destroy(port);
  newer.later = 1;
  refused(backend, &newer.known, VHOSTX_UNSUPPORTED, "older than the program");
  newer.later = 0;
  newer.known.reserved = 1;
  refused(backend, &newer.known, VHOSTX_UNSUPPORTED, "reserved: expected 0");
  newer.known.reserved = 0;
  newer.known.reserved_2[1] = 1;
  refused(backend, &newer.known, VHOSTX_UNSUPPORTED, "reserved_2: expected 0");
  newer.known.reserved_2[1] = 0;
  struct {
    vhostx_port_info known;
    uint64_t later;
  } info;
  memset(&info, 0xff, sizeof info);
  vhostx_port_options options = good_options();
  vhostx_port* const other = vhostx_port_open(backend, &options, NULL, NULL, NULL);
  CHECK(vhostx_port_get_info(other, &info.known, sizeof info, NULL) == VHOSTX_OK);
  CHECK(!info.known.connected && info.later == 0);
  vhostx_port_destroy(other);
  vhostx_backend_destroy(backend);
}

void a_null_error_is_fine(void) {
  vhostx_backend* const backend = vhostx_backend_create(NULL, NULL);
  CHECK(backend != NULL);
  CHECK(vhostx_port_open(backend, NULL, NULL, NULL, NULL) == NULL);
  vhostx_backend_destroy(backend);
  vhostx_backend_destroy(NULL);
  vhostx_port_destroy(NULL);
  vhostx_waiter_destroy(NULL);
  vhostx_transfer_destroy(NULL);
  vhostx_mempools_destroy(NULL);
  vhostx_vring_placement_free(NULL);
  vhostx_memory_placement_free(NULL);
}
