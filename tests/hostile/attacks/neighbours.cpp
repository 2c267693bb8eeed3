// SPDX-License-Identifier: BSD-3-Clause
// What a neighbour pays: frames that need more buffers than the honest guest has posted, when it behaves as Linux does
// on an idle link. It must go on receiving. And floods of what is cheap to ask for.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>

#include "net/virtio_net_header.hpp"
#include "tests/hostile/attacks/extra_memory.hpp"

namespace vhostx::hostile {

using namespace protocol;

namespace {

using net::VirtioNetHeader;
using Clock = std::chrono::steady_clock;

constexpr std::uint32_t net_header_bytes = 12;
constexpr std::uint16_t honest_ring_size = 64;
const FeatureSet segmented{V::net_csum, V::net_host_tso4, V::net_mrg_rxbuf};

GuestPlan neighbour_plan(unsigned pairs = 1) {
  return {.features = segmented, .protocol = {P::configure_mem_slots}, .pairs = pairs};
}

/// The attacker's peer has so few buffers posted for as long as this lives.
class FewBuffers {
 public:
  FewBuffers(Attacker& attacker, unsigned buffers) : peer_(attacker.peer()) {
    peer_.forget_arrivals();
    peer_.post_at_most(buffers);
    // Those that are out too many go with a frame each.
    const unsigned too_many = honest_ring_size - buffers;
    for (unsigned sent = 0; sent < too_many; sent += 16) {
      attacker.guest().send(std::min(16U, too_many - sent));
      attacker.guest().await_sent("a frame to an honest guest");
    }
    if (!attacker.guest().wait([&] { return peer_.arrivals().seen.size() >= too_many; }))
      throw tools::probe::Decided{tools::probe::failed("the honest guest's frames did not come")};
  }
  ~FewBuffers() { peer_.post_at_most(honest_ring_size); }
  FewBuffers(const FewBuffers&) = delete;
  FewBuffers& operator=(const FewBuffers&) = delete;

