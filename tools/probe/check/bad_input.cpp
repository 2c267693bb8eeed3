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
    if (wrong.described) guest.describe(0, 0);
    answer = guest.link().outcome_of(wrong.make(guest));
  }
  return judge(subject, answer, wrong.owed);
}

}  // namespace

Verdict judge(const Subject& subject, Fate answer, Owed owed) {
  Link::open(subject).sync("bad input on another connection");
  if (answer == Fate::accepted && owed == Owed::refusal) return failed("it was taken as if it were right");
  return passed("{}; a new connection is answered", text_of(answer));
}

void add_wrong_message(Checks& checks, const WrongMessage& wrong) {
  checks.push_back({std::string(bad_input_group) + "." + wrong.id, wrong.section, wrong.title,
                    [wrong](const Subject& subject) { return send_wrong(subject, wrong); }});
}

}  // namespace vhostx::tools::probe
