// SPDX-License-Identifier: BSD-3-Clause
// A check that cannot fail is worth nothing: each fault of the model is one that some check must find, and without a
// fault none may complain.
#include <set>

#include <gtest/gtest.h>

#include "model_back_end.hpp"
#include "tools/probe/check/check.hpp"
#include "tools/probe/check/runner.hpp"
#include "tools/probe/device_kind.hpp"

namespace vhostx::test {
namespace {

using namespace tools::probe;

// What never happens is waited for this long; what happens has much longer, on a machine that is busy.
constexpr std::chrono::milliseconds impatient{300};
constexpr std::chrono::seconds patient{120};

Subject subject_of(const ModelBackEnd& model, std::chrono::milliseconds timeout) {
  Subject subject{.path = model.path(), .timeout = timeout};
  const auto explored = explore(subject, std::nullopt);
  EXPECT_TRUE(explored) << explored.error().message;
  return subject;
}

const Check& check_named(const std::string& id) {
  for (const Check& check : all_checks())
    if (check.id == id) return check;
  throw std::invalid_argument("no check " + id);
}

TEST(ProbeChecks, HaveIdsOfTheirOwn) {
  std::set<std::string> ids;
  for (const Check& check : all_checks()) {
    EXPECT_TRUE(ids.insert(check.id).second) << check.id << " twice";
    EXPECT_NE(check.id.find('.'), std::string::npos) << check.id;
    EXPECT_FALSE(check.section.empty() || check.title.empty()) << check.id;
    EXPECT_NE(check.title.back(), '.') << check.id;
  }
  EXPECT_GE(ids.size(), 60U);
}

TEST(ProbeChecks, FindNothingWhereNothingIs) {
  const ModelBackEnd model;
  const Subject subject = subject_of(model, patient);
  EXPECT_TRUE(subject.net);
  EXPECT_TRUE(subject.loops);
  for (const Check& check : all_checks()) {
    const Verdict verdict = run_check(check, subject);
    EXPECT_NE(verdict.outcome, Outcome::failed) << check.id << ": " << verdict.seen;
    EXPECT_FALSE(verdict.seen.empty()) << check.id;
  }
}

struct Found {
  Fault fault;
  const char* id;
  const char* seen;  ///< Part of what the check says.
};

void PrintTo(const Found& found, std::ostream* out) { *out << found.id; }

class ProbeFinds : public testing::TestWithParam<Found> {};

Verdict check_with(const Found& found, std::chrono::milliseconds timeout) {
  const ModelBackEnd model(found.fault);
  Subject subject{.path = model.path(), .timeout = timeout};
  static_cast<void>(explore(subject, true));  // some faults are met here already
  subject.loops = true;
  try {
    return run_check(check_named(found.id), subject);
  } catch (const BackEndGone& gone) {
    return failed("{}", gone.why);
  }
}

bool is_found(const Found& found, const Verdict& verdict) {
  return verdict.outcome == Outcome::failed && verdict.seen.find(found.seen) != std::string::npos;
}

TEST_P(ProbeFinds, TheFault) {
  const Found& found = GetParam();
  Verdict verdict = check_with(found, impatient);
  // On a machine that is busy something else may have taken too long.
  if (!is_found(found, verdict)) verdict = check_with(found, 10 * impatient);
  EXPECT_TRUE(is_found(found, verdict)) << found.id << ": " << to_string(verdict.outcome) << ": " << verdict.seen;
}

const Found faults[] = {
    {Fault::short_features, "negotiation.features-reply", "4 bytes"},
    {Fault::changing_features, "negotiation.features-stable", "before"},
    {Fault::tso_without_csum, "negotiation.net-offers-go-together", "VIRTIO_NET_F_HOST_TSO4"},
    {Fault::wrong_version, "negotiation.features-reply", "no answer on a new connection"},
    {Fault::reply_flag_missing, "negotiation.features-reply", "no answer on a new connection"},
    {Fault::no_acks, "ack.set-owner", "no reply to SET_OWNER"},
    {Fault::two_acks, "ack.set-owner", "nobody asked for"},
    {Fault::short_acks, "ack.set-vring-num", "4 bytes"},
    {Fault::refuses_all, "ack.add-mem-reg", "refused"},
    {Fault::acks_unasked, "silent.set-owner", "nobody asked for"},
    {Fault::acks_replies, "reply-once.get-vring-base", "nobody asked for"},
    {Fault::needs_whole_messages, "stream.one-byte-at-a-time", "closed"},
    {Fault::takes_powers_of_two, "packed.data-ring-of-100", "refused"},
    {Fault::takes_powers_of_two, "packed.data-chain-wraps", "refused"},
    {Fault::breaks_chains_at_the_end, "packed.data-chain-wraps", "a ring of 7 with chains of two"},
    {Fault::returns_indices, "packed.data-id-any", "id 4711 was used, and id 4 came back"},
    {Fault::marks_all_as_written, "packed.data-used-write-flag", "frame 0"},
    {Fault::needs_both_halves, "packed.ring-base-of-16-bits", "without its upper half: 0 of 7"},
    {Fault::base_one_off, "packed.ring-base-counts", "base available 8 wrap 1, used 7 wrap 1"},
    {Fault::base_one_off, "packed.ring-base-unstarted", "available 8 wrap 1, used 7 wrap 1 after"},
    {Fault::restarts_at_0, "packed.ring-restarts-at-base", "0 of 7"},
    {Fault::stops_at_wrap, "packed.ring-index-wraps", "1 of 20"},
    {Fault::never_calls, "packed.data-call-signalled", "no call"},
    {Fault::always_calls, "packed.data-call-suppressed", "in spite of"},
    {Fault::damages_frames, "packed.receive-delivered", "no frame"},
    {Fault::logs_nothing, "packed.log-used-ring", "clean"},
    {Fault::silent_errors, "bad-input.packed-error-signalled", "not signalled"},
    {Fault::takes_any_size, "bad-input.packed-size-0", "taken"},
    {Fault::takes_any_size, "bad-input.packed-size-32769", "taken"},
    {Fault::ignores_kicks, "ring.starts-on-kick", "after the kick: 0 of 4"},
    {Fault::ignores_kicks, "ring.starts-with-buffers", "after the kick: 0 of 4"},
    {Fault::ignores_kicks, "ring.kick-injected", "after the front-end's kick: 0 of 4"},
    {Fault::ignores_kicks, "ring.kick-injected-empty", "sent after the front-end's kick: 0 of 4"},
    {Fault::keeps_disabled, "ring.disabled-tx-drained", "0 of 4"},
    {Fault::keeps_disabled, "ring.disabled-later-tx-drained", "0 of 4"},
    {Fault::starts_disabled_without_bit_30, "receive.enabled-without-protocol-features", "no frame"},
    {Fault::stop_stops_all, "ring.stop-stops-one", "0 of 4"},
    {Fault::base_one_off, "ring.base-counts", "base 8"},
    {Fault::base_one_off, "ring.base-unstarted", "8 after"},
    {Fault::runs_when_stopped, "ring.stopped-untouched", "stopped ring"},
    {Fault::restarts_at_0, "ring.restarts-at-base", "0 of 7"},
    {Fault::stops_at_wrap, "ring.index-wraps", "1 of 20"},
    {Fault::needs_kick_descriptor, "ring.kick-without-descriptor", "0 of 4"},
    {Fault::forgets_late_call, "ring.late-call-signalled", "not signalled"},
    {Fault::call_swap_stops, "ring.call-swapped", "0 of 4"},
    {Fault::signals_old_call, "ring.call-swapped", "old call"},
    {Fault::never_calls, "data.call-signalled", "no call"},
    {Fault::always_calls, "data.call-suppressed", "in spite of"},
    {Fault::uses_twice, "data.used-once", "not with the back-end"},
    {Fault::long_used_length, "data.used-length", "100 bytes"},
    {Fault::fills_disabled_receive, "receive.disabled-untouched", "disabled receive ring"},
    {Fault::num_buffers_0, "receive.num-buffers", "num_buffers 0"},
    {Fault::damages_frames, "receive.delivered", "no frame"},
    {Fault::keeps_old_memory, "memory.table-exchanged", "other files"},
    {Fault::few_slots, "memory.max-slots-usable", "slot 17 of 32"},
    {Fault::compares_offset, "memory.remove-ignores-offset", "status 1"},
    {Fault::ignores_mmap_offset, "memory.offset-into-file", "begins inside its file"},
    {Fault::wants_own_addresses, "memory.guest-addresses", "refused"},
    {Fault::wants_own_addresses, "memory.guest-addresses-in-slots", "refused"},
    {Fault::config_of_fixed_size, "device.config-sizes", "a payload of 24"},
    {Fault::small_inflight_region, "device.inflight-region", "are needed"},
    {Fault::inflight_without_descriptor, "device.inflight-region", "0 descriptors"},
    {Fault::two_log_replies, "log.base-reply", "nobody asked for"},
    {Fault::logs_nothing, "log.used-ring", "clean"},
    {Fault::logs_nothing, "log.received-frame", "no buffer's page"},
    {Fault::logs_nothing, "log.received-pages", "the first is clean, the second clean"},
    {Fault::logs_first_pages, "log.received-pages", "the first is dirty, the second clean"},
    {Fault::logs_from_the_begin, "log.switched-on", "after VHOST_F_LOG_ALL was set"},
    {Fault::keeps_first_log, "log.second-base", "clean in the second log"},
    {Fault::logs_in_both, "log.second-base", "in the first log after the reply"},
    {Fault::ignores_log_offset, "log.offset", "bytes before were written"},
    {Fault::ignores_ring_log_flag, "log.ring-flag", "the other ring alone"},
    {Fault::logs_nothing, "log.ring-flag", "with VHOST_VRING_F_LOG, and its page is clean"},
    {Fault::logs_on, "log.switched-off", "after VHOST_F_LOG_ALL was taken away"},
    {Fault::logs_unasked, "log.off", "without VHOST_F_LOG_ALL"},
    {Fault::takes_log_to_the_end, "bad-input.log-empty", "nobody listens"},
    {Fault::takes_log_to_the_end, "bad-input.log-behind-file", "nobody listens"},
    {Fault::takes_log_to_the_end, "bad-input.log-around-end", "nobody listens"},
    {Fault::takes_log_to_the_end, "bad-input.log-no-memory", "nobody listens"},
    {Fault::refuses_to_save, "state.saved", "to save: error 1"},
    {Fault::state_without_end, "state.saved", "no end of the state after 0 bytes"},
    {Fault::state_without_descriptor, "state.saved", "0 descriptors"},
    {Fault::says_state_failed, "state.saved", "CHECK_DEVICE_STATE after the state was saved: 1"},
    {Fault::stops_for_good_when_saved, "state.goes-on", "after a migration that failed: 0 of 8"},
    {Fault::refuses_own_state, "state.loaded", "what was saved was loaded: 1"},
    {Fault::takes_any_state, "bad-input.state-rubbish", "taken"},
    {Fault::takes_half_a_state, "bad-input.state-half", "taken"},
    {Fault::takes_any_transfer, "bad-input.state-direction", "taken"},
    {Fault::takes_any_transfer, "bad-input.state-phase", "taken"},
    {Fault::keeps_status, "device.status-reset", "15 after"},
    {Fault::survives_reset, "device.reset-device", "ran on"},
    {Fault::takes_any_size, "bad-input.size-100", "taken"},
    {Fault::takes_overlap, "bad-input.regions-overlap", "taken"},
    {Fault::takes_unknown, "bad-input.request-unknown", "taken"},
    {Fault::dies_of_unknown, "bad-input.request-unknown", "nobody listens"},
    {Fault::silent_errors, "bad-input.error-signalled", "not signalled"},
    {Fault::leaks_descriptors, "connection.descriptors-returned", "before 20 connections"},
    {Fault::serves_once, "connection.reconnects", "nobody listens"},
};

std::string name_of_case(const testing::TestParamInfo<Found>& info) {
  std::string name = info.param.id;
  for (char& letter : name)
    if (letter == '.' || letter == '-') letter = '_';
  return name + "_" + std::to_string(info.index);
}

INSTANTIATE_TEST_SUITE_P(All, ProbeFinds, testing::ValuesIn(faults), name_of_case);

// vhost-user "Ring states" of 2026, and as it was before.
TEST(ProbeCheck, ARingMayStartByEitherEditionOfTheText) {
  const auto seen_of = [](Fault model, const char* id) {
    const Verdict verdict = check_with({model, id, ""}, 10 * impatient);
    EXPECT_EQ(verdict.outcome, Outcome::passed) << id << ": " << verdict.seen;
    return verdict.seen;
  };
  for (const char* const id : {"ring.starts-on-kick", "ring.starts-with-buffers"}) {
    EXPECT_NE(seen_of(Fault::none, id).find("as the text before 2026 has it"), std::string::npos);
    EXPECT_NE(seen_of(Fault::starts_unkicked, id).find("as the text of 2026 has it"), std::string::npos);
  }
  for (const char* const id : {"ring.kick-injected", "ring.kick-injected-empty"}) {
    seen_of(Fault::none, id);
    seen_of(Fault::starts_unkicked, id);
  }
}

TEST(ProbeRunner, GoesOnWhenTheBackEndIsGone) {
  const ModelBackEnd model(Fault::dies_of_unknown);
  const Subject subject = subject_of(model, impatient);
  const std::vector<const Check*> checks{
      &check_named("negotiation.features-reply"), &check_named("bad-input.request-unknown"),
      &check_named("negotiation.features-reply"), &check_named("negotiation.version-1")};
  unsigned told = 0;
  const auto report = run_checks(subject, checks, [&](const CheckResult&) { ++told; });
  ASSERT_EQ(report.results.size(), 4U);
  EXPECT_EQ(told, 4U);
  EXPECT_EQ(report.results[0].verdict.outcome, Outcome::passed);
  EXPECT_EQ(report.results[1].verdict.outcome, Outcome::failed);
  EXPECT_EQ(report.count(Outcome::failed), 1U);
  EXPECT_EQ(report.count(Outcome::not_tried), 2U);
  EXPECT_EQ(report.results[3].verdict.seen, report.results[1].verdict.seen);
}

TEST(ProbeRunner, ChoosesByGlobGroupAndGentleness) {
  const auto count = [](const CheckOptions& options) { return select(all_checks(), options).size(); };
  EXPECT_EQ(count({}), all_checks().size());
  EXPECT_EQ(count({.only = {"ring.starts-on-kick"}}), 1U);
  EXPECT_EQ(count({.only = {"ring.*"}}), count({.groups = {"ring"}}));
  EXPECT_EQ(count({.only = {"ring.*"}, .groups = {"data"}}), 0U);
  EXPECT_EQ(count({.gentle = true}) + count({.groups = {"bad-input"}}), all_checks().size());
  EXPECT_EQ(count({.groups = {"bad-input"}, .gentle = true}), 0U);
}

TEST(ProbeRunner, KnowsNetworkDevices) {
  using V = protocol::VirtioFeature;
  using P = protocol::ProtocolFeature;
  EXPECT_TRUE(looks_like_net({V::version_1}, {P::mtu}));
  EXPECT_TRUE(looks_like_net({V::net_mrg_rxbuf}, {P::mq}));
  EXPECT_TRUE(looks_like_net({V::net_guest_announce}, {}));
  EXPECT_FALSE(looks_like_net({V::version_1, V::event_idx}, {P::mq, P::config}));
}

}  // namespace
}  // namespace vhostx::test
