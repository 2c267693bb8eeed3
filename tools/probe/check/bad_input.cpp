// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/check/bad_input.hpp"

namespace vhostx::tools::probe {
namespace {

std::string_view text_of(Fate answer) {
  switch (answer) {
    case Fate::accepted:
      return "it was taken";
    case Fate::refused:
      return "refused";
    case Fate::ignored:
      return "not answered";
    case Fate::disconnected:
      return "the connection was closed";
  }
  return "";
}

Verdict send_wrong(const Subject& subject, const WrongMessage& wrong) {
  Fate answer = Fate::ignored;
  {
    Guest guest(subject, wrong.plan);
    if (wrong.described) guest.describe(0, guest.ring(0).base());
    answer = guest.link().outcome_of(wrong.make(guest));
  }
  return judge(subject, answer, wrong.owed);
}

Verdict lie(const Subject& subject, const GuestPlan& plan, Lie tell) {
  need_net(subject);
  {
    Guest guest(subject, plan);
    guest.start();
    guest.send(4);
    guest.await_sent("a ring before the lie");
    tell(guest);
    guest.transmit().kick();
    guest.stays_unused(1);  // only time can tell: the ring may stand still, or go on
    guest.link().sync("a driver's lie");
  }
  Guest next(subject, plan);
  next.start();
  next.send(8);
  next.await_sent("the rings of the next connection");
  return passed("still answered on this connection, frames used on the next");
}

}  // namespace

Verdict judge(const Subject& subject, Fate answer, Owed owed) {
  Link::open(subject).sync("bad input on another connection");
  if (answer == Fate::accepted && owed == Owed::refusal) return failed("it was taken as if it were right");
  return passed("{}; a new connection is answered", text_of(answer));
}

void add_lie(Checks& checks, const std::string& id, const char* section, const std::string& title,
             const GuestPlan& plan, Lie tell) {
  checks.push_back({std::string(bad_input_group) + "." + id, section, title,
                    [plan, tell](const Subject& subject) { return lie(subject, plan, tell); }});
}

void add_wrong_message(Checks& checks, const WrongMessage& wrong) {
  checks.push_back({std::string(bad_input_group) + "." + wrong.id, wrong.section, wrong.title,
                    [wrong](const Subject& subject) { return send_wrong(subject, wrong); }});
}

}  // namespace vhostx::tools::probe
