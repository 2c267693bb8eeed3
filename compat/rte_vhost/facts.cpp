// SPDX-License-Identifier: BSD-3-Clause
#include "compat/rte_vhost/facts.hpp"

#include <fcntl.h>
#include <variant>

namespace vhostx::compat {

bool FactBoard::note(Port& port, const PortEvent& event) {
  const std::lock_guard guard(lock_);
  if (std::holds_alternative<FrontEndConnected>(event))
    facts_ = {.connection = facts_.connection + 1, .connected = true};
  else if (std::holds_alternative<FrontEndDisconnected>(event))
    facts_.connected = false;
  else
    return apply(port, event);
  kicks_.fill(-1);
  return true;
}

bool FactBoard::apply(Port& port, const PortEvent& event) {
  if (const auto* negotiated = std::get_if<FeaturesNegotiated>(&event)) {
    facts_.features = negotiated->features;
  } else if (const auto* enabled = std::get_if<VringEnabled>(&event)) {
    facts_.enabled.set(enabled->index, enabled->enabled);
  } else if (const auto* started = std::get_if<VringStarted>(&event)) {
    facts_.started.set(started->index);
    kicks_[started->index] = port.vring(started->index).kick_fd();
  } else if (const auto* stopped = std::get_if<VringStopped>(&event)) {
    kicks_[stopped->index] = -1;  // the port closes it once this returns
  } else if (const auto* ready = std::get_if<VringReady>(&event)) {
    facts_.ready.set(ready->index, ready->ready);
    if (!ready->ready) facts_.unready.set(ready->index);
  } else {
    return std::holds_alternative<StatusSet>(event);
  }
  return true;
}

int FactBoard::copy_kick(std::uint16_t index) {
  const std::lock_guard guard(lock_);
  return kicks_[index] < 0 ? -1 : ::fcntl(kicks_[index], F_DUPFD_CLOEXEC, 0);
}

Facts FactBoard::take() {
  const std::lock_guard guard(lock_);
  const Facts taken = facts_;
  facts_.unready.reset();
  facts_.started.reset();
  return taken;
}

}  // namespace vhostx::compat
