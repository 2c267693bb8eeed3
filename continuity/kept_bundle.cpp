// SPDX-License-Identifier: BSD-3-Clause
#include "continuity/kept_bundle.hpp"

#include <memory>
#include <optional>
#include <variant>

namespace vhostx::continuity {

Result<std::unique_ptr<PortKeeper>> KeptBundle::connect(const std::string& keeper, const std::string& bundle) {
  auto client = KeeperClient::connect(keeper);
  if (!client) return client.error();
  return std::unique_ptr<PortKeeper>(std::make_unique<KeptBundle>(std::move(client).value(), bundle));
}

Result<PortKeeper::Files> KeptBundle::claim() { return client_.claim(name_, ClaimHow::now); }

Result<void> KeptBundle::hold(Slot slot, int fd) { return after(client_.hold(name_, slot, fd)); }

Result<void> KeptBundle::drop(Slot slot) { return after(client_.drop(name_, slot)); }

Result<void> KeptBundle::park(std::chrono::milliseconds grace) { return after(client_.park(name_, grace)); }

/// What the keeper refused earlier counts as well: its bundle lacks something.
Result<void> KeptBundle::after(Result<void> done) {
  if (!done) return done;
  while (true) {
    auto event = client_.next_event();
    if (!event) return event.error();
    if (!*event) return {};
    if (const auto* failed = std::get_if<FailedEvent>(&**event)) return failed->error;
    if (const auto* gone = std::get_if<KeeperGoneEvent>(&**event)) return gone->error;
  }
}

}  // namespace vhostx::continuity
