// SPDX-License-Identifier: BSD-3-Clause
// Messages whose header or length is wrong, that are cut, or that come when they may not.
#include <algorithm>
#include <array>
#include <cstring>

#include <sys/socket.h>

#include "tests/hostile/attacks/make.hpp"

namespace vhostx::hostile {

using namespace protocol;

namespace {

constexpr std::uint32_t v1 = Header::version_1;
constexpr std::uint32_t set_features = id_of(Request::set_features);

/// A header, and eight bytes behind it.
Group::Run header(Header header) {
  return [header](Attacker& attacker) { attacker.raw(header, 8); };
}
/// A message with so many bytes of zeros, on a connection where everything is negotiated.
Group::Run length(Request request, std::size_t bytes) {
  return [request, bytes](Attacker& attacker) {
    attacker.guest();
    attacker.wrong(of_length(request, bytes));
  };
}

/// A memory table that says it has so many regions, with bytes for others.
Group::Run counted(std::uint32_t says, std::size_t has) {
  return [says, has](Attacker& attacker) {
    Message message = of_length(Request::set_mem_table, sizeof(MemoryTableHeader) + has * sizeof(MemoryRegion));
    std::memcpy(message.payload().data(), &says, sizeof says);
    for (std::size_t i = 0; i < has; ++i) message.add_fd(memory_file(4096));
    attacker.guest();
    attacker.wrong(std::move(message));
  };
}

/// The longest table there is, and behind it a short one that counts on what the long one left in a buffer.
void stale_payload(Attacker& attacker) {
  attacker.guest();
  std::vector<MemoryRegion> regions;
  FdList files;
  for (std::uint64_t i = 0; i < 8; ++i) {
    regions.push_back({(i + 2) << 40, 4096, (i + 2) << 40, 0});
    files.add(memory_file(4096));
  }
  Message table = make_memory_table(regions);
  table.set_fds(std::move(files));
  attacker.link().change(std::move(table));
  counted(8, 1)(attacker);
}

void add_headers(Group& group) {
  group.add("version-0", closed("version 0, expected 1"), header({set_features, 0, 8}));
  group.add("version-2", closed("version 2, expected 1"), header({set_features, 2, 8}));
  group.add("version-3", closed("version 3, expected 1"), header({set_features, 3, 8}));
  group.add("reply-flag-on-a-request", closed("reply flag 1, expected 0"),
            header({set_features, v1 | Header::reply, 8}));
  group.add("reserved-flags-set", harmless(), [](Attacker& attacker) {
    attacker.raw({id_of(Request::set_owner), 0xfffffff0 | v1, 0}, 0);
    attacker.sync();
  });
  group.add("need-reply-on-a-request-with-a-reply", harmless(), [](Attacker& attacker) {
    attacker.guest();
    for (int i = 0; i < 100; ++i)
      tools::probe::need(attacker.link().ask(make_request(Request::get_features, true)), "GET_FEATURES");
  });
  group.add("need-reply-without-reply-ack", harmless(), [](Attacker& attacker) {
    for (int i = 0; i < 100; ++i) attacker.link().put(make_request(Request::set_owner, true));
  });
  group.add("request-0", refused("request 0: unknown"), [](Attacker& attacker) {
    attacker.guest();
    attacker.wrong(unknown_request(0));
  });
  group.add("request-46", refused("request 46: unknown"), [](Attacker& attacker) {
    attacker.guest();
    attacker.wrong(unknown_request(46));
  });
  group.add("request-largest", refused("request 4294967295: unknown"), [](Attacker& attacker) {
    attacker.guest();
    attacker.wrong(unknown_request(0xffffffff));
  });
  group.add("request-unknown-without-reply-ack", closed("request 12345: unknown"),
            [](Attacker& attacker) { attacker.wrong(unknown_request(12345)); });
}

void add_lengths(Group& group) {
  group.add("size-4-gib", closed("4294967295 bytes of payload"), header({set_features, v1, 0xffffffff}));
  group.add("size-2-gib", closed("2147483648 bytes of payload"), header({set_features, v1, 0x80000000}));
  group.add("size-64-kib", closed("65536 bytes of payload"), header({set_features, v1, 65536}));
  group.add("size-of-an-unknown-request-over-the-most", closed("4109 bytes of payload, expected at most 4108"),
            header({12345, v1, 4109}));
  group.add("size-that-makes-header-and-payload-wrap", closed("4294967284 bytes of payload"),
            header({id_of(Request::set_mem_table), v1, 0xfffffff4}));
  group.add("get-features-with-a-payload", closed("GET_FEATURES: 8 bytes"), length(Request::get_features, 8));
  group.add("set-features-of-4-bytes", closed("SET_FEATURES: 4 bytes"), length(Request::set_features, 4));
  group.add("set-features-of-16-bytes", closed("SET_FEATURES: 16 bytes"), length(Request::set_features, 16));
  group.add("vring-num-of-7-bytes", closed("SET_VRING_NUM: 7 bytes"), length(Request::set_vring_num, 7));
  group.add("vring-addr-of-8-bytes", closed("SET_VRING_ADDR: 8 bytes"), length(Request::set_vring_addr, 8));
  group.add("vring-kick-of-0-bytes", closed("SET_VRING_KICK: 0 bytes"), length(Request::set_vring_kick, 0));
  group.add("mem-table-of-4-bytes", closed("SET_MEM_TABLE: 4 bytes"), length(Request::set_mem_table, 4));
  group.add("mem-table-of-296-bytes", closed("SET_MEM_TABLE: 296 bytes"), length(Request::set_mem_table, 296));
  group.add("add-mem-reg-of-32-bytes", closed("ADD_MEM_REG: 32 bytes"), length(Request::add_mem_reg, 32));
  group.add("mem-table-counts-9-regions", closed("9 regions, expected at most 8"), counted(9, 8));
  group.add("mem-table-counts-4294967295-regions", closed("4294967295 regions"), counted(0xffffffff, 1));
  group.add("mem-table-counts-8-and-has-1", closed("40 bytes of payload for 8 regions"), counted(8, 1));
  group.add("mem-table-counts-1-and-has-2", closed("72 bytes of payload for 1 regions"), counted(1, 2));
  group.add("mem-table-counts-on-stale-payload", closed("40 bytes of payload for 8 regions"), stale_payload);
}

/// As many bytes of a request as said, and then nothing.
void begin(Attacker& attacker, std::size_t bytes) {
  auto whole = encode(number(Request::set_features, 0));
  whole.resize(bytes);
  attacker.bytes(whole);
}

void in_single_bytes(Attacker& attacker) {
  attacker.guest();
  for (const std::byte one : encode(make_request(Request::get_features))) attacker.bytes({one});
  tools::probe::need(attacker.link().receive_reply(), "GET_FEATURES in single bytes");
}

void ten_thousand_halves(Attacker& attacker) {
  for (int i = 0; i < 10'000; ++i) {
    auto begun = tools::FrontEnd::connect_once(attacker.subject().path);
    if (!begun) continue;  // its queue is full: on with the next
    const auto whole = encode(number(Request::set_features, 0));
    ::send(begun->fd(), whole.data(), 1 + static_cast<std::size_t>(i) % (whole.size() - 1), MSG_NOSIGNAL);
  }
}

void add_cuts(Group& group) {
  group.add("in-single-bytes", harmless(), in_single_bytes);
  group.add("ends-in-its-header", closed("5 bytes into a message"), [](Attacker& attacker) {
    begin(attacker, 5);
    attacker.leave();
  });
  group.add("ends-behind-its-header", closed("12 bytes into a message"), [](Attacker& attacker) {
    begin(attacker, 12);
    attacker.leave();
  });
  group.add("ends-in-its-payload", closed("15 bytes into a message"), [](Attacker& attacker) {
    begin(attacker, 15);
    attacker.leave();
  });
  group.add("begun-and-never-ended", closed("a message stopped after 7 bytes"),
            [](Attacker& attacker) { begin(attacker, 7); });
  group.add("ten-thousand-halves", survived(), ten_thousand_halves);
}

Group::Run on_running(Message (*make)(Guest&)) {
  return [make](Attacker& attacker) {
    Guest& guest = attacker.running();
    attacker.wrong(make(guest));
  };
}

void add_order(Group& group) {
  group.add("kick-before-addresses", refused("expected SET_VRING_NUM and SET_VRING_ADDR first"),
            [](Attacker& attacker) {
              attacker.guest();
              attacker.wrong(with_fd(number(Request::set_vring_kick, 0), event_fd()));
            });
  group.add("in-band-kick-before-addresses", refused("expected SET_VRING_NUM and SET_VRING_ADDR first"),
            [](Attacker& attacker) {
              attacker.guest({.protocol = {P::inband_notifications, P::backend_req}});
              attacker.wrong(ring_state(Request::vring_kick, 0, 0));
            });
  group.add("size-of-a-running-ring", refused("expected a stopped ring"),
            on_running([](Guest&) { return ring_state(Request::set_vring_num, 1, 128); }), "2026-86565");
  group.add("base-of-a-running-ring", refused("expected a stopped ring"),
            on_running([](Guest&) { return ring_state(Request::set_vring_base, 1, 7); }));
  group.add("addresses-of-a-running-ring", refused("the addresses of a running ring cannot change"),
            on_running([](Guest& guest) {
              VringAddress at = guest.ring(1).addresses(1);
              at.descriptor += 4096;
              return make_request(Request::set_vring_addr, at);
            }));
  group.add("features-of-running-rings", refused("while rings run with"), on_running([](Guest& guest) {
              return number(Request::set_features,
                            guest.features().bits() | protocol::FeatureSet{V::net_mrg_rxbuf}.bits());
            }));
  group.add("protocol-features-of-running-rings", refused("while rings run with"),
            on_running([](Guest&) { return number(Request::set_protocol_features, 0); }));
  group.add("everything-before-owner", harmless(), [](Attacker& attacker) {
    for (std::uint32_t vring = 0; vring < 4; ++vring) {
      attacker.link().put(ring_state(Request::set_vring_num, vring, 64));
      attacker.link().put(ring_state(Request::set_vring_enable, vring, 1));
    }
  });
  group.add("reset-owner-of-running-rings", harmless(),
            [](Attacker& attacker) { attacker.running().link().change(make_request(Request::reset_owner)); });
}

}  // namespace

void add_message_attacks(Attacks& attacks) {
  Group group(attacks, "messages");
  add_headers(group);
  add_lengths(group);
  add_cuts(group);
  add_order(group);
}

}  // namespace vhostx::hostile
