// SPDX-License-Identifier: BSD-3-Clause
#include "continuity/kept_bundle.hpp"

#include <memory>
#include <optional>
#include <variant>

namespace vhostx::continuity {

void KeeperRest::begin() {
  const std::lock_guard guard(lock_);
  until_ = Clock::now() + length;
}

bool KeeperRest::lasts() {
  const std::lock_guard guard(lock_);
  return Clock::now() < until_;
}

Result<std::unique_ptr<PortKeeper>> KeptBundle::connect(const std::string& keeper, const std::string& bundle,
                                                        std::shared_ptr<KeeperRest> rest) {
  auto client = KeeperClient::connect(keeper);
  if (!client) return client.error();
  return std::unique_ptr<PortKeeper>(std::make_unique<KeptBundle>(std::move(client).value(), bundle, std::move(rest)));
}

Result<std::unique_ptr<PortKeeper>> KeptBundles::open(const std::string& bundle) {
  if (rest_->lasts())
    return make_error(ErrorCode::timed_out, "the keeper '{}' did not answer a moment ago; it is asked again after {} s",
                      path_, KeeperRest::length.count());
  auto connected = KeptBundle::connect(path_, bundle, rest_);
  const bool waited = !connected && (connected.error().code == ErrorCode::timed_out ||  // it does not answer
                                     connected.error().code == ErrorCode::busy);        // or does not accept
  if (waited) rest_->begin();
  return connected;
}

Result<PortKeeper::Files> KeptBundle::claim() { return client_.claim(name_, ClaimHow::now); }

Result<void> KeptBundle::hold(Slot slot, int fd) { return after(client_.hold(name_, slot, fd)); }

Result<void> KeptBundle::drop(Slot slot) { return after(client_.drop(name_, slot)); }

Result<void> KeptBundle::park(std::chrono::milliseconds grace) { return after(client_.park(name_, grace)); }

Result<void> KeptBundle::wait(bool asks) {
  return after(client_.stand_by(name_, asks ? ClaimHow::hand_over : ClaimHow::stand_by));
}

Result<std::optional<PortKeeper::Files>> KeptBundle::prepare() {
  if (rest_ != nullptr && rest_->lasts()) return std::optional<Files>();
  auto slots = client_.prepare(name_);
  if (!slots && slots.error().code == ErrorCode::timed_out && rest_ != nullptr) rest_->begin();
  // What came meanwhile is told by next_event(), also that the keeper has gone.
  if (auto seen = look(); !seen && slots) events_.emplace_back(Gone{seen.error()});
  return slots;
}

Result<void> KeptBundle::ask_owner() { return after(client_.ask_owner(name_)); }

Result<void> KeptBundle::settle() { return after(client_.settle(name_)); }

std::optional<PortKeeper::Event> KeptBundle::next_event() {
  if (auto looked = look(); !looked) {
    // Who yields now gives the port to nobody.
    std::erase_if(events_, [](const Event& event) { return std::holds_alternative<YieldAsked>(event); });
    events_.emplace_back(Gone{looked.error()});
  }
  if (events_.empty()) return {};
  std::optional<Event> event(std::move(events_.front()));
  events_.pop_front();
  return event;
}

/// What the keeper refused earlier counts as well: its bundle lacks something.
Result<void> KeptBundle::after(Result<void> done) {
  if (!done) return done;
  return look();
}

// Error: the keeper has gone, or has refused something.
Result<void> KeptBundle::look() {
  while (true) {
    auto event = client_.next_event();
    if (!event) return event.error();
    if (!*event) return {};
    if (const auto* failed = std::get_if<FailedEvent>(&**event)) return failed->error;
    if (const auto* gone = std::get_if<KeeperGoneEvent>(&**event)) return gone->error;
    if (auto* granted = std::get_if<GrantedEvent>(&**event))
      events_.emplace_back(Granted{std::move(granted->slots), granted->as_prepared});
    if (const auto* yield = std::get_if<YieldEvent>(&**event)) events_.emplace_back(YieldAsked{yield->asker_pid});
    if (std::holds_alternative<ChangedEvent>(**event)) events_.emplace_back(Changed{});
    if (const auto* settled = std::get_if<SettledEvent>(&**event)) events_.emplace_back(Settled{settled->owner_pid});
  }
}

}  // namespace vhostx::continuity
