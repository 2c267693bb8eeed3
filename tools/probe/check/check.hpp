// SPDX-License-Identifier: BSD-3-Clause
// The table of checks. Each has a connection of its own, and says what it saw.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tools/probe/check/subject.hpp"
#include "tools/probe/check/verdict.hpp"

namespace vhostx::tools::probe {

struct Check {
  std::string id;       ///< "group.what-must-hold", for good.
  std::string section;  ///< Of the vhost-user document, or of VIRTIO 1.2.
  std::string title;    ///< What must hold, in a sentence without full stop.
  /// May throw Decided and BackEndGone.
  std::function<Verdict(const Subject&)> run;

  std::string group() const { return id.substr(0, id.find('.')); }
};

using Checks = std::vector<Check>;

/// Sends what the specification forbids.
inline constexpr const char* bad_input_group = "bad-input";

/// All of them, in the order in which they are run; a group's stand together.
const Checks& all_checks();

// ---- the groups, a file each
void add_negotiation_checks(Checks& checks);
void add_stream_checks(Checks& checks);
void add_request_checks(Checks& checks);
void add_ring_state_checks(Checks& checks);
void add_ring_data_checks(Checks& checks);
void add_receive_checks(Checks& checks);
void add_memory_checks(Checks& checks);
void add_device_checks(Checks& checks);
void add_log_checks(Checks& checks);
void add_state_checks(Checks& checks);
/// Of the checks before, those of packed rings too.
void add_packed_checks(Checks& checks);
void add_connection_checks(Checks& checks);
void add_bad_message_checks(Checks& checks);
void add_bad_value_checks(Checks& checks);
void add_bad_memory_checks(Checks& checks);
void add_bad_log_checks(Checks& checks);
void add_bad_state_checks(Checks& checks);
void add_bad_driver_checks(Checks& checks);
void add_bad_packed_checks(Checks& checks);

}  // namespace vhostx::tools::probe
