// SPDX-License-Identifier: BSD-3-Clause
// Eventfds that are full, shared or exchanged, storms of them, and the back-end's own channel to the front-end.
#include <array>
#include <atomic>
#include <fcntl.h>
#include <thread>
#include <unistd.h>

#include <sys/eventfd.h>
#include <sys/socket.h>

#include "tests/hostile/attacks/make.hpp"

namespace vhostx::hostile {

using namespace protocol;

namespace {

/// An eventfd whose counter can take no more, and whose writer would wait.
UniqueFd full_event() {
  UniqueFd fd = event_fd();
  const std::uint64_t most = ~std::uint64_t{0} - 1;
  if (::write(fd.get(), &most, sizeof most) != sizeof most)
    throw tools::probe::Decided{tools::probe::failed("the eventfd is not filled")};
  return fd;
}

void set(Attacker& attacker, Request request, std::uint32_t vring, UniqueFd fd) {
  attacker.link().change(with_fd(number(request, vring), std::move(fd)));
}

void traffic(Attacker& attacker, unsigned frames) {
  attacker.guest().send(frames);
  attacker.guest().await_sent("traffic");
}

void add_event_fds(Group& group) {
  group.add("call-at-its-maximum", harmless(), [](Attacker& attacker) {
    attacker.running();
    set(attacker, Request::set_vring_call, 1, full_event());
    set(attacker, Request::set_vring_call, 0, full_event());
    traffic(attacker, 32);
    attacker.feed(32);
  });
  group.add("err-at-its-maximum", broken("avail_index_jump"), [](Attacker& attacker) {
    attacker.running();
    set(attacker, Request::set_vring_err, 1, full_event());
    attacker.avail(1)[1] = static_cast<std::uint16_t>(attacker.avail(1)[1] + 1000);
    attacker.guest().transmit().kick();
    attacker.guest().set_fd(Request::set_vring_err, 1, attacker.error_fd());
    set(attacker, Request::set_vring_err, 0, event_fd());
    attacker.avail(0)[1] = static_cast<std::uint16_t>(attacker.avail(0)[1] + 1000);
    attacker.guest().set_fd(Request::set_vring_err, 0, attacker.error_fd());
    attacker.feed(1);
  });
  group.add("call-is-a-semaphore", harmless(), [](Attacker& attacker) {
    attacker.running();
    set(attacker, Request::set_vring_call, 1, event_fd(0, EFD_SEMAPHORE));
    traffic(attacker, 32);
  });
  group.add("call-is-its-own-kick", harmless(), [](Attacker& attacker) {
    attacker.running();
    attacker.guest().set_fd(Request::set_vring_call, 1, attacker.guest().transmit().kick_fd());
    for (int i = 0; i < 50; ++i) traffic(attacker, 4);
  });
  group.add("one-eventfd-for-everything", harmless(), [](Attacker& attacker) {
    attacker.running();
    const int fd = attacker.guest().transmit().kick_fd();
    for (const std::uint32_t vring : {0U, 1U})
      for (const Request request : {Request::set_vring_call, Request::set_vring_err, Request::set_vring_kick})
        attacker.guest().set_fd(request, vring, fd);
    for (int i = 0; i < 50; ++i) traffic(attacker, 4);
    attacker.feed(16);
  });
}

/// O_NONBLOCK belongs to the open file: whoever shares it can take it away after the back-end has set it.
void make_blocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK); }

/// Does so all the while: whoever sets the flag and then writes has lost it in between.
class Blocker {
 public:
  explicit Blocker(int fd) : thread_([this, fd] { run(fd); }) {}
  ~Blocker() {
    stop_ = true;
    thread_.join();
  }
  Blocker(const Blocker&) = delete;
  Blocker& operator=(const Blocker&) = delete;

 private:
  void run(int fd) {
    while (!stop_) make_blocking(fd);
  }

  std::atomic<bool> stop_{false};
  std::thread thread_;  // last: it uses what is above
};

void add_blocking(Group& group) {
  group.add("call-that-is-blocking-and-full", harmless(), [](Attacker& attacker) {
    attacker.running();
    const UniqueFd call = full_event();
    for (const std::uint32_t vring : {0U, 1U})
      set(attacker, Request::set_vring_call, vring, tools::duplicate(call.get()));
    make_blocking(call.get());
    for (int i = 0; i < 50; ++i) traffic(attacker, 4);
    attacker.feed(32);
  });
  group.add("call-that-blocks-a-moment-later", harmless(), [](Attacker& attacker) {
    attacker.running();
    const UniqueFd call = full_event();
    const Blocker blocker(call.get());
    for (int i = 0; i < 200; ++i) {
      set(attacker, Request::set_vring_call, 1, tools::duplicate(call.get()));
      traffic(attacker, 4);
    }
  });
  group.add("err-that-is-blocking-and-full", broken("avail_index_jump"), [](Attacker& attacker) {
    attacker.running();
    const UniqueFd err = full_event();
    set(attacker, Request::set_vring_err, 1, tools::duplicate(err.get()));
    make_blocking(err.get());
    attacker.avail(1)[1] = static_cast<std::uint16_t>(attacker.avail(1)[1] + 1000);
    attacker.guest().transmit().kick();
    attacker.sync();
    attacker.avail(0)[1] = static_cast<std::uint16_t>(attacker.avail(0)[1] + 1000);
    attacker.feed(1);
  });
  group.add("kick-that-is-blocking-and-full", harmless(), [](Attacker& attacker) {
    attacker.running({.protocol = {P::inband_notifications, P::backend_req}});
    const UniqueFd kick = full_event();
    set(attacker, Request::set_vring_kick, 1, tools::duplicate(kick.get()));
    make_blocking(kick.get());
    attacker.link().change(ring_state(Request::vring_kick, 1, 0));
    attacker.sync();
  });
}