 private:
  HonestGuest& peer_;
};

/// Ethernet, IPv4 and TCP, and zeros, with the header of a frame that is to be cut into segments of this size; 0: none.
void write_frame(std::uint8_t* at, std::uint32_t bytes, std::uint16_t segment) {
  std::memset(at, 0, net_header_bytes + bytes);
  if (segment != 0) {
    const VirtioNetHeader header{net::header_needs_csum, net::gso_tcpv4, 54, segment, 34, 16, 0};
    std::memcpy(at, &header, net_header_bytes);
  }
  std::uint8_t* const frame = at + net_header_bytes;
  const std::uint32_t ip_bytes = bytes - 14;
  const std::array<std::uint8_t, 6> to{0x02, 0x76, 0x68, 0x6f, 0x73, 0x02};
  std::memcpy(frame, to.data(), to.size());
  frame[12] = 0x08;
  frame[14] = 0x45;
  frame[16] = static_cast<std::uint8_t>(ip_bytes >> 8);
  frame[17] = static_cast<std::uint8_t>(ip_bytes);
  frame[23] = 6;
  frame[14 + 20 + 12] = 0x50;
}

struct Large {
  std::uint32_t bytes = 60'000;
  std::uint16_t segment = 0;  ///< TSO.
  unsigned count = 1;
  std::uint32_t vring = out_of;
  bool to_all = false;
};

void send_large_frames(Attacker& attacker, const ExtraMemory& memory, const Large& large) {
  write_frame(memory.at(), large.bytes, large.segment);
  if (large.to_all) std::memset(memory.at(net_header_bytes), 0xff, 6);
  for (unsigned i = 0; i < large.count; ++i) {
    // Behind those that the guest sends by itself, which are few.
    const std::uint16_t at = 60;
    attacker.descriptor(large.vring, at) = {memory.guest(), net_header_bytes + large.bytes, 0, 0};
    attacker.show(large.vring, {at});
    attacker.guest().wait([&] { return attacker.caught_up(large.vring); });
  }
}

/// A frame of 64 bytes, not by the guest's own ring, which does not know of what show() has shown.
void send_small(Attacker& attacker, const ExtraMemory& memory, std::uint32_t number) {
  constexpr std::size_t place = 100'000;
  const auto frame = tools::probe::make_frame(number);
  std::copy(frame.begin(), frame.end(), memory.at(place + net_header_bytes));
  const std::uint16_t at = 61;
  attacker.descriptor(out_of, at) = {memory.guest(place), net_header_bytes + 64, 0, 0};
  attacker.show(out_of, {at});
  attacker.guest().wait([&] { return attacker.caught_up(out_of); });
}

/// Frames to the honest guest still arrive, whatever lies before them.
void still_receives(Attacker& attacker, const ExtraMemory& memory) {
  constexpr std::chrono::seconds enough{10};
  attacker.peer().forget_arrivals();
  std::uint32_t number = 1'000'000;
  for (const auto end = Clock::now() + enough; Clock::now() < end; let_it_work(5)) {
    send_small(attacker, memory, number++);
    if (attacker.peer().arrival_count() > 3) return;
  }
  throw tools::probe::Decided{tools::probe::failed("the honest guest receives nothing any more")};
}

Group::Run too_many_buffers(unsigned posted, Large large, unsigned pairs = 2) {
  return [=](Attacker& attacker) {
    attacker.running(neighbour_plan(pairs));
    const ExtraMemory memory(attacker, 128 << 10);
    const FewBuffers few(attacker, posted);
    send_large_frames(attacker, memory, large);
    still_receives(attacker, memory);
  };
}

void add_large_frames(Group& group) {
  group.add("60000-bytes-into-16-buffers", queued(), too_many_buffers(16, {}));
  group.add("60000-bytes-into-29-buffers", queued(), too_many_buffers(29, {}));
  group.add("60000-bytes-into-1-buffer", queued(), too_many_buffers(1, {}));
  group.add("3000-bytes-into-1-buffer", queued(), too_many_buffers(1, {.bytes = 3000}));
  group.add("60000-bytes-to-everybody-into-16-buffers", queued(), too_many_buffers(16, {.to_all = true}));
  group.add("60-segments-into-50-buffers", queued(), too_many_buffers(50, {.segment = 1000}));
  group.add("240-segments-into-60-buffers", queued(), too_many_buffers(60, {.segment = 250}));
  group.add("250-segments-into-a-ring-of-64", queued(), too_many_buffers(64, {.segment = 240}));
  group.add("several-large-frames-into-16-buffers", queued(), too_many_buffers(16, {.count = 20}));
  group.add("several-frames-of-60-segments-into-16-buffers", queued(),
            too_many_buffers(16, {.segment = 1000, .count = 20}));
  group.add("a-large-frame-of-another-queue-pair", queued(), too_many_buffers(16, {.vring = 3}));
}

void add_sequences(Group& group) {
  group.add("large-and-small-in-turn-into-16-buffers", queued(), [](Attacker& attacker) {
    attacker.running(neighbour_plan());
    const ExtraMemory memory(attacker, 128 << 10);
    const FewBuffers few(attacker, 16);
    for (int i = 0; i < 20; ++i) {
      send_large_frames(attacker, memory, {});
      send_small(attacker, memory, 1);
    }
    still_receives(attacker, memory);
  });
  group.add("a-large-frame-while-the-receiver-sleeps", queued(), [](Attacker& attacker) {
    attacker.running(neighbour_plan());
    const ExtraMemory memory(attacker, 128 << 10);
    {
      const FewBuffers none(attacker, 0);
      send_large_frames(attacker, memory, {.count = 4});
      let_it_work(200);
    }
    still_receives(attacker, memory);
  });
  group.add("a-large-frame-and-the-sender-dies", queued(), [](Attacker& attacker) {
    attacker.running(neighbour_plan());
    const ExtraMemory memory(attacker, 128 << 10);
    const FewBuffers few(attacker, 16);
    send_large_frames(attacker, memory, {.count = 8});
    attacker.leave();
  });
  group.add("60000-bytes-that-are-lent-into-16-buffers", queued(), too_many_buffers(16, {}, 1), "", Socket::lending);
  group.add("20-large-frames-that-are-lent-into-16-buffers", queued(), too_many_buffers(16, {.count = 20}, 1), "",
            Socket::lending);
  group.add("a-backlog-of-large-frames-from-both-pairs", queued(), [](Attacker& attacker) {
    attacker.running(neighbour_plan(2));
    const ExtraMemory memory(attacker, 128 << 10);
    {
      const FewBuffers none(attacker, 0);
      send_large_frames(attacker, memory, {.count = 400});
      send_large_frames(attacker, memory, {.count = 400, .vring = 3});
    }
    still_receives(attacker, memory);
  });
}

/// Requests without acknowledgement, as fast as they are taken.
Group::Run flood(Message (*make)(std::uint64_t), std::uint64_t count) {
  return [=](Attacker& attacker) {
    attacker.running({.features = {V::net_mtu}, .protocol = {P::mtu, P::rarp}});
    for (std::uint64_t i = 0; i < count; ++i) attacker.link().put(make(i));
    attacker.sync();
  };
}

void add_request_floods(Group& group) {
  group.add("rarp-of-20000-addresses", harmless(),
            flood([](std::uint64_t i) { return number(Request::send_rarp, 2 + 256 * i); }, 20'000));
  group.add("rarp-of-one-address-20000-times", harmless(),
            flood([](std::uint64_t) { return number(Request::send_rarp, 2); }, 20'000));
  group.add("rarp-while-the-neighbour-takes-nothing", harmless(), [](Attacker& attacker) {
    attacker.running({.protocol = {P::rarp, P::configure_mem_slots}});
    const ExtraMemory memory(attacker, 128 << 10);
    attacker.peer().post_at_most(0);
    for (std::uint64_t i = 0; i < 5000; ++i) attacker.link().put(number(Request::send_rarp, 2 + 256 * i));
    attacker.sync();
    attacker.peer().post_at_most(honest_ring_size);
    still_receives(attacker, memory);
  });
  group.add("mtu-20000-times", harmless(),
            flood([](std::uint64_t i) { return number(Request::net_set_mtu, 1500 + i % 2); }, 20'000));
  group.add("a-new-front-end-3000-times", survived(), [](Attacker& attacker) {
    for (int i = 0; i < 3000; ++i)
      if (auto one = tools::FrontEnd::connect_once(attacker.subject().path))
        static_cast<void>(one->send(make_request(Request::get_features)));
  });
  group.add("rings-that-start-and-stop-2000-times", harmless(), [](Attacker& attacker) {
    Guest& guest = attacker.running();
    for (int i = 0; i < 2000; ++i) guest.restart(out_of, guest.stop(out_of));
  });
}

}  // namespace

void add_neighbour_attacks(Attacks& attacks) {
  Group group(attacks, "neighbours");
  add_large_frames(group);
  add_sequences(group);
  add_request_floods(group);
}

}  // namespace vhostx::hostile
