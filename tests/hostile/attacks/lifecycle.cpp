// SPDX-License-Identifier: BSD-3-Clause
// Connections that come and go at every wrong moment, and rings that start, stop and change without end.
#include <sys/socket.h>

#include "tests/hostile/attacks/make.hpp"

namespace vhostx::hostile {

using namespace protocol;

namespace {

void connect_and_leave(Attacker& attacker, int times, std::size_t bytes) {
  auto text = encode(make_request(Request::get_features));
  text.resize(std::min(bytes, text.size()));
  for (int i = 0; i < times; ++i) {
    auto connected = tools::FrontEnd::connect_once(attacker.subject().path);
    if (connected && !text.empty()) static_cast<void>(::send(connected->fd(), text.data(), text.size(), MSG_NOSIGNAL));
  }
}

/// Goes so many steps of a set-up, and dies.
void die_after(Attacker& attacker, int steps) {
  Guest& guest = attacker.guest();
  auto step = [left = steps](auto&& act) mutable {
    if (left-- > 0) act();
  };
  for (const std::uint32_t vring : {0U, 1U}) {
    step([&] { guest.link().change(ring_state(Request::set_vring_num, vring, 64)); });
    step([&] { guest.describe(vring, 0); });
    step([&] { guest.arm(vring); });
    step([&] { guest.enable(vring); });
    step([&] { guest.ring(vring).kick(); });
  }
  step([&] { guest.send(16); });
  attacker.leave();
}

void add_connections(Group& group) {
  group.add("connects-and-leaves-a-thousand-times", survived(),
            [](Attacker& attacker) { connect_and_leave(attacker, 1000, 0); });
  group.add("asks-and-leaves-a-thousand-times", survived(),
            [](Attacker& attacker) { connect_and_leave(attacker, 1000, 12); });
  group.add("dies-at-each-step", survived(), [](Attacker& attacker) {
    for (int steps = 0; steps <= 11; ++steps) die_after(attacker, steps);
  });
  group.add("dies-with-everything-outstanding", closed("the peer closed the connection"), [](Attacker& attacker) {
    attacker.running().send(60);
    attacker.feed(60);
    attacker.leave();
  });
  group.add("runs-and-dies-fifty-times", survived(), [](Attacker& attacker) {
    for (int i = 0; i < 50; ++i) {
      attacker.guest().start();
      attacker.guest().send(8);
      attacker.leave();
    }
  });
  group.add("half-closed", closed("the peer closed the connection"), [](Attacker& attacker) {
    attacker.running();
    ::shutdown(attacker.link().fd(), SHUT_WR);
  });
  group.add("closed-for-reading", survived(), [](Attacker& attacker) {
    attacker.running();
    ::shutdown(attacker.link().fd(), SHUT_RD);
    for (int i = 0; i < 100; ++i)
      if (!attacker.link().send(make_request(Request::get_features))) break;
    attacker.leave();
  });
  group.add("a-second-front-end-on-the-socket", harmless(), [](Attacker& attacker) {
    Guest& guest = attacker.running();
    for (int i = 0; i < 20; ++i) {
      auto second = tools::probe::need(tools::FrontEnd::connect_once(attacker.subject().path), "the second");
      if (second.get_u64(Request::get_features).ok())
        throw tools::probe::Decided{tools::probe::failed("a second front-end is served")};
    }
    guest.send(8);
    guest.await_sent("the first front-end");
  });
}

/// The transmit ring stops and starts at this base.
void again(Guest& guest, std::uint32_t base) {
  guest.stop(1);
  guest.ring(1).restart_at(static_cast<std::uint16_t>(base));
  guest.restart(1, base);
  guest.send(4);
  guest.await_sent("started again");
}

void add_rings(Group& group) {
  group.add("stops-and-starts-without-end", harmless(), [](Attacker& attacker) {
    Guest& guest = attacker.running();
    for (std::uint32_t i = 0; i < 200; ++i) again(guest, i * 331 % 65536);
  });
  group.add("base-and-used-index-disagree", harmless(), [](Attacker& attacker) {
    Guest& guest = attacker.running();
    guest.stop(1);
    guest.ring(1).restart_at(60000);
    guest.restart(1, 7);
    guest.send(4);
    guest.await_sent("from the used index on");
  });
  group.add("stopped-twice", harmless(), [](Attacker& attacker) {
    Guest& guest = attacker.running();
    for (std::uint32_t i = 0; i < 100; ++i) guest.stop(i % 4);
  });
  group.add("stopped-and-never-started", harmless(), [](Attacker& attacker) {
    for (std::uint32_t vring = 0; vring < 4; ++vring) attacker.guest().stop(vring);
  });
  group.add("stopped-under-traffic-and-left", survived(), [](Attacker& attacker) {
    Guest& guest = attacker.running();
    guest.send(60);
    guest.stop(1);
    guest.send(4);
    attacker.leave();
  });
  group.add("enabled-and-disabled-under-traffic", harmless(), [](Attacker& attacker) {
    Guest& guest = attacker.running();
    for (int i = 0; i < 500; ++i) {
      guest.send(4);
      guest.enable(1, i % 2 == 1);
      guest.enable(0, i % 2 == 1);
    }
    guest.await_sent("enabled in the end");
  });
  group.add("disabled-and-sent-to", dropped("drop_disabled"), [](Attacker& attacker) {
    Guest& guest = attacker.running();
    guest.enable(1, false);
    guest.send(32);
    guest.await_sent("consumed all the same");
  });
  group.add("the-second-pair-alone", harmless(), [](Attacker& attacker) {
    Guest& guest = attacker.guest({.pairs = 2});
    for (const std::uint32_t vring : {2U, 3U}) guest.restart(vring, 0);
    guest.send(8, 1);
    guest.await_sent("the second pair", 1);
  });
  group.add("a-broken-ring-is-kicked-on", broken("avail_index_jump"), [](Attacker& attacker) {
    attacker.running();
    attacker.avail(1)[1] = static_cast<std::uint16_t>(attacker.avail(1)[1] + 1000);
    for (int i = 0; i < 10'000; ++i) attacker.guest().ring(1).kick();
  });
  group.add("broken-and-started-again-and-again", broken("avail_index_jump"), [](Attacker& attacker) {
    Guest& guest = attacker.running();
    for (std::uint16_t i = 1; i <= 50; ++i) {
      attacker.avail(1)[1] = static_cast<std::uint16_t>(attacker.avail(1)[1] + 1000);
      guest.ring(1).kick();
      again(guest, i);
    }
    attacker.avail(1)[1] = static_cast<std::uint16_t>(attacker.avail(1)[1] + 1000);
    guest.ring(1).kick();
  });
}

void add_device(Group& group) {
  group.add("reset-under-traffic", harmless(), [](Attacker& attacker) {
    Guest& guest = attacker.running({.protocol = {P::reset_device}});
    guest.send(60);
    for (int i = 0; i < 50; ++i) guest.link().change(make_request(Request::reset_device));
  });
  group.add("status-0-under-traffic", harmless(), [](Attacker& attacker) {
    Guest& guest = attacker.running({.protocol = {P::status}});
    guest.send(60);
    for (std::uint64_t i = 0; i < 256; ++i) guest.link().change(number(Request::set_status, i % 16));
  });
  group.add("features-flip-between-starts", harmless(), [](Attacker& attacker) {
    Guest& guest = attacker.running();
    for (std::uint32_t i = 0; i < 50; ++i) {
      FeatureSet features = guest.features();
      if (i % 2 == 0) features.set(V::indirect_desc).set(V::net_mrg_rxbuf).set(V::net_csum);
      guest.stop(0);
      guest.stop(1);
      guest.link().change(number(Request::set_features, features.bits()));
      guest.ring(0).restart_at(0);
      guest.post_receive();
      guest.restart(0, 0);
      guest.ring(1).restart_at(static_cast<std::uint16_t>(i));
      guest.restart(1, i);
      guest.send(4);
      guest.await_sent("other features");
    }
  });
  group.add("mtu-flips-under-traffic", harmless(), [](Attacker& attacker) {
    Guest& guest = attacker.running({.features = {V::net_mtu}, .protocol = {P::mtu}});
    for (std::uint64_t i = 0; i < 500; ++i) {
      guest.link().change(number(Request::net_set_mtu, i % 2 == 0 ? 68 : 65535));
      if (i % 16 == 0) guest.send(4), guest.await_sent("another MTU");
    }
  });
  group.add("rarp-by-the-thousand", harmless(), [](Attacker& attacker) {
    Guest& guest = attacker.running({.protocol = {P::rarp}});
    for (std::uint64_t i = 0; i < 5000; ++i) guest.link().change(number(Request::send_rarp, i * 7919));
  });
}

}  // namespace

void add_lifecycle_attacks(Attacks& attacks) {
  Group group(attacks, "lifecycle");
  add_connections(group);
  add_rings(group);
  add_device(group);
}

}  // namespace vhostx::hostile
