// SPDX-License-Identifier: BSD-3-Clause
#include "continuity/bundles.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <fcntl.h>
#include <limits>
#include <system_error>
#include <type_traits>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "base/peer_process.hpp"
#include "base/sealed_file.hpp"
#include "continuity/session_state.hpp"

namespace vhostx::continuity {
namespace {

std::uint64_t ms_between(Bundles::Time from, Bundles::Time to) noexcept {
  const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(to - from).count();
  return passed > 0 ? static_cast<std::uint64_t>(passed) : 0;
}

}  // namespace

const char* to_string(KeeperEvent::Kind kind) noexcept {
  constexpr const char* names[] = {"connected", "ended", "claimed", "released", "dropped"};
  return names[static_cast<std::size_t>(kind)];
}

void Bundles::handle(const Client& client, const Tagged<Request>& request, UniqueFd fd, Time now) {
  std::visit(
      [&](const auto& body) {
        using Body = std::decay_t<decltype(body)>;
        if constexpr (std::is_same_v<Body, Hello> || std::is_same_v<Body, List>)
          assert(false);  // the keeper answers these
        else
          take(client, request.tag, body, std::move(fd), now);
      },
      request.body);
}

void Bundles::client_gone(ClientId client, Time now) {
  for (auto at = bundles_.begin(); at != bundles_.end();) {
    const auto next = std::next(at);
    Bundle& bundle = at->second;
    waiting_ -= static_cast<std::uint32_t>(
        std::erase_if(bundle.waiters, [client](const Waiter& waiter) { return waiter.client.id == client; }));
    if (bundle.owner.id == client) end_ownership(at, grace_, "its connection ended", now);
    at = next;
  }
}

void Bundles::hung_up(WatchId watch) {
  const auto at =
      std::find_if(bundles_.begin(), bundles_.end(), [watch](const auto& row) { return row.second.watch == watch; });
  if (at != bundles_.end()) end_bundle(at, "its front-end has gone");
}

void Bundles::expire(Time now) {
  for (auto at = bundles_.begin(); at != bundles_.end();)
    at = at->second.deadline && *at->second.deadline <= now ? end_bundle(at, "nobody claimed it in time")
                                                            : std::next(at);
}

std::optional<Bundles::Time> Bundles::next_deadline() const {
  std::optional<Time> first;
  for (const auto& [name, bundle] : bundles_)
    if (bundle.deadline && (!first || *bundle.deadline < *first)) first = bundle.deadline;
  return first;
}

std::optional<BundleFacts> Bundles::next_after(std::string_view name, Time now) const {
  const auto at = bundles_.upper_bound(name);
  if (at == bundles_.end()) return {};
  return facts_of(at->second, now);
}

BundleFacts Bundles::facts_of(const Bundle& bundle, Time now) {
  BundleFacts facts;
  facts.name = bundle.name;
  for (const auto& [slot, held] : bundle.slots) facts.slots.push_back(slot);
  facts.owned = bundle.owner.id != 0;
  facts.owner_pid = bundle.owner.pid;
  facts.owner_ms = ms_between(bundle.owner_since, now);
  if (bundle.deadline) facts.grace_ms = ms_between(now, *bundle.deadline);
  if (const auto front_end = bundle.slots.find(front_end_slot); front_end != bundle.slots.end()) {
    facts.front_end_pid = static_cast<std::uint32_t>(peer_pid(front_end->second.fd->get()));
    facts.front_end_ms = ms_between(front_end->second.since, now);
  }
  return facts;
}

void Bundles::take(const Client& client, std::uint32_t tag, const Claim& claim, UniqueFd, Time now) {
  auto at = bundles_.find(claim.name);
  if (at == bundles_.end()) at = make_bundle(client, tag, claim);
  if (at == bundles_.end()) return;
  Bundle& bundle = at->second;
  if (bundle.owner.id == 0 || bundle.owner.id == client.id) return grant(bundle, {client, tag, false}, now);
  // A client that was killed has not released anything. What it sent comes first, then this claim is granted.
  if (claim.how == ClaimHow::now && !host_.is_leaving(bundle.owner.id))
    return host_.send(client.id, {tag, Refused{bundle.name, bundle.owner.pid}}, {});
  wait_for(bundle, client, tag, claim);
}

Bundles::Map::iterator Bundles::make_bundle(const Client& client, std::uint32_t tag, const Claim& claim) {
  if (bundles_.size() >= limits_.bundles) {
    refuse(client, tag, Claim::type, claim.name, ErrorCode::limit,
           fmt::format("the keeper has {} bundles, the most", limits_.bundles));
    return bundles_.end();
  }
  Bundle bundle;
  bundle.name = claim.name;
  return bundles_.emplace(claim.name, std::move(bundle)).first;
}

void Bundles::wait_for(Bundle& bundle, const Client& client, std::uint32_t tag, const Claim& claim) {
  const auto same = [&](const Waiter& waiter) { return waiter.client.id == client.id; };
  if (std::any_of(bundle.waiters.begin(), bundle.waiters.end(), same))
    return refuse(client, tag, Claim::type, claim.name, ErrorCode::busy, "this client waits for it already");
  if (waiting_ >= limits_.waiting)
    return refuse(client, tag, Claim::type, claim.name, ErrorCode::limit,
                  fmt::format("{} claims wait, the most", limits_.waiting));
  ++waiting_;
  add_waiter(bundle, {client, tag, claim.how == ClaimHow::hand_over});
}

void Bundles::add_waiter(Bundle& bundle, const Waiter& waiter) {
  auto& all = bundle.waiters;
  const auto stands_by = [](const Waiter& other) { return !other.asks; };
  all.insert(waiter.asks ? std::find_if(all.begin(), all.end(), stands_by) : all.end(), waiter);
  if (waiter.asks) return host_.send(bundle.owner.id, {0, YieldAsked{bundle.name, waiter.client.pid}}, {});
  // One that yielded may be slower than the one that took over.
  if (bundle.settled) host_.send(waiter.client.id, {0, Settled{bundle.name, bundle.owner.pid}}, {});
}

void Bundles::take(const Client& client, std::uint32_t, const Ask& ask, UniqueFd, Time) {
  const auto at = bundles_.find(ask.name);
  if (at == bundles_.end()) return;
  auto& waiters = at->second.waiters;
  const auto stands_by = [&](const Waiter& waiter) { return waiter.client.id == client.id && !waiter.asks; };
  const auto one = std::find_if(waiters.begin(), waiters.end(), stands_by);
  if (one == waiters.end()) return;
  Waiter asks = *one;
  asks.asks = true;
  waiters.erase(one);
  add_waiter(at->second, asks);
}

void Bundles::take(const Client& client, std::uint32_t tag, const Cancel& cancel, UniqueFd, Time) {
  if (const auto at = bundles_.find(cancel.name); at != bundles_.end())
    waiting_ -= static_cast<std::uint32_t>(
        std::erase_if(at->second.waiters, [&client](const Waiter& waiter) { return waiter.client.id == client.id; }));
  host_.send(client.id, {tag, Cancelled{cancel.name}}, {});
}

void Bundles::take(const Client& client, std::uint32_t tag, const Hold& hold, UniqueFd fd, Time now) {
  const auto at = owned_by(client, tag, hold);
  if (at == bundles_.end()) return;
  auto& slots = at->second.slots;
  const auto slot = slots.find(hold.slot);
  if (slot == slots.end() && slots.size() >= slots_max)
    return refuse(client, tag, Hold::type, hold.name, ErrorCode::limit,
                  fmt::format("the bundle has {} slots, the most", slots_max));
  if (slot == slots.end() && descriptors_ >= limits_.descriptors)
    return refuse(client, tag, Hold::type, hold.name, ErrorCode::limit,
                  fmt::format("the keeper holds {} descriptors, the most", limits_.descriptors));
  const bool is_new = slot == slots.end();
  slots.insert_or_assign(hold.slot, Held{std::make_shared<const UniqueFd>(std::move(fd)), now});
  if (is_new) ++descriptors_;
  changed(at->second);
}

void Bundles::take(const Client& client, std::uint32_t tag, const Drop& drop, UniqueFd, Time) {
  const auto at = owned_by(client, tag, drop);
  if (at == bundles_.end() || at->second.slots.erase(drop.slot) == 0) return;
  --descriptors_;
  changed(at->second);
}

void Bundles::take(const Client& client, std::uint32_t tag, const Forget& forget, UniqueFd, Time) {
  const auto at = owned_by(client, tag, forget);
  if (at == bundles_.end()) return;
  empty(at->second);
  changed(at->second);
}

void Bundles::take(const Client& client, std::uint32_t tag, const Release& release, UniqueFd, Time now) {
  const auto at = owned_by(client, tag, release);
  if (at != bundles_.end()) end_ownership(at, grace_, "its owner released it", now);
}

void Bundles::take(const Client& client, std::uint32_t tag, const Park& park, UniqueFd, Time now) {
  const auto at = owned_by(client, tag, park);
  if (at != bundles_.end()) end_ownership(at, std::chrono::milliseconds(park.grace_ms), "its owner parked it", now);
}

void Bundles::take(const Client& client, std::uint32_t tag, const Settle& settle, UniqueFd, Time) {
  const auto at = owned_by(client, tag, settle);
  if (at == bundles_.end()) return;
  at->second.settled = true;
  for (const Waiter& waiter : at->second.waiters)
    host_.send(waiter.client.id, {0, Settled{settle.name, client.pid}}, {});
}

void Bundles::take(const Client& client, std::uint32_t tag, const Look& look, UniqueFd, Time) {
  const auto fail = [&](ErrorCode code, std::string text) {
    refuse(client, tag, Look::type, look.name, code, std::move(text));
  };
  const auto at = bundles_.find(look.name);
  if (at == bundles_.end()) return fail(ErrorCode::invalid_argument, "there is no such bundle");
  if (look.slot != record_slot && look.slot != own_inflight_slot)
    return fail(ErrorCode::invalid_argument,
                fmt::format("slot {} is not shown, expected {} or {}", look.slot, record_slot, own_inflight_slot));
  const auto held = at->second.slots.find(look.slot);
  const int fd = held == at->second.slots.end() ? -1 : held->second.fd->get();
  if (!is_sealed_memory(fd))
    return fail(ErrorCode::invalid_argument,
                fmt::format("slot {} has no memory file that is sealed against shrinking", look.slot));
  Shown shown{std::vector<std::byte>(shown_bytes_max)};
  constexpr std::uint64_t offset_max = std::numeric_limits<off_t>::max() - shown_bytes_max;
  const ssize_t got =
      ::pread(fd, shown.bytes.data(), shown.bytes.size(), static_cast<off_t>(std::min(look.offset, offset_max)));
  if (got < 0) return fail(ErrorCode::system, "reading its file: " + std::generic_category().message(errno));
  shown.bytes.resize(static_cast<std::size_t>(got));
  host_.send(client.id, {tag, std::move(shown)}, {});
}

void Bundles::take(const Client& client, std::uint32_t tag, const Prepare& prepare, UniqueFd, Time) {
  const auto at = bundles_.find(prepare.name);
  const auto is_client = [&](const Waiter& waiter) { return waiter.client.id == client.id; };
  if (at != bundles_.end()) {
    auto& waiters = at->second.waiters;
    const auto waiter = std::find_if(waiters.begin(), waiters.end(), is_client);
    if (waiter != waiters.end()) {
      waiter->prepared_for = at->second.serial;
      return send_slots<Prepared>(at->second, client, tag);
    }
  }
  refuse(client, tag, Prepare::type, prepare.name, ErrorCode::invalid_argument, "no claim of this client waits for it");
}

void Bundles::changed(Bundle& bundle) {
  ++bundle.serial;
  for (Waiter& waiter : bundle.waiters)
    if (std::exchange(waiter.prepared_for, 0) != 0) host_.send(waiter.client.id, {0, Changed{bundle.name}}, {});
}

template <typename Body>
Bundles::Map::iterator Bundles::owned_by(const Client& client, std::uint32_t tag, const Body& body) {
  const auto at = bundles_.find(body.name);
  if (at != bundles_.end() && at->second.owner.id == client.id) return at;
  const auto owner = at == bundles_.end() || at->second.owner.id == 0 ? "nobody" : "another client";
  refuse(client, tag, body.type, body.name, ErrorCode::busy,
         fmt::format("the bundle belongs to {}, expected this client (claim it first)", owner));
  return bundles_.end();
}

void Bundles::grant(Bundle& bundle, const Waiter& to, Time now) {
  unwatch_front_end(bundle);
  bundle.deadline.reset();
  if (bundle.owner.id != to.client.id) {
    bundle.owner = to.client;
    bundle.owner_since = now;
    bundle.settled = false;
    host_.report({KeeperEvent::Kind::claimed, bundle.name, to.client.pid, {}});
  }
  if (to.prepared_for == bundle.serial) return host_.send(to.client.id, {to.tag, GrantedPrepared{bundle.name}}, {});
  send_slots<Granted>(bundle, to.client, to.tag);
}

template <typename Grant>
void Bundles::send_slots(const Bundle& bundle, const Client& to, std::uint32_t tag) {
  const auto total = static_cast<std::uint32_t>(bundle.slots.size());
  auto slot = bundle.slots.begin();
  std::uint32_t sent = 0;
  do {
    Grant part;
    part.name = bundle.name;
    part.total = total;
    part.first = sent;
    std::vector<SharedFd> fds;
    for (; slot != bundle.slots.end() && fds.size() < granted_fds_max; ++slot) {
      part.slots.push_back(slot->first);
      fds.push_back(slot->second.fd);
    }
    sent += static_cast<std::uint32_t>(fds.size());
    host_.send(to.id, {tag, std::move(part)}, std::move(fds));
  } while (sent < total);
}

void Bundles::end_ownership(Map::iterator at, std::chrono::milliseconds grace, const char* reason, Time now) {
  Bundle& bundle = at->second;
  host_.report({KeeperEvent::Kind::released, bundle.name, bundle.owner.pid, reason});
  bundle.owner = {};
  bundle.owner_since = now;
  if (!bundle.waiters.empty()) {
    const Waiter next = bundle.waiters.front();
    bundle.waiters.pop_front();
    --waiting_;
    return grant(bundle, next, now);
  }
  if (bundle.slots.empty()) return static_cast<void>(bundles_.erase(at));
  if (grace.count() <= 0) return static_cast<void>(end_bundle(at, "it had no grace time"));
  bundle.deadline = now + grace;
  watch_front_end(bundle);
}

void Bundles::watch_front_end(Bundle& bundle) {
  const auto front_end = bundle.slots.find(front_end_slot);
  if (front_end != bundle.slots.end() && host_.watch(last_watch_ + 1, front_end->second.fd->get()))
    bundle.watch = ++last_watch_;
}

void Bundles::unwatch_front_end(Bundle& bundle) {
  if (const auto watch = std::exchange(bundle.watch, 0); watch != 0)
    host_.unwatch(watch, bundle.slots.at(front_end_slot).fd->get());
}

void Bundles::empty(Bundle& bundle) noexcept {
  descriptors_ -= static_cast<std::uint32_t>(bundle.slots.size());
  bundle.slots.clear();
}

Bundles::Map::iterator Bundles::end_bundle(Map::iterator at, const char* reason) {
  Bundle& bundle = at->second;
  unwatch_front_end(bundle);
  host_.report({KeeperEvent::Kind::dropped, bundle.name, 0, reason});
  empty(bundle);
  return bundles_.erase(at);
}

void Bundles::refuse(const Client& client, std::uint32_t tag, PacketType request, const std::string& name,
                     ErrorCode code, std::string text) {
  host_.send(client.id, {tag, Failed{request, code, name, std::move(text)}}, {});
}

}  // namespace vhostx::continuity
