// SPDX-License-Identifier: BSD-3-Clause
// Descriptors that no front-end sends: of processes, signals, page faults, namespaces, and sockets of every kind in
// place of the back-end's channel.
#include <array>
#include <csignal>
#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/userfaultfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "tests/hostile/attacks/lingering.hpp"

namespace vhostx::hostile {

using namespace protocol;

namespace {

/// Where a kernel has no such thing, or keeps it from us: another that is as odd.
UniqueFd or_epoll(long fd) { return fd < 0 ? epoll_fd() : UniqueFd(static_cast<int>(fd)); }

UniqueFd signal_fd() {
  sigset_t none;
  sigemptyset(&none);
  return or_epoll(::signalfd(-1, &none, SFD_CLOEXEC));
}

UniqueFd pipe_to_read() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return epoll_fd();
  const UniqueFd written(ends[1]);
  return UniqueFd(ends[0]);
}

struct Odd {
  const char* name;
  UniqueFd (*make)();
  bool may_hang = false;  ///< Of a file system whose files may: the connection is closed.
};

const std::array odd_ones{
    Odd{"process", [] { return or_epoll(::syscall(SYS_pidfd_open, ::getpid(), 0)); }},
    Odd{"signalfd", signal_fd},
    Odd{"inotify", [] { return or_epoll(::inotify_init1(IN_CLOEXEC)); }},
    Odd{"userfaultfd", [] { return or_epoll(::syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY)); }},
    Odd{"pipe-to-read", pipe_to_read},
    Odd{"maps-of-a-process", [] { return opened("/proc/self/maps", O_RDONLY); }, true},
    Odd{"memory-of-a-process", [] { return opened("/proc/self/mem", O_RDWR); }, true},
    Odd{"namespace", [] { return opened("/proc/self/ns/net", O_RDONLY); }, true},
    Odd{"terminal", [] { return opened("/dev/ptmx", O_RDWR | O_NOCTTY); }},
};

void add_odd_ones(Attacks& attacks) {
  Group group(attacks, "descriptors");
  for (const Odd& odd : odd_ones) {
    const std::string name = odd.name;
    const auto expected = [&odd](const char* refusal) {
      return odd.may_hang ? closed("on a network or user-space file system") : refused(refusal);
    };
    group.add(("call-is-odd-" + name).c_str(), expected("expected an eventfd"), [&odd](Attacker& attacker) {
      attacker.running();
      attacker.wrong(with_fd(number(Request::set_vring_call, out_of), odd.make()));
    });
    group.add(("memory-is-odd-" + name).c_str(), expected(""), [&odd](Attacker& attacker) {
      attacker.running();
      const MemoryRegion region{std::uint64_t{1} << 40, 4096, std::uint64_t{1} << 40, 0};
      attacker.wrong(with_fd(make_memory_table(std::vector{region}), odd.make()));
    });
    group.add(("channel-is-odd-" + name).c_str(), expected("expected a"), [&odd](Attacker& attacker) {
      attacker.running({.protocol = {P::backend_req}});
      attacker.wrong(with_fd(make_request(Request::set_backend_req_fd), odd.make()));
    });
  }
}

// ---- sockets in place of the channel

UniqueFd socket_of(int family, int type) { return or_epoll(::socket(family, type | SOCK_CLOEXEC, 0)); }

UniqueFd listening(int family, int type) {
  UniqueFd fd = socket_of(family, type);
  sockaddr_in address{};
  address.sin_family = static_cast<sa_family_t>(family);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // A Unix address of no bytes is one that the kernel chooses.
  const socklen_t length = family == AF_UNIX ? sizeof address.sin_family : sizeof address;
  static_cast<void>(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length));
  static_cast<void>(::listen(fd.get(), 1));
  return fd;
}

UniqueFd connected_udp() {
  UniqueFd fd = socket_of(AF_INET, SOCK_DGRAM);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(9);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  static_cast<void>(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address));
  return fd;
}

const std::array sockets{
    Odd{"udp", [] { return socket_of(AF_INET, SOCK_DGRAM); }},
    Odd{"connected-udp", connected_udp},
    Odd{"tcp-that-is-not-connected", [] { return socket_of(AF_INET6, SOCK_STREAM); }},
    Odd{"tcp-that-listens", [] { return listening(AF_INET, SOCK_STREAM); }},
    Odd{"tcp-that-is-connected", [] { return LingeringSocket().take(); }},
    Odd{"seqpacket", [] { return std::move(socket_pair(SOCK_SEQPACKET).one); }},
    Odd{"seqpacket-that-listens", [] { return listening(AF_UNIX, SOCK_SEQPACKET); }},
    Odd{"unix-datagrams", [] { return std::move(socket_pair(SOCK_DGRAM).one); }},
    Odd{"unix-that-listens", [] { return listening(AF_UNIX, SOCK_STREAM); }},
    Odd{"unix-that-is-not-connected", [] { return socket_of(AF_UNIX, SOCK_STREAM); }},
    Odd{"netlink", [] { return socket_of(AF_NETLINK, SOCK_RAW); }},
};

void add_channels(Attacks& attacks) {
  Group group(attacks, "notifications");
  for (const Odd& socket : sockets)
    group.add((std::string("channel-of-another-kind-") + socket.name).c_str(), refused("SET_BACKEND_REQ_FD"),
              [&socket](Attacker& attacker) {
                attacker.running({.protocol = {P::inband_notifications, P::backend_req}});
                attacker.guest().set_fd(Request::set_vring_call, out_of, -1);  // so that the channel is used
                attacker.wrong(with_fd(make_request(Request::set_backend_req_fd), socket.make()));
                attacker.guest().send(4);
                attacker.guest().await_sent("over the rings as before");
              });
}

}  // namespace

void add_odd_descriptor_attacks(Attacks& attacks) {
  add_odd_ones(attacks);
  add_channels(attacks);
}

}  // namespace vhostx::hostile
