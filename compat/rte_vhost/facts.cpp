// SPDX-License-Identifier: BSD-3-Clause
#include "compat/rte_vhost/facts.hpp"

#include <variant>

namespace vhostx::compat {

void FactBoard::note(const PortEvent& event) {
  const std::lock_guard guard(lock_);
  if (std::holds_alternative<FrontEndConnected>(event))
    facts_ = {.connection = facts_.connection + 1, .connected = true};
  else if (std::holds_alternative<FrontEndDisconnected>(event))
    facts_.connected = false;
  else
    apply(event);
}

void FactBoard::apply(const PortEvent& event) {
  if (const auto* negotiated = std::get_if<FeaturesNegotiated>(&event)) facts_.features = negotiated->features;
  if (const auto* status = std::get_if<StatusSet>(&event)) facts_.status = status->status;
  if (const auto* enabled = std::get_if<VringEnabled>(&event)) facts_.enabled.set(enabled->index, enabled->enabled);
  if (const auto* started = std::get_if<VringStarted>(&event)) facts_.started.set(started->index);
  if (const auto* ready = std::get_if<VringReady>(&event)) {
    facts_.ready.set(ready->index, ready->ready);
    if (!ready->ready) facts_.fallen.set(ready->index);
  }
}

Facts FactBoard::take() {
  const std::lock_guard guard(lock_);
  const Facts taken = facts_;
  facts_.fallen.reset();
  facts_.started.reset();
  return taken;
}

}  // namespace vhostx::compat
