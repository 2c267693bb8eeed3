// SPDX-License-Identifier: BSD-3-Clause
#include "tools/switch/port_rules.hpp"

#include <utility>

#include <fmt/format.h>

namespace vhostx::tools {
namespace {

Error refused(const PortSpec& port, const std::string& why) {
  return Error{ErrorCode::invalid_argument, fmt::format("--port {}: {}", port.path, why), 0};
}

}  // namespace

Result<void> PortRules::add(const PortSpec& port) {
  if (paths_.contains(port.path)) return refused(port, "given twice");
  if (port.path == tap_)
    return Error{ErrorCode::invalid_argument,
                 fmt::format("--tap {}: a port is called so too, and reports could not tell them apart", tap_), 0};
  if (port.zero_copy == ZeroCopy::lend && mode_ != Mode::io && mode_ != Mode::rxonly)
    return refused(port,
                   "zerocopy=lend goes with --mode io or rxonly: the others look at, or write into, what the guest may "
                   "rewrite");
  if (auto checked = check_macs(port); !checked) return checked;
  paths_.insert(port.path);
  for (const auto mac : port.macs) owners_.emplace(mac, port.path);
  return {};
}

/// An address is one port's, and only where addresses are looked at.
Result<void> PortRules::check_macs(const PortSpec& port) const {
  if (!port.macs.empty() && mode_ != Mode::learning)
    return refused(port, "mac goes with --mode switch: the others do not look at addresses");
  std::set<std::uint64_t> own;
  for (const auto mac : port.macs) {
    const auto owner = owners_.find(mac);
    if (owner == owners_.end() && own.insert(mac).second) continue;
    return refused(port, fmt::format("mac {} is given twice: port {} has it", mac_text(mac),
                                     owner == owners_.end() ? port.path : owner->second));
  }
  return {};
}

void PortRules::remove(const std::string& path) {
  paths_.erase(path);
  std::erase_if(owners_, [&](const auto& owner) { return owner.second == path; });
}

}  // namespace vhostx::tools
