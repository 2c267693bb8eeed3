// SPDX-License-Identifier: BSD-3-Clause
// What it costs to close what a peer has brought: sockets that linger, gigabytes whose last reference is the
// back-end's, descriptors within descriptors.
#include <cerrno>

#include <sys/socket.h>

#include "tests/hostile/attacks/extra_memory.hpp"
#include "tests/hostile/attacks/lingering.hpp"

namespace vhostx::hostile {

using namespace protocol;

namespace {

constexpr unsigned closing_ms = 600;

using MakeMessage = std::function<Message()>;

/// The message brings a socket that lingers.
Group::Run lingering(MakeMessage make, std::size_t count = 1) {
  return [make = std::move(make), count](Attacker& attacker) {
    attacker.running({.protocol = {P::configure_mem_slots, P::backend_req}});
    std::vector<LingeringSocket> sockets(count);
    std::vector<UniqueFd> fds;
    for (auto& socket : sockets) fds.push_back(socket.take());
    deliver(attacker.link().fd(), make(), std::move(fds));
    let_it_work(closing_ms);
  };
}

MemoryRegion far_region(std::uint64_t i) { return slot_at(extra_guest * i, 4096); }

void add_lingering_messages(Group& group) {
  const auto add = [&](const char* name, MakeMessage make) {
    group.add((std::string("lingering-") + name).c_str(), survived(), lingering(std::move(make)));
  };
  add("kick", [] { return number(Request::set_vring_kick, 1); });
  add("call", [] { return number(Request::set_vring_call, 1); });
  add("err", [] { return number(Request::set_vring_err, 1); });
  add("memory-table", [] { return make_memory_table(std::vector{far_region(1)}); });
  add("slot", [] { return make_request(Request::add_mem_reg, SingleMemoryRegion{0, far_region(1)}); });
  add("slot-that-is-removed", [] { return remove_slot(far_region(1)); });
  add("channel", [] { return make_request(Request::set_backend_req_fd); });
  add("log", [] { return make_request(Request::set_log_fd); });
  add("with-get-features", [] { return make_request(Request::get_features); });
  add("with-an-unknown-request", [] { return unknown_request(4711); });
  group.add("lingering-eight-regions", survived(),
            lingering(
                [] {
                  std::vector<MemoryRegion> regions;
                  for (std::uint64_t i = 1; i <= 8; ++i) regions.push_back(far_region(i));
                  return make_memory_table(regions);
                },
                8));
}

/// The back-end reads nothing from here on, until its answers are read.
unsigned stop_reading(Attacker& attacker) {
  return send_until_full(attacker.link().fd(), make_request(Request::get_features));
}

/// Takes no socket's word for it: the queue is full of messages already, and may have no room for another.
bool queue_behind(Attacker& attacker, std::vector<UniqueFd> fds) {
  return send_with(attacker.link().fd(), {std::byte{0}}, std::move(fds));
}

void beyond_the_eighth(Attacker& attacker) {
  attacker.running();
  std::vector<LingeringSocket> sockets(9);
  std::vector<UniqueFd> fds;
  for (auto& socket : sockets) fds.push_back(socket.take());
  // The first message waits for its end, and the descriptors behind it for being read.
  const auto text = encode(make_request(Request::get_features));
  send_with(attacker.link().fd(), {text.begin(), text.end() - 1}, std::move(fds));
  let_it_work(closing_ms);
}

void unread(Attacker& attacker) {
  attacker.running();
  LingeringSocket socket;
  stop_reading(attacker);
  std::vector<UniqueFd> fds;
  fds.push_back(socket.take());
  queue_behind(attacker, std::move(fds));
  attacker.leave();
  let_it_work(closing_ms);
}

void half_a_message(Attacker& attacker) {
  attacker.running();
  LingeringSocket socket;
  std::vector<UniqueFd> fds;
  fds.push_back(socket.take());
  send_with(attacker.link().fd(), {std::byte{5}, std::byte{0}}, std::move(fds));
  attacker.leave();
  let_it_work(closing_ms);
}

/// Second front-ends, which are turned away with what they have sent unread.
Group::Run newcomers(std::function<UniqueFd(LingeringSocket&)> brought, int count) {
  return [=](Attacker& attacker) {
    attacker.running();
    std::vector<LingeringSocket> sockets(static_cast<std::size_t>(count));
    for (auto& socket : sockets) {
      auto connected = tools::FrontEnd::connect_once(attacker.subject().path);
      // While too much waits to be released nobody is accepted, until no more fit into the socket's queue.
      if (!connected && connected.error().system_errno == EAGAIN) break;
      auto second = tools::probe::need(std::move(connected), "the second");
      std::vector<UniqueFd> fds;
      fds.push_back(brought(socket));
      send_with(second.fd(), encode(make_request(Request::get_features)), std::move(fds));
    }
    let_it_work(closing_ms);
    attacker.guest().send(4);
    attacker.guest().await_sent("the first front-end");
  };
}

Group::Run nested(int depth, MakeMessage make) {
  return [=](Attacker& attacker) {
    attacker.running({.protocol = {P::backend_req}});
    LingeringSocket socket;
    UniqueFd fd = socket.take();
    for (int i = 0; i < depth; ++i) fd = inside_a_socket(std::move(fd));
    deliver(attacker.link().fd(), make(), std::move(fd));
    attacker.leave();  // a channel is kept until then
    let_it_work(closing_ms);
  };
}

void add_places(Group& group) {
  group.add("lingering-beyond-the-eighth", survived(), beyond_the_eighth);
  group.add("lingering-unread", survived(), unread);
  group.add("lingering-with-half-a-message", survived(), half_a_message);
  group.add("lingering-of-a-newcomer", survived(), newcomers([](LingeringSocket& socket) { return socket.take(); }, 1));
  group.add("lingering-of-twenty-newcomers", survived(),
            newcomers([](LingeringSocket& socket) { return socket.take(); }, 20));
  group.add("lingering-within-a-newcomers-socket", survived(),
            newcomers([](LingeringSocket& socket) { return inside_a_socket(socket.take()); }, 2));
  const auto channel = [] { return make_request(Request::set_backend_req_fd); };
  group.add("lingering-within-the-channel", survived(), nested(1, channel));
  group.add("lingering-within-a-socket-within-the-channel", survived(), nested(2, channel));
  group.add("lingering-within-a-kick-that-is-a-socket", survived(),
            nested(1, [] { return number(Request::set_vring_kick, 1); }));
}

// ---- much memory

constexpr std::size_t gigabyte = std::size_t{1} << 30;
const GuestPlan with_channel_and_slots{.protocol = {P::configure_mem_slots, P::backend_req}};

/// The last reference to a gigabyte is the back-end's.
MemoryRegion give_gigabyte(Attacker& attacker) {
  attacker.running(with_channel_and_slots);
  const MemoryRegion slot = slot_at(extra_guest, gigabyte);
  attacker.link().change(add_slot(slot, full_file(gigabyte)));
  return slot;
}

void add_gigabytes(Group& group) {
  group.add("a-gigabyte-is-removed", harmless(), [](Attacker& attacker) {
    const MemoryRegion slot = give_gigabyte(attacker);  // before link(), which would connect where nobody has
    attacker.link().change(remove_slot(slot));
  });
  group.add("a-gigabyte-and-the-front-end-dies", survived(), [](Attacker& attacker) {
    give_gigabyte(attacker);
    attacker.leave();
  });
  group.add("a-gigabyte-and-another-table", survived(), [](Attacker& attacker) {
    give_gigabyte(attacker);
    attacker.guest().share_memory();
  });
  group.add("a-gigabyte-and-the-device-is-reset", survived(), [](Attacker& attacker) {
    attacker.running({.protocol = {P::configure_mem_slots, P::reset_device}});
    give_gigabyte(attacker);
    attacker.link().change(make_request(Request::reset_device));
  });
  group.add("a-gigabyte-as-kick", survived(), [](Attacker& attacker) {
    attacker.running();
    deliver(attacker.link().fd(), number(Request::set_vring_kick, 1), full_file(gigabyte));
    let_it_work(closing_ms);
  });
  group.add("a-gigabyte-of-a-newcomer", survived(), [](Attacker& attacker) {
    attacker.running();
    auto second = tools::probe::need(tools::FrontEnd::connect_once(attacker.subject().path), "the second");
    std::vector<UniqueFd> fds;
    fds.push_back(full_file(gigabyte));
    send_with(second.fd(), encode(make_request(Request::get_features)), std::move(fds));
    let_it_work(closing_ms);
  });
  group.add("a-gigabyte-that-the-ring-names", survived(), [](Attacker& attacker) {
    give_gigabyte(attacker);
    for (std::uint16_t i = 0; i < 64; ++i)
      attacker.descriptor(out_of, i) = {extra_guest + i * (gigabyte / 64), 76, 0, 0};
    attacker.show(out_of, std::vector<std::uint16_t>(60, 5));
    attacker.leave();
  });
}

/// So many descriptors wait in a socket.
UniqueFd crowded_socket(unsigned count) {
  SocketPair pair = socket_pair(SOCK_STREAM);
  const int room = 4 << 20;
  ::setsockopt(pair.one.get(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  const UniqueFd one = event_fd();
  for (unsigned sent = 0; sent < count; sent += 200) {
    std::vector<UniqueFd> fds;
    for (int i = 0; i < 200; ++i) fds.push_back(tools::duplicate(one.get()));
    if (!send_with(pair.one.get(), {std::byte{0}}, std::move(fds))) break;
  }
  return std::move(pair.other);
}

void add_crowds(Group& group) {
  constexpr unsigned count = 40'000;
  group.add("40000-descriptors-within-the-channel", survived(), [](Attacker& attacker) {
    attacker.running(with_channel_and_slots);
    deliver(attacker.link().fd(), make_request(Request::set_backend_req_fd), crowded_socket(count));
    attacker.sync();
    attacker.leave();
  });
  group.add("40000-descriptors-within-a-call-that-is-a-socket", survived(), [](Attacker& attacker) {
    attacker.running();
    deliver(attacker.link().fd(), number(Request::set_vring_call, 1), crowded_socket(count));
    let_it_work(closing_ms);
  });
  group.add("descriptors-unread-by-the-thousand", survived(), [](Attacker& attacker) {
    attacker.running();
    stop_reading(attacker);
    for (int i = 0; i < 100; ++i) {
      std::vector<UniqueFd> fds;
      for (int k = 0; k < 200; ++k) fds.push_back(event_fd());
      if (!queue_behind(attacker, std::move(fds))) break;
    }
    attacker.leave();
  });
}

}  // namespace

void add_closing_attacks(Attacks& attacks) {
  Group group(attacks, "closing");
  add_lingering_messages(group);
  add_places(group);
  add_gigabytes(group);
  add_crowds(group);
}

}  // namespace vhostx::hostile
