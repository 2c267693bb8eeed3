// SPDX-License-Identifier: BSD-3-Clause
// PortSet: what moves with a guest that migrates.
#include <utility>

#include <fmt/format.h>

#include "tools/switch/guest_state.hpp"
#include "tools/switch/log_sink.hpp"
#include "tools/switch/port_set.hpp"

namespace vhostx::tools {

/// In each mode, so that a guest can come from another one: what others have not learned has no addresses.
void PortSet::move_state(const PortSpec& spec, std::uint16_t id, PortOptions& options) {
  options.migrate_stats = true;
  options.state_bytes_max = guest_state_bytes_max;
  options.save_state = [this, id] { return save_guest_state(*parts_.fabric.macs, id); };
  options.load_state = [this, id, spec](std::span<const std::byte> state) { return load_state(spec, id, state); };
}

/// On the control thread. With mutex_ held no Standstill begins, which alone changes rules and shares. The guest may
/// come before its port is attached: the rules do not know its addresses then.
Result<void> PortSet::load_state(const PortSpec& spec, std::uint16_t id, std::span<const std::byte> state) {
  const std::lock_guard guard(mutex_);
  AddressRules rules = parts_.fabric.rules;
  for (const auto mac : spec.macs) rules.bind(id, mac);
  const auto loaded = load_guest_state(*parts_.fabric.macs, rules, id, state);
  if (!loaded) return loaded.error();
  // At this level: a front-end may bring states as often as it likes, and the library has limited its own line.
  log_line(
      LogLevel::debug,
      fmt::format("{}: of the addresses that the guest brought, {} are learned; {} are not the port's to use, and {} "
                  "have aged, found no room or are elsewhere",
                  spec.path, loaded->learned, loaded->foreign, loaded->others));
  return {};
}

}  // namespace vhostx::tools
