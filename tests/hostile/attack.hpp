// SPDX-License-Identifier: BSD-3-Clause
// An attack: what is done, and what the back-end has to make of it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/hostile/back_end.hpp"
#include "virtqueue/any_layout.hpp"

namespace vhostx::hostile {

class Attacker;

/// What the back-end owes an attack, beside all that it owes everybody else.
struct Expected {
  enum class Kind {
    harmless,  ///< Legal, or nothing that matters: the connection is served on.
    refused,   ///< Acknowledged with 1, and `text` is in the log; the connection is served on.
    closed,    ///< The connection ends, and `text` is in the reason.
    broken,    ///< The vring is broken for the cause `text`, and the err eventfd is signalled; the connection is served
               ///< on.
    dropped,   ///< The counter `text` grows; the connection is served on.
    survived,  ///< Left to chance, or to the specification: what counts is everybody else.
    queued,    ///< As before; what is tried are vhostx-switch's queues, and no other program's.
  };
  Kind kind = Kind::survived;
  std::string text;
};

inline Expected harmless() { return {Expected::Kind::harmless, ""}; }
inline Expected refused(std::string text) { return {Expected::Kind::refused, std::move(text)}; }
inline Expected closed(std::string reason) { return {Expected::Kind::closed, std::move(reason)}; }
inline Expected broken(std::string cause) { return {Expected::Kind::broken, std::move(cause)}; }
inline Expected dropped(std::string counter) { return {Expected::Kind::dropped, std::move(counter)}; }
inline Expected survived() { return {Expected::Kind::survived, ""}; }
inline Expected queued() { return {Expected::Kind::queued, ""}; }

struct Attack {
  std::string name;  ///< "group.what-is-done", for good.
  std::string cve;   ///< "2018-1059", "" where there is none.
  Expected expected;
  std::function<void(Attacker&)> run;
  Socket port = Socket::attacked;
  virtqueue::RingKind kind = virtqueue::RingKind::split;  ///< Of the attacker's rings.

  std::string group() const { return name.substr(0, name.find('.')); }
};

using Attacks = std::vector<Attack>;

/// All of them; a group's stand together.
const Attacks& all_attacks();

// ---- the groups, a file each
void add_message_attacks(Attacks& attacks);
void add_request_attacks(Attacks& attacks);
void add_descriptor_attacks(Attacks& attacks);
void add_memory_attacks(Attacks& attacks);
void add_guest_address_attacks(Attacks& attacks);
void add_ring_attacks(Attacks& attacks);
void add_packed_ring_attacks(Attacks& attacks);
void add_packed_base_attacks(Attacks& attacks);
void add_indirect_attacks(Attacks& attacks);
void add_packet_attacks(Attacks& attacks);
void add_notification_attacks(Attacks& attacks);
void add_lifecycle_attacks(Attacks& attacks);
void add_lending_attacks(Attacks& attacks);
void add_rewriting_attacks(Attacks& attacks);
void add_flood_attacks(Attacks& attacks);
void add_shrinking_attacks(Attacks& attacks);
void add_log_attacks(Attacks& attacks);
void add_inflight_attacks(Attacks& attacks);
void add_burst_attacks(Attacks& attacks);
void add_burst_meeting_attacks(Attacks& attacks);
void add_closing_attacks(Attacks& attacks);
void add_odd_descriptor_attacks(Attacks& attacks);
void add_neighbour_attacks(Attacks& attacks);
void add_proxy_attacks(Attacks& attacks);
void add_waiter_attacks(Attacks& attacks);

}  // namespace vhostx::hostile