void add_storms(Group& group) {
  group.add("kick-that-is-always-readable", harmless(), [](Attacker& attacker) {
    attacker.running();
    set(attacker, Request::set_vring_kick, 1, full_event());
    set(attacker, Request::set_vring_kick, 0, full_event());
    traffic(attacker, 16);
  });
  group.add("kicks-without-buffers", harmless(), [](Attacker& attacker) {
    attacker.running();
    for (int i = 0; i < 100'000; ++i) attacker.guest().transmit().kick();
  });
  group.add("kicks-from-before-the-ring", harmless(), [](Attacker& attacker) {
    Guest& guest = attacker.guest();
    for (int i = 0; i < 10'000; ++i) guest.ring(0).kick();
    guest.start();
  });
  group.add("calls-exchanged-under-traffic", harmless(), [](Attacker& attacker) {
    attacker.running();
    for (int i = 0; i < 1000; ++i) {
      set(attacker, Request::set_vring_call, 1, event_fd());
      if (i % 8 == 0) traffic(attacker, 4);
    }
  });
  group.add("kicks-exchanged-under-traffic", harmless(), [](Attacker& attacker) {
    attacker.running();
    for (int i = 0; i < 500; ++i)
      attacker.guest().set_fd(Request::set_vring_kick, 1, attacker.guest().ring(1).kick_fd());
    traffic(attacker, 4);
  });
  group.add("no-kick-fd-at-all", harmless(), [](Attacker& attacker) {
    attacker.running();
    attacker.guest().set_fd(Request::set_vring_kick, 1, -1);
    attacker.guest().set_fd(Request::set_vring_call, 1, -1);
    attacker.guest().set_fd(Request::set_vring_err, 1, -1);
  });
  group.add("in-band-kicks-by-the-thousand", harmless(), [](Attacker& attacker) {
    attacker.running({.protocol = {P::inband_notifications, P::backend_req}});
    for (int i = 0; i < 2000; ++i) attacker.link().change(ring_state(Request::vring_kick, 1, 0));
    traffic(attacker, 4);
  });
}

/// A guest that is notified in band, over a channel whose other end is the attacker's.
UniqueFd in_band(Attacker& attacker) {
  attacker.running({.protocol = {P::inband_notifications, P::backend_req}});
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0)
    throw tools::probe::Decided{tools::probe::failed("no socket pair")};
  UniqueFd ours(ends[0]);
  attacker.link().change(with_fd(make_request(Request::set_backend_req_fd), UniqueFd(ends[1])));
  attacker.guest().set_fd(Request::set_vring_call, 1, -1);
  return ours;
}

void add_channel(Group& group) {
  group.add("channel-full-of-rubbish", harmless(), [](Attacker& attacker) {
    const UniqueFd channel = in_band(attacker);
    const std::vector<std::byte> rubbish(4096, std::byte{0xa5});
    for (int i = 0; i < 256; ++i) static_cast<void>(::send(channel.get(), rubbish.data(), 4096, MSG_NOSIGNAL));
    traffic(attacker, 16);
  });
  group.add("channel-that-is-never-answered", harmless(), [](Attacker& attacker) {
    const UniqueFd channel = in_band(attacker);
    for (int i = 0; i < 100; ++i) traffic(attacker, 4);
  });
  group.add("channel-answers-that-nobody-waits-for", harmless(), [](Attacker& attacker) {
    const UniqueFd channel = in_band(attacker);
    const auto answer = encode(make_reply(make_request(BackEndRequest::vring_call).header(), U64{0}));
    for (int i = 0; i < 1000; ++i) static_cast<void>(::send(channel.get(), answer.data(), answer.size(), MSG_NOSIGNAL));
    traffic(attacker, 16);
  });
  group.add("channel-half-an-answer", harmless(), [](Attacker& attacker) {
    const UniqueFd channel = in_band(attacker);
    traffic(attacker, 4);
    static_cast<void>(::send(channel.get(), "\2\0\0", 3, MSG_NOSIGNAL));
    traffic(attacker, 4);
  });
  group.add("channel-that-is-closed", harmless(), [](Attacker& attacker) {
    UniqueFd channel = in_band(attacker);
    channel.reset();
    for (int i = 0; i < 20; ++i) traffic(attacker, 4);
  });
  group.add("channel-replaced-a-thousand-times", harmless(), [](Attacker& attacker) {
    attacker.running({.protocol = {P::inband_notifications, P::backend_req}});
    for (int i = 0; i < 1000; ++i) tools::probe::need(attacker.link().open_backend_channel(), "a channel");
  });
  group.add("channel-is-a-socket-that-listens", survived(), [](Attacker& attacker) {
    attacker.running({.protocol = {P::inband_notifications, P::backend_req}});
    attacker.wrong(with_fd(make_request(Request::set_backend_req_fd), socket_end()));
    traffic(attacker, 4);
  });
  group.add("channel-is-the-connection-itself", refused("is a connection to this process"), [](Attacker& attacker) {
    attacker.running({.protocol = {P::inband_notifications, P::backend_req}});
    attacker.wrong(with_fd(make_request(Request::set_backend_req_fd), tools::duplicate(attacker.link().fd())));
  });
}

}  // namespace

void add_notification_attacks(Attacks& attacks) {
  Group group(attacks, "notifications");
  add_event_fds(group);
  add_blocking(group);
  add_storms(group);
  add_channel(group);
}

}  // namespace vhostx::hostile
