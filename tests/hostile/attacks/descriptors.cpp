// SPDX-License-Identifier: BSD-3-Clause
// File descriptors: of the wrong kind, too many, too few, where none belong, and at the wrong time.
#include <algorithm>
#include <array>
#include <cstring>
#include <fcntl.h>

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "tests/hostile/attacks/make.hpp"

namespace vhostx::hostile {

using namespace protocol;

namespace {

struct Kind {
  const char* name;
  const char* called;  ///< By the back-end.
  UniqueFd (*make)();
};

const std::array kinds{
    Kind{"pipe", "a pipe", broken_pipe},
    Kind{"file", "a regular file", [] { return memory_file(4096); }},
    Kind{"directory", "a directory", [] { return opened("/", O_RDONLY); }},
    Kind{"dev-null", "a character device", [] { return opened("/dev/null", O_RDWR); }},
    Kind{"dev-zero", "a character device", [] { return opened("/dev/zero", O_RDWR); }},
    Kind{"socket", "a socket", socket_end},
    Kind{"timer", "of another kind", timer_fd},
    Kind{"epoll", "of another kind", epoll_fd},
};

Message event_request(Request request, UniqueFd fd) { return with_fd(number(request, 1), std::move(fd)); }

/// In place of an eventfd, of rings that run.
void add_kinds(Group& group, const char* what, Request request) {
  for (const Kind& kind : kinds)
    group.add((std::string(what) + "-is-a-" + kind.name).c_str(),
              refused(std::string(kind.called) + ", expected an eventfd"), [request, &kind](Attacker& attacker) {
                attacker.running();
                attacker.wrong(event_request(request, kind.make()));
              });
}

MemoryRegion elsewhere(std::uint64_t bytes = 4096) {
  return {std::uint64_t{1} << 40, bytes, std::uint64_t{1} << 40, 0};
}

void add_memory_kinds(Group& group) {
  const auto add = [&](const char* name, UniqueFd (*make)()) {
    group.add((std::string("memory-is-a-") + name).c_str(), refused("expected a file or memfd"),
              [make](Attacker& attacker) {
                attacker.running();
                attacker.wrong(with_fd(make_memory_table(std::vector{elsewhere()}), make()));
              });
  };
  for (const Kind& kind : kinds)
    if (std::strcmp(kind.name, "file") != 0) add(kind.name, kind.make);
  add("eventfd", [] { return event_fd(); });
  group.add("memory-is-not-writable", refused("mapping"), [](Attacker& attacker) {
    attacker.running();
    const UniqueFd file = memory_file(4096);
    const std::string path = "/proc/self/fd/" + std::to_string(file.get());
    attacker.wrong(with_fd(make_memory_table(std::vector{elsewhere()}), opened(path.c_str(), O_RDONLY)));
  });
  group.add("memory-is-sealed-against-writing", refused("mapping"), [](Attacker& attacker) {
    attacker.running();
    UniqueFd file = memory_file(4096, MFD_ALLOW_SEALING);
    ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE);
    attacker.wrong(with_fd(make_memory_table(std::vector{elsewhere()}), std::move(file)));
  });
  group.add("memory-is-a-path", survived(), [](Attacker& attacker) {
    attacker.running();
    attacker.wrong(with_fd(make_memory_table(std::vector{elsewhere()}), opened("/etc/hostname", O_PATH)));
  });
}

/// A request that wants no descriptor, with one.
Group::Run excess(Message (*make)()) {
  return [make](Attacker& attacker) {
    attacker.guest();
    attacker.wrong(with_fd(make(), event_fd()));
  };
}

/// More descriptors in one message than the receiver has room for.
void two_hundred_and_fifty(Attacker& attacker) {
  constexpr std::size_t count = 250;  // SCM_MAX_FD is 253
  attacker.guest();
  auto text = encode(make_request(Request::get_features));
  const UniqueFd one = event_fd();
  alignas(cmsghdr) std::array<char, CMSG_SPACE(count * sizeof(int))> control{};
  iovec bytes{text.data(), text.size()};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  *header = {.cmsg_len = CMSG_LEN(count * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  std::vector<int> fds(count, one.get());
  std::memcpy(CMSG_DATA(header), fds.data(), count * sizeof(int));
  ::sendmsg(attacker.link().fd(), &message, MSG_NOSIGNAL);
}

/// The descriptor comes with the payload, or with the header's second half.
Group::Run late_at(std::size_t position) {
  return [position](Attacker& attacker) {
    attacker.guest();
    const auto whole = encode(number(Request::set_vring_call, 1));
    const auto middle = whole.begin() + static_cast<std::ptrdiff_t>(position);
    FdList fds;
    fds.add(event_fd());
    attacker.bytes({whole.begin(), middle});
    attacker.link().wait_until_read();
    attacker.bytes({middle, whole.end()}, fds);
  };
}

void eight_with_each_of_many(Attacker& attacker) {
  for (int i = 0; i < 200; ++i) {
    FdList fds;
    for (std::size_t k = 0; k < fds_max; ++k) fds.add(event_fd());
    if (!attacker.link().put_bytes(encode(make_request(Request::get_features)), fds)) return;
  }
}

void add_counts(Group& group) {
  group.add("with-get-features", closed("GET_FEATURES: 1 descriptors, expected 0"),
            excess([] { return make_request(Request::get_features); }), "2022-0669");
  group.add("with-vring-num", closed("SET_VRING_NUM: 1 descriptors, expected 0"),
            excess([] { return ring_state(Request::set_vring_num, 0, 64); }), "2022-0669");
  group.add("with-an-unknown-request", refused("unknown"), excess([] { return unknown_request(4711); }));
  group.add("two-kicks", closed("SET_VRING_KICK: 2 descriptors"),
            excess([] { return event_request(Request::set_vring_kick, event_fd()); }));
  group.add("kick-and-the-no-fd-bit", closed("1 descriptors, expected 0 because bit 8 is 1"),
            excess([] { return number(Request::set_vring_kick, vring_no_fd); }));
  group.add("call-without", closed("0 descriptors, expected 1 because bit 8 is 0"), [](Attacker& attacker) {
    attacker.guest();
    attacker.wrong(number(Request::set_vring_call, 0));
  });
  group.add("mem-table-with-too-few", closed("1 descriptors for 2 regions"), [](Attacker& attacker) {
    attacker.guest();
    attacker.wrong(with_fd(make_memory_table(std::vector{elsewhere(), MemoryRegion{1, 1, 1, 0}}), memory_file(4096)));
  });
  group.add("mem-table-with-too-many", closed("2 descriptors for 1 regions"), [](Attacker& attacker) {
    attacker.guest();
    Message table = with_fd(make_memory_table(std::vector{elsewhere()}), memory_file(4096));
    attacker.wrong(with_fd(std::move(table), memory_file(4096)));
  });
  group.add("add-mem-reg-without", closed("ADD_MEM_REG: 0 descriptors"), [](Attacker& attacker) {
    attacker.guest({.protocol = {P::configure_mem_slots}});
    attacker.wrong(make_request(Request::add_mem_reg, SingleMemoryRegion{0, elsewhere()}));
  });
  group.add("250-with-one-message", closed("more descriptors than expected (8 a message)"), two_hundred_and_fifty,
            "2022-0669");
  group.add("8-with-each-of-many", closed("8 descriptors, expected 0"), eight_with_each_of_many, "2022-0669");
  group.add("with-the-payload", closed("descriptors in the middle of a message"), late_at(message_header_bytes));
  group.add("with-half-a-header", closed("descriptors in the middle of a message"), late_at(5));
  group.add("channel-is-an-eventfd", refused("expected a socket"), [](Attacker& attacker) {
    attacker.guest({.protocol = {P::backend_req}});
    attacker.wrong(with_fd(make_request(Request::set_backend_req_fd), event_fd()));
  });
}

}  // namespace

void add_descriptor_attacks(Attacks& attacks) {
  Group group(attacks, "descriptors");
  add_kinds(group, "kick", Request::set_vring_kick);
  add_kinds(group, "call", Request::set_vring_call);
  add_kinds(group, "err", Request::set_vring_err);
  add_memory_kinds(group);
  add_counts(group);
}

}  // namespace vhostx::hostile
