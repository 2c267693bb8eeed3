// SPDX-License-Identifier: BSD-3-Clause
// Too much of what is legal, and too little: peers that send without end, and peers that never read.
#include "tests/hostile/attacks/lingering.hpp"

namespace vhostx::hostile {

using namespace protocol;

namespace {

void add_peers_that_do_not_read(Group& group) {
  group.add("reads-no-answer-for-a-long-time", harmless(), [](Attacker& attacker) {
    attacker.guest();
    for (unsigned left = send_until_full(attacker.link().fd(), make_request(Request::get_features)); left != 0; --left)
      tools::probe::need(attacker.link().receive_reply(), "an answer that waited");
  });
  group.add("reads-no-answer-and-leaves", survived(), [](Attacker& attacker) {
    attacker.guest();
    send_until_full(attacker.link().fd(), make_request(Request::get_features));
    attacker.leave();
  });
  group.add("reads-no-acknowledgement-of-refusals", survived(), [](Attacker& attacker) {
    attacker.guest();
    send_until_full(attacker.link().fd(), tools::probe::asking(unknown_request(99)));
    attacker.leave();
  });
  group.add("never-answers-and-asks-to-stop-rings", survived(), [](Attacker& attacker) {
    attacker.running();
    send_until_full(attacker.link().fd(), ring_state(Request::get_vring_base, 1, 0));
    attacker.leave();
  });
}

void add_messages(Group& group) {
  group.add("twenty-thousand-messages-that-have-no-answer", harmless(), [](Attacker& attacker) {
    attacker.running();
    for (std::uint32_t i = 0; i < 20'000; ++i) attacker.link().put(ring_state(Request::set_vring_enable, i % 4, 1));
  });
  group.add("call-descriptors-by-the-thousand", harmless(), [](Attacker& attacker) {
    attacker.guest();
    for (int i = 0; i < 3000; ++i) attacker.link().put(with_fd(number(Request::set_vring_call, 0), event_fd()));
  });
  group.add("memory-tables-by-the-thousand", harmless(), [](Attacker& attacker) {
    attacker.running();
    for (int i = 0; i < 1000; ++i) attacker.guest().share_memory();
  });
  group.add("two-hundred-connections-at-once", harmless(), [](Attacker& attacker) {
    attacker.running();
    std::vector<tools::FrontEnd> held;
    for (int i = 0; i < 200; ++i)
      if (auto another = tools::FrontEnd::connect_once(attacker.subject().path)) held.push_back(*std::move(another));
    attacker.guest().send(8);
    attacker.guest().await_sent("the first of them");
  });
}

void send_rounds(Attacker& attacker, unsigned frames_a_round, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    attacker.guest().send(frames_a_round);
    attacker.guest().await_sent("a flood");
  }
}

/// Packets of 60000 bytes, of which each takes thirty mbufs where it is copied.
void send_large(Attacker& attacker, unsigned count) {
  attacker.running({.features = {V::net_mrg_rxbuf}});
  const auto buffer = attacker.guest().memory().allocate(60012, 64);
  for (std::uint16_t i = 0; i < 64; ++i) attacker.descriptor(1, i) = {buffer.guest, 60012, 0, 0};
  for (unsigned sent = 0; sent < count; sent += 32) {
    attacker.show(1, std::vector<std::uint16_t>(32, 5));
    attacker.await_used(1, sent + 32);
  }
}

void add_packets(Group& group) {
  group.add("a-hundred-thousand-frames", harmless(), [](Attacker& attacker) {
    attacker.running({.ring_size = 1024});
    send_rounds(attacker, 1024, 100);
  });
  group.add("frames-in-single-descriptors-with-a-kick-each", harmless(), [](Attacker& attacker) {
    attacker.running();
    for (unsigned i = 1; i <= 5000; ++i) {
      attacker.show(1, {static_cast<std::uint16_t>(i % 64)});
      if (i % 64 == 0) attacker.await_used(1, i);
    }
  });
  group.add("frames-that-nobody-takes", survived(), [](Attacker& attacker) {
    // The attacker posts no receive buffer any more: what is for it fills its backlog, and is dropped behind that.
    attacker.running();
    attacker.feed(5000);
  });
  group.add("packets-of-60000-bytes", harmless(), [](Attacker& attacker) { send_large(attacker, 4000); });
  group.add(
      "packets-of-60000-bytes-that-are-lent", harmless(), [](Attacker& attacker) { send_large(attacker, 2000); }, "",
      Socket::lending);
}

}  // namespace

void add_flood_attacks(Attacks& attacks) {
  Group group(attacks, "floods");
  add_peers_that_do_not_read(group);
  add_messages(group);
  add_packets(group);
}

}  // namespace vhostx::hostile
