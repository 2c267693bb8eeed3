// SPDX-License-Identifier: BSD-3-Clause
// Dirty logs of a guest that claims to migrate: files that are not the log they should be, and logs that change too
// often.
#include <fcntl.h>
#include <unistd.h>

#include "tests/hostile/attacks/make.hpp"

namespace vhostx::hostile {

using namespace protocol;

namespace {

constexpr std::uint64_t log_bytes = std::uint64_t{1} << 20;  // for 32 GiB
constexpr std::uint64_t top = ~std::uint64_t{0};
const GuestPlan can_log{.protocol = {P::log_shmfd}};

Message log_base(UniqueFd file, std::uint64_t bytes = log_bytes, std::uint64_t offset = 0) {
  return with_fd(make_request(Request::set_log_base, LogBase{bytes, offset}), std::move(file));
}

void switch_log(Guest& guest, bool on) {
  FeatureSet features = guest.features();
  if (on) features.set(V::vhost_log_all);
  guest.link().change(number(Request::set_features, features.bits()));
}

/// Every ring's used ring is logged, at this address or where it is.
void log_rings(Attacker& attacker, std::uint64_t address = 0) {
  Guest& guest = attacker.guest();
  for (std::uint32_t vring = 0; vring < guest.ring_count(); ++vring) {
    VringAddress addresses = guest.addresses(vring);
    addresses.flags = vring_log;
    addresses.log = address != 0 ? address : attacker.guest_address(attacker.used(vring));
    guest.link().change(make_request(Request::set_vring_addr, addresses));
  }
}

/// Rings run, and are logged into this file.
void begin(Attacker& attacker, UniqueFd file, std::uint64_t bytes = log_bytes, std::uint64_t address = 0) {
  Guest& guest = attacker.running(can_log);
  guest.link().exchange(log_base(std::move(file), bytes));
  switch_log(guest, true);
  log_rings(attacker, address);
}

void send_and_wait(Attacker& attacker, const char* what) {
  attacker.guest().send(8);
  attacker.guest().await_sent(what);
}

void shrink_under_traffic(Attacker& attacker) {
  const UniqueFd file = memory_file(log_bytes);
  begin(attacker, tools::duplicate(file.get()));
  send_and_wait(attacker, "rings with a log");
  if (::ftruncate(file.get(), 0) != 0) throw tools::probe::Decided{tools::probe::failed("the file is not truncated")};
  while (!attacker.link().peer_is_gone()) {
    attacker.guest().send(1);
    attacker.guest().wait([&] { return attacker.link().peer_is_gone() || attacker.caught_up(1); });
    attacker.guest().take_sent();
  }
}

void change_a_thousand_times(Attacker& attacker) {
  begin(attacker, memory_file(log_bytes));
  Guest& guest = attacker.guest();
  for (int i = 0; i < 1000; ++i) {
    guest.link().exchange(log_base(memory_file(log_bytes)));
    switch_log(guest, false);
    guest.link().exchange(log_base(memory_file(2 * log_bytes), 2 * log_bytes));
    switch_log(guest, true);
    if (i % 10 == 0) send_and_wait(attacker, "rings whose log changes");
  }
}

}  // namespace

void add_log_attacks(Attacks& attacks) {
  Group group(attacks, "logs");
  group.add("in-the-guests-own-memory", harmless(), [](Attacker& attacker) {
    Guest& guest = attacker.running(can_log);
    UniqueFd file = tools::duplicate(guest.memory().fd(0));
    guest.link().exchange(log_base(std::move(file), log_bytes / 4));
    switch_log(guest, true);
    attacker.sync();
  });
  group.add("shrunk-under-traffic", closed("the dirty log is lost"), shrink_under_traffic);
  group.add("changed-a-thousand-times", harmless(), change_a_thousand_times);
  group.add("of-a-used-ring-that-wraps", harmless(), [](Attacker& attacker) {
    begin(attacker, memory_file(log_bytes), log_bytes, top - 10);
    send_and_wait(attacker, "rings whose log address wraps");
  });
  group.add("of-a-used-ring-beyond-the-log", harmless(), [](Attacker& attacker) {
    begin(attacker, memory_file(log_bytes), log_bytes, std::uint64_t{1} << 50);
    send_and_wait(attacker, "rings whose log address is far off");
  });
  group.add("switched-on-without-a-log", refused("expected SET_LOG_BASE before"), [](Attacker& attacker) {
    FeatureSet features = attacker.running(can_log).features();
    features.set(V::vhost_log_all);
    attacker.wrong(number(Request::set_features, features.bits()));
    send_and_wait(attacker, "rings without a log");
  });
  group.add("never-sent-after-log-all", harmless(), [](Attacker& attacker) {
    const GuestPlan logged{.features = {V::vhost_log_all}, .protocol = {P::log_shmfd}};
    Guest& guest = attacker.guest(logged);
    for (std::uint32_t vring = 0; vring < guest.ring_count(); ++vring) {
      guest.describe(vring, 0);
      guest.arm(vring);
      guest.enable(vring);
    }
    attacker.sync();
  });
  group.add("of-which-only-an-end-is-in-the-file", closed("its file has"), [](Attacker& attacker) {
    attacker.running(can_log);
    attacker.wrong(log_base(memory_file(log_bytes), log_bytes, 1));
  });
  group.add("in-a-file-that-cannot-be-written", closed("SET_LOG_BASE: dirty log"), [](Attacker& attacker) {
    attacker.running(can_log);
    attacker.wrong(log_base(opened("/proc/self/exe", O_RDONLY | O_CLOEXEC), 4096));
  });
}

}  // namespace vhostx::hostile
