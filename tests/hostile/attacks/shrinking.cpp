// SPDX-License-Identifier: BSD-3-Clause
// Files that are shrunk under the back-end: touching what is gone raises SIGBUS (CVE-2026-86561).
#include <fcntl.h>
#include <unistd.h>

#include "tests/hostile/attacks/extra_memory.hpp"

namespace vhostx::hostile {

using namespace protocol;

namespace {

constexpr const char* reason = "was shrunk";
constexpr std::size_t extra_bytes = std::size_t{1} << 20;
const GuestPlan with_slots{.features = {V::indirect_desc}, .protocol = {P::configure_mem_slots}};

void truncate(int file, std::size_t bytes) {
  if (::ftruncate(file, static_cast<off_t>(bytes)) != 0)
    throw tools::probe::Decided{tools::probe::failed("the file is not truncated")};
}

/// All of a running guest's memory goes. None of it may be touched from here on, by us no more than by the back-end.
void lose_everything(Attacker& attacker) {
  attacker.running();
  truncate(attacker.guest().memory().fd(0), 0);
}

/// A region beside the guest's own, whose file is not mapped here: what is in it may be lost while the rings are used
/// on.
UniqueFd add_extra(Attacker& attacker) {
  attacker.running(with_slots);
  UniqueFd file = memory_file(extra_bytes);
  attacker.link().change(
      with_fd(make_request(Request::add_mem_reg, SingleMemoryRegion{0, {extra_guest, extra_bytes, extra_guest, 0}}),
              tools::duplicate(file.get())));
  return file;
}

void show_in_extra(Attacker& attacker, std::uint32_t bytes, std::uint16_t flags = 0) {
  attacker.descriptor(out_of, 0) = {extra_guest, bytes, flags, 0};
  attacker.show(out_of, {0});
}

void shrink_in_traffic(Attacker& attacker) {
  const UniqueFd file = add_extra(attacker);
  std::jthread traffic([&](const std::stop_token& stop) {
    for (unsigned i = 1; !stop.stop_requested() && !attacker.link().peer_is_gone(); ++i) {
      show_in_extra(attacker, 1000);
      if (i % 32 == 0)
        attacker.guest().wait([&] { return attacker.link().peer_is_gone() || attacker.caught_up(out_of); });
    }
  });
  attacker.await_used(out_of, 100);
  truncate(file.get(), 0);
  attacker.guest().wait([&] { return attacker.link().peer_is_gone(); });
}

void add_rings_that_go(Group& group) {
  group.add("everything-and-a-kick", closed(reason), [](Attacker& attacker) {
    lose_everything(attacker);
    attacker.guest().transmit().kick();
  });
  group.add("everything-and-a-frame-comes", closed(reason), [](Attacker& attacker) {
    lose_everything(attacker);
    attacker.feed(1);
  });
  group.add("everything-and-a-ring-is-stopped", survived(), [](Attacker& attacker) {
    lose_everything(attacker);
    static_cast<void>(attacker.link().send(ring_state(Request::get_vring_base, out_of, 0)));  // or it is closed already
  });
  group.add("everything-before-the-rings-start", closed(reason), [](Attacker& attacker) {
    Guest& guest = attacker.guest();
    guest.describe(out_of, 0);
    truncate(guest.memory().fd(0), 0);
    static_cast<void>(guest.link().send(with_fd(number(Request::set_vring_kick, out_of), event_fd(1))));
  });
  group.add("everything-and-the-same-table-again", survived(), [](Attacker& attacker) {
    lose_everything(attacker);
    Message same = make_memory_table(std::vector{attacker.guest().memory().description(0)});
    same.add_fd(tools::duplicate(attacker.guest().memory().fd(0)));
    static_cast<void>(attacker.link().send(same));
  });
}

void add_buffers_that_go(Group& group, Socket port, const std::string& where) {
  const auto add = [&](const char* name, Expected expected, Group::Run run) {
    group.add((name + where).c_str(), std::move(expected), std::move(run), "2026-86561", port);
  };
  add("a-buffer-to-send", closed(reason), [](Attacker& attacker) {
    truncate(add_extra(attacker).get(), 0);
    show_in_extra(attacker, 64);
  });
  add("a-large-buffer-to-send", closed(reason), [](Attacker& attacker) {
    truncate(add_extra(attacker).get(), 4096);
    show_in_extra(attacker, 60000);
  });
  add("a-buffer-to-receive", closed(reason), [](Attacker& attacker) {
    const UniqueFd file = add_extra(attacker);
    for (std::uint16_t i = 0; i < 64; ++i) attacker.descriptor(into, i).address = extra_guest;
    truncate(file.get(), 0);
    attacker.feed(1);
  });
  add("an-indirect-table", closed(reason), [](Attacker& attacker) {
    truncate(add_extra(attacker).get(), 0);
    show_in_extra(attacker, 64, indirect);
  });
  add("a-buffer-in-traffic", closed(reason), shrink_in_traffic);
  add("and-grown-again-in-traffic", survived(), [](Attacker& attacker) {
    const UniqueFd file = add_extra(attacker);
    for (int i = 0; i < 300 && !attacker.link().peer_is_gone(); ++i) {
      truncate(file.get(), 0);
      truncate(file.get(), extra_bytes);
      show_in_extra(attacker, 1000);
    }
  });
  add("by-a-hole", harmless(), [](Attacker& attacker) {
    const UniqueFd file = add_extra(attacker);
    ::fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(extra_bytes));
    show_in_extra(attacker, 1000);
    attacker.await_used(out_of, 1);
  });
}

}  // namespace

void add_shrinking_attacks(Attacks& attacks) {
  Group group(attacks, "shrinking");
  add_rings_that_go(group);
  add_buffers_that_go(group, Socket::attacked, "");
  add_buffers_that_go(group, Socket::lending, "-on-a-port-that-lends");
}

}  // namespace vhostx::hostile
