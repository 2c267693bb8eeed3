// SPDX-License-Identifier: BSD-3-Clause
// What the control socket does with the switch, and what it answers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <vhostx/log.hpp>
#include <vhostx/result.hpp>

#include "tools/switch/port_set.hpp"
#include "tools/switch/snapshot.hpp"

namespace vhostx::tools {

/// The switch, as commands reach it: on the control server's thread, one at a time.
class ControlledSwitch {
 public:
  virtual ~ControlledSwitch() = default;

  virtual Snapshot snapshot() = 0;
  virtual Result<void> add_port(const std::string& spec) = 0;
  virtual Result<PortSnapshot> remove_port(const std::string& name) = 0;
  virtual Result<void> disconnect(const std::string& port) = 0;
  /// Empty: of all ports.
  virtual Result<std::vector<LearnedAddress>> addresses(const std::string& port) = 0;
  virtual Result<std::uint32_t> flush_addresses(const std::string& port) = 0;
  virtual LogLevel log_level() = 0;
  virtual void set_log_level(LogLevel level) = 0;
};

struct ControlAnswer {
  std::string line;      ///< One JSON object, without a newline.
  bool follows = false;  ///< Events come after it.
};
/// Does what the line asks for. A line that is wrong, or an exception, is an answer too.
ControlAnswer answer_line(ControlledSwitch& target, std::string_view line);

}  // namespace vhostx::tools
