// SPDX-License-Identifier: BSD-3-Clause
#include "backend/backend_state.hpp"

#include <chrono>
#include <exception>
#include <utility>

#include "base/error.hpp"
#include "base/peer_process.hpp"

namespace vhostx::backend {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds yielded_grace{30};  // for one that is killed before it has what it was given

/// No port's: a socket path does not begin so (check_options()).
std::string bundle_of(const KeptState& options) { return '@' + options.name; }

}  // namespace

Result<std::unique_ptr<StateLink>> StateLink::open(Link link, KeeperClaim how) {
  std::unique_ptr<StateLink> opened(new StateLink(std::move(link)));
  if (auto claimed = opened->claim(how); !claimed) return std::move(claimed).error();
  return opened;
}

Result<void> StateLink::acquire(bool) {
  owns_ = true;
  std::erase_if(held_, [&](const auto& held) {  // what a stranger may have put there
    if (held.first == state_slot) return false;
    ask([&](continuity::PortKeeper& keeper) { return keeper.drop(held.first); });
    return true;
  });
  return {};
}

Result<void> BackendState::open(ControlLoop& loop, KeptState options) {
  Result<void> claimed;
  loop.post_and_wait([&] {
    auto state = std::make_unique<BackendState>(loop, std::move(options));
    claimed = state->claim();
    if (claimed) loop.set_state(std::move(state));
  });
  return claimed;
}

BackendState::BackendState(ControlLoop& loop, KeptState options)
    : loop_(loop),
      options_(std::move(options)),
      log_(loop.log().for_peer("state '" + options_.name + "'")),
      watch_(loop.executor(), [this] { attend(); }),
      soon_(loop.executor()) {}

Result<void> BackendState::claim() {
  KeeperLink::Link link{.connect = [this] { return loop_.keepers()(bundle_of(options_)); },
                        .on_events = [this] { soon_.start({}, [this] { attend(); }); },
                        .releases = std::make_shared<Releases>(loop_.release_pool()),
                        .log = log_,
                        .what = "the state",
                        .held = "the state"};
  auto opened = StateLink::open(std::move(link), loop_.keeper_claim());
  if (!opened) return make_error(opened.error().code, "state '{}': {}", options_.name, opened.error().message);
  link_ = std::move(opened).value();
  StateKeeping::Parts parts{.state = options_, .who = "the application", .log = log_};
  keeping_ = std::make_unique<StateKeeping>(loop_.executor(), std::move(parts), *link_);
  watch_.begin(*link_);
  if (link_->owns())
    acquired();
  else
    tell(PortOwnership::standing_by);
  return {};
}

void BackendState::attend() {
  while (link_ != nullptr) {
    const auto event = link_->next_event();
    if (!event) return;
    if (std::holds_alternative<KeeperLink::Acquired>(*event) && acquired()) tell(PortOwnership::serving);
    if (const auto* const yield = std::get_if<KeeperLink::YieldAsked>(&*event)) yield_to(yield->pid);
    if (const auto* const settled = std::get_if<KeeperLink::Settled>(&*event)) settled_by(settled->pid);
    if (std::holds_alternative<KeeperLink::Lost>(*event)) lost();
  }
}

// An owner has a file there from the first, so an empty bundle at a new keeper is that of nobody, or of an owner that
// has not found this keeper yet: it is let go for as long as it may take that one to look.
bool BackendState::acquired() {
  if (link_->files().empty() && Clock::now() < doubted_until_) {
    link_->let_go({});
    return false;
  }
  yielded_ = false;
  keeping_->load();
  link_->files().empty() ? keeping_->begin() : keeping_->go_on();
  if (confirmed_) link_->settle();
  return true;
}

void BackendState::lost() {
  if (!link_->owns() && Clock::now() >= doubted_until_) doubted_until_ = Clock::now() + KeeperWatch::looks_within;
  watch_.lost();
}

void BackendState::yield_to(std::uint32_t pid) {
  log_.info("{} takes it over", describe_process(static_cast<int>(pid)));
  tell(PortOwnership::yielding, pid);
  keeping_->leave();
  link_->yield(yielded_grace);
  yielded_ = true;
  confirmed_ = false;
  tell(PortOwnership::standing_by, pid);
}

void BackendState::settled_by(std::uint32_t pid) {
  const bool handed_over = std::exchange(yielded_, false);
  log_.info("{} has it for good", describe_process(static_cast<int>(pid)));
  if (handed_over) {
    watch_.end();
    soon_.cancel();
    keeping_.reset();
    link_.reset();
  }
  tell(handed_over ? PortOwnership::handed_over : PortOwnership::standing_by, pid);
}

void BackendState::loop_ends() noexcept {
  watch_.end();
  soon_.cancel();
  if (link_ == nullptr || !link_->owns()) return;
  if (loop_.keeper_grace().count() != 0) keeping_->leave();
  link_->park(loop_.keeper_grace());
}

void BackendState::ask_owner() noexcept {
  if (link_ != nullptr) link_->ask_owner();
}

void BackendState::confirm_take_over() noexcept {
  confirmed_ = true;
  if (link_ != nullptr) link_->settle();
}

void BackendState::tell(PortOwnership ownership, std::uint32_t pid) noexcept {
  if (!options_.on_ownership) return;
  try {
    options_.on_ownership({ownership, static_cast<int>(pid)});
  } catch (const std::exception& error) {
    log_.error("on_ownership threw: {}", error.what());
  } catch (...) {
    log_.error("on_ownership threw");
  }
}

}  // namespace vhostx::backend
