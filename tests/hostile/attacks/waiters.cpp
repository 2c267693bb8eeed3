// SPDX-License-Identifier: BSD-3-Clause
// Eventfds for which very many wait: who signals one pays for all of them.
#include "tests/hostile/attacks/waiters.hpp"

#include <sys/epoll.h>

#include "tests/hostile/attacks/extra_memory.hpp"

namespace vhostx::hostile {

using namespace protocol;

namespace {
constexpr unsigned sets_count = 500;
}  // namespace

CrowdedEvent::CrowdedEvent(unsigned waiters) : event_(event_fd()) {
  for (unsigned i = 0; i < waiters / sets_count; ++i) names_.push_back(tools::duplicate(event_.get()));
  for (unsigned set = 0; set < sets_count; ++set) {
    sets_.push_back(epoll_fd());
    epoll_event wanted{.events = EPOLLIN, .data = {}};
    for (const UniqueFd& name : names_) ::epoll_ctl(sets_.back().get(), EPOLL_CTL_ADD, name.get(), &wanted);
  }
}

namespace {

constexpr unsigned waiters = 200'000;

/// The attacker runs with one such descriptor in this place.
Group::Run crowded(Request request, std::uint32_t vring, std::function<void(Attacker&, CrowdedEvent&)> then,
                   FeatureSet features = {}) {
  return [=](Attacker& attacker) {
    attacker.running({.features = features});
    CrowdedEvent event(waiters);
    attacker.guest().set_fd(request, vring, event.fd());
    then(attacker, event);
  };
}

/// A frame at a time, so that each has a signal of its own. What the guest is not told it sees all the same.
void send_frames(Attacker& attacker, int count) {
  for (int i = 0; i < count; ++i) {
    attacker.guest().send(1);
    attacker.guest().await_sent("a frame whose end is signalled to many");
  }
}

void add_calls(Group& group) {
  group.add("of-a-call", survived(), crowded(Request::set_vring_call, out_of, [](Attacker& attacker, CrowdedEvent&) {
              send_frames(attacker, 20);
            }));
  group.add("of-a-call-and-event-index", survived(),
            crowded(Request::set_vring_call, out_of,
                    [](Attacker& attacker, CrowdedEvent&) { send_frames(attacker, 20); }, {V::event_idx}));
  group.add("of-the-receive-rings-call", survived(),
            crowded(Request::set_vring_call, into, [](Attacker& attacker, CrowdedEvent&) {
              for (int i = 0; i < 20; ++i) {
                attacker.feed(1);
                let_it_work(5);
              }
            }));
  group.add("of-a-call-that-is-set-again-and-again", survived(),
            crowded(Request::set_vring_call, out_of, [](Attacker& attacker, CrowdedEvent& event) {
              for (int i = 0; i < 50; ++i) attacker.guest().set_fd(Request::set_vring_call, out_of, event.fd());
            }));
  group.add("of-calls-of-rings-that-start", survived(),
            crowded(Request::set_vring_call, out_of, [](Attacker& attacker, CrowdedEvent& event) {
              for (int i = 0; i < 10; ++i) {
                const std::uint32_t base = attacker.guest().stop(out_of);
                attacker.guest().set_fd(Request::set_vring_call, out_of, event.fd());
                attacker.guest().restart(out_of, base);
              }
            }));
}

void add_others(Group& group) {
  group.add("of-a-kick", survived(), crowded(Request::set_vring_kick, out_of, [](Attacker& attacker, CrowdedEvent&) {
              send_frames(attacker, 1);
              let_it_work(200);
            }));
  group.add("of-an-err", broken("avail_index_jump"),
            crowded(Request::set_vring_err, 0, [](Attacker& attacker, CrowdedEvent&) {
              attacker.avail(into)[1] = static_cast<std::uint16_t>(attacker.avail(into)[1] + 1000);
              attacker.feed(1);
              attacker.avail(out_of)[1] = static_cast<std::uint16_t>(attacker.avail(out_of)[1] + 1000);
              attacker.guest().transmit().kick();
            }));
  group.add("of-a-call-that-is-given-up", survived(), [](Attacker& attacker) {
    attacker.running();
    const CrowdedEvent event(waiters);
    attacker.guest().set_fd(Request::set_vring_call, out_of, event.fd());
    send_frames(attacker, 2);
    attacker.leave();
  });
}

}  // namespace

void add_waiter_attacks(Attacks& attacks) {
  Group group(attacks, "waiters");
  add_calls(group);
  add_others(group);
}

}  // namespace vhostx::hostile
