// SPDX-License-Identifier: BSD-3-Clause
#include "tests/hostile/attack.hpp"

namespace vhostx::hostile {

const Attacks& all_attacks() {
  static const Attacks attacks = [] {
    Attacks all;
    add_message_attacks(all);
    add_request_attacks(all);
    add_descriptor_attacks(all);
    add_memory_attacks(all);
    add_guest_address_attacks(all);
    add_ring_attacks(all);
    add_packed_ring_attacks(all);
    add_packed_base_attacks(all);
    add_indirect_attacks(all);
    add_packet_attacks(all);
    add_notification_attacks(all);
    add_lifecycle_attacks(all);
    add_lending_attacks(all);
    add_rewriting_attacks(all);
    add_flood_attacks(all);
    add_shrinking_attacks(all);
    add_log_attacks(all);
    add_inflight_attacks(all);
    add_burst_attacks(all);
    add_burst_meeting_attacks(all);
    add_closing_attacks(all);
    add_odd_descriptor_attacks(all);
    add_neighbour_attacks(all);
    add_proxy_attacks(all);
    add_waiter_attacks(all);
    return all;
  }();
  return attacks;
}

}  // namespace vhostx::hostile
