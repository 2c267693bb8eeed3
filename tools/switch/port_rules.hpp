// SPDX-License-Identifier: BSD-3-Clause
// PortRules: which ports go together in one switch, for the command line and for ports that are added later.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include <vhostx/result.hpp>

#include "tools/switch/options.hpp"
#include "tools/switch/port_spec.hpp"

namespace vhostx::tools {

class PortRules {
 public:
  /// `tap`: name of the TAP interface; empty: none.
  PortRules(Mode mode, std::string tap) : mode_(mode), tap_(std::move(tap)) {}

  /// Notes the port, if it goes with the mode, the TAP and the ports before it. Error: invalid_argument, with the
  /// port's path and the reason; then nothing is noted.
  Result<void> add(const PortSpec& port);
  /// Forgets the port with this path.
  void remove(const std::string& path);

 private:
  Result<void> check_macs(const PortSpec& port) const;

  Mode mode_;
  std::string tap_;
  std::set<std::string> paths_;
  std::map<std::uint64_t, std::string> owners_;  // of addresses
};

}  // namespace vhostx::tools
