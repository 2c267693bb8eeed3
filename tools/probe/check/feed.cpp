// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/check/feed.hpp"

namespace vhostx::tools::probe {

using Clock = std::chrono::steady_clock;

bool returns_frames(const Subject& subject) {
  Guest guest(subject, {});
  guest.start();
  // Rings start at different moments: several frames, one after the other.
  for (int i = 0; i < 4; ++i) {
    guest.send();
    guest.await_sent("looking for a loop");
    if (!guest.stays_unused(0)) {
      const auto arrival = guest.take_arrival();
      if (arrival && number_of(arrival->bytes) >= 0) return true;
    }
  }
  return false;
}

Feed::Feed(Guest& guest) : guest_(guest), second_subject_(guest.subject()) {
  need_net(guest.subject());
  if (guest.subject().second.empty() && !guest.subject().loops)
    throw Decided{not_applicable("nothing makes this back-end send to its guest (--second names another port of it)")};
  if (guest.subject().second.empty()) return;
  second_subject_.path = guest.subject().second;
  second_.emplace(second_subject_, GuestPlan{});
  second_->start();
}

void Feed::offer() {
  Guest& sender = second_ ? *second_ : guest_;
  sender.send(1, 0, true);
  sender.await_sent("the sender's ring");
}

std::optional<Guest::Arrival> Feed::next_of_ours() {
  while (auto arrival = guest_.take_arrival())
    if (number_of(arrival->bytes) >= 0) return arrival;
  return std::nullopt;
}

Guest::Arrival Feed::until_arrival() {
  const auto end = Clock::now() + guest_.subject().timeout;
  while (Clock::now() < end) {
    offer();
    const auto pause = Clock::now() + quiet_time;  // a ring may start later than the frame came: then the next one
    while (Clock::now() < pause) {
      if (auto arrival = next_of_ours()) return *std::move(arrival);
      guest_.stays_unused(0);
    }
  }
  throw Decided{failed("no frame arrived within {} ms", guest_.subject().timeout.count())};
}

void Feed::settle() {
  do {
    while (guest_.take_arrival()) {
    }
  } while (!guest_.stays_unused(0));
}

}  // namespace vhostx::tools::probe
