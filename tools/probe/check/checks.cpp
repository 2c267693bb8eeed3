// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/check/check.hpp"

namespace vhostx::tools::probe {

const Checks& all_checks() {
  static const Checks checks = [] {
    Checks all;
    add_negotiation_checks(all);
    add_stream_checks(all);
    add_request_checks(all);
    add_ring_state_checks(all);
    add_ring_data_checks(all);
    add_receive_checks(all);
    add_memory_checks(all);
    add_device_checks(all);
    add_log_checks(all);
    add_state_checks(all);
    add_packed_checks(all);
    add_connection_checks(all);
    add_bad_message_checks(all);
    add_bad_value_checks(all);
    add_bad_memory_checks(all);
    add_bad_log_checks(all);
    add_bad_state_checks(all);
    add_bad_driver_checks(all);
    add_bad_packed_checks(all);
    return all;
  }();
  return checks;
}

}  // namespace vhostx::tools::probe
