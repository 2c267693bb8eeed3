// SPDX-License-Identifier: BSD-3-Clause
// What a back-end knows of its guest moves with it (vhost-user "Migrating back-end state").
#include <algorithm>
#include <vector>

#include "tools/probe/check/bad_input.hpp"
#include "tools/probe/check/check.hpp"
#include "tools/probe/check/state_transfer.hpp"

namespace vhostx::tools::probe {

using namespace protocol;
using Request = FrontEndRequest;
using State = std::vector<std::byte>;

namespace {

constexpr const char* state_section = "Migrating back-end state";

GuestPlan with_state() { return {.protocol = {ProtocolFeature::device_state}}; }

void need_good(std::uint64_t result, const char* what) {
  if (result != 0) throw Decided{failed("CHECK_DEVICE_STATE after {}: {}, 0 expected", what, result)};
}

/// The guest has run, where frames can be sent; its rings are stopped, and go on where these say.
std::vector<std::uint32_t> run_and_stop(Guest& guest) {
  std::vector<std::uint32_t> bases;
  if (!guest.subject().net) return bases;
  guest.start();
  guest.send(8);
  guest.await_sent("before the state is saved");
  for (std::uint32_t vring = 0; vring < guest.ring_count(); ++vring) bases.push_back(guest.stop(vring));
  return bases;
}

/// What a guest leaves at its end.
State saved(const Subject& subject) {
  Guest guest(subject, with_state());
  run_and_stop(guest);
  State state = save_state(guest);
  need_good(check_state(guest), "the state was saved");
  return state;
}

Verdict saves(const Subject& subject) {
  const State state = saved(subject);
  return passed("{} bytes and their end; CHECK_DEVICE_STATE says 0", state.size());
}

Verdict goes_on(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, with_state());
  const auto bases = run_and_stop(guest);
  save_state(guest);
  need_good(check_state(guest), "the state was saved");
  for (std::uint32_t vring = 0; vring < guest.ring_count(); ++vring) guest.restart(vring, bases[vring]);
  guest.send(8);
  guest.await_sent("after a migration that failed");
  return passed("frames used after the state was saved");
}

Verdict loads(const Subject& subject) {
  const State state = saved(subject);
  Guest guest(subject, with_state());
  need_good(load_state(guest, state), "what was saved was loaded");
  if (!subject.net) return passed("{} bytes; CHECK_DEVICE_STATE says 0", state.size());
  guest.start();
  guest.send(8);
  guest.await_sent("rings of a guest that came with its state");
  return passed("{} bytes; CHECK_DEVICE_STATE says 0, and frames are used", state.size());
}

// ---- states that are wrong

/// A back-end may refuse it by closing the connection, too.
template <typename Try>
Verdict need_refused(const Subject& subject, Try&& is_taken) {
  Fate fate = Fate::disconnected;
  {
    Guest guest(subject, with_state());
    try {
      fate = is_taken(guest) ? Fate::accepted : Fate::refused;
    } catch (const Decided&) {
      if (!guest.link().peer_is_gone()) throw;
    }
  }
  return judge(subject, fate, Owed::refusal);
}

Verdict state_is_refused(const Subject& subject, const State& state) {
  return need_refused(subject, [&](Guest& guest) { return load_state(guest, state) == 0; });
}

Verdict rubbish(const Subject& subject) {
  State state(4096);
  std::uint32_t value = 1;
  for (std::byte& one : state) one = static_cast<std::byte>((value = value * 1664525U + 1013904223U) >> 24);
  return state_is_refused(subject, state);
}

Verdict half(const Subject& subject) {
  State state = saved(subject);
  if (state.size() < 2) return not_applicable("the state has {} bytes", state.size());
  state.resize(state.size() / 2);
  return state_is_refused(subject, state);
}

Verdict begin_is_refused(const Subject& subject, std::uint32_t direction, std::uint32_t phase) {
  return need_refused(subject, [&](Guest& guest) { return begin_state(guest, direction, phase).error == 0; });
}
Verdict wrong_direction(const Subject& subject) { return begin_is_refused(subject, 7, state_phase_stopped); }
Verdict wrong_phase(const Subject& subject) { return begin_is_refused(subject, state_save, 7); }

}  // namespace

void add_state_checks(Checks& checks) {
  checks.push_back({"state.saved", state_section, "the state of a stopped device is saved, and has an end", saves});
  checks.push_back({"state.goes-on", state_section, "a device whose state was saved runs on", goes_on});
  checks.push_back({"state.loaded", state_section, "what was saved is loaded, before rings start", loads});
}

void add_bad_state_checks(Checks& checks) {
  const auto add = [&](const char* id, const char* title, Verdict (*run)(const Subject&)) {
    checks.push_back({std::string(bad_input_group) + "." + id, state_section, title, run});
  };
  add("state-rubbish", "a state of random bytes", rubbish);
  add("state-half", "half of a state", half);
  add("state-direction", "SET_DEVICE_STATE_FD in direction 7", wrong_direction);
  add("state-phase", "SET_DEVICE_STATE_FD in phase 7", wrong_phase);
}

}  // namespace vhostx::tools::probe
