// SPDX-License-Identifier: BSD-3-Clause
#include "tests/hostile/referee.hpp"

#include <exception>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tests/hostile/attacker.hpp"

namespace vhostx::hostile {

using Clock = std::chrono::steady_clock;
using Kind = Expected::Kind;
using tools::probe::Fate;

namespace {

constexpr int times_to_be_sure = 3;

/// What was said before the attack is not looked at.
struct Marks {
  std::size_t events;
  std::size_t log;
  Statistics statistics;
};

std::string text_of(const std::optional<Fate>& fate) {
  if (!fate) return "no message was judged";
  switch (*fate) {
    case Fate::accepted:
      return "it was accepted";
    case Fate::refused:
      return "it was refused";
    case Fate::ignored:
      return "it was not answered";
    case Fate::disconnected:
      return "the connection was closed";
  }
  return "";
}

class Verdict {
 public:
  Verdict(Stage& stage, const Attack& attack, Marks marks, Finding& finding)
      : stage_(stage), attack_(attack), marks_(std::move(marks)), finding_(finding) {}

  void judge(Attacker& attacker) {
    switch (attack_.expected.kind) {
      case Kind::harmless:
        finding_.seen = "served on";
        nothing_happened();
        break;
      case Kind::refused:
        refused(attacker);
        break;
      case Kind::closed:
        return closed(attacker);
      case Kind::broken:
        broken(attacker);
        break;
      case Kind::dropped:
        dropped();
        break;
      case Kind::survived:
      case Kind::queued:
        finding_.seen = "survived";
        return;
    }
    // Whatever was wrong, the front-end can still be told.
    if (attacker.connected()) attacker.sync();
  }

 private:
  template <typename... Args>
  void complain(fmt::format_string<Args...> text, Args&&... args) {
    finding_.complaints.push_back(fmt::format(text, std::forward<Args>(args)...));
  }
  const std::string& port() const { return stage_.subject(attack_.port).path; }
  std::optional<BackEndEvent> event(const char* name, std::chrono::milliseconds timeout) {
    return stage_.back_end().wait_event(
        marks_.events, [&](const BackEndEvent& one) { return one.name == name && one.port == port(); }, timeout);
  }

  void nothing_happened() {
    if (const auto broken = event("vring_broken", std::chrono::milliseconds(0)))
      complain("a vring was broken: {}", broken->line);
  }

  void refused(Attacker& attacker) {
    finding_.seen = "refused: " + attack_.expected.text;
    if (attacker.fate() != Fate::refused) return complain("expected a refusal, {}", text_of(attacker.fate()));
    if (!stage_.back_end().wait_log(marks_.log, attack_.expected.text))
      complain("the log does not say '{}' but '{}'", attack_.expected.text, stage_.back_end().log_since(marks_.log));
  }

  void closed(Attacker& attacker) {
    const auto end = event("disconnected", patience);
    if (!end) return complain("the connection was not closed, {}", text_of(attacker.fate()));
    finding_.seen = "closed: " + end->reason;
    if (end->reason.find(attack_.expected.text) == std::string::npos)
      complain("closed because '{}', expected '{}'", end->reason, attack_.expected.text);
  }

  void broken(Attacker& attacker) {
    const auto found = event("vring_broken", patience);
    if (!found) return complain("no vring was broken");
    finding_.seen = fmt::format("vring {} broken: {}", found->vring, found->cause);
    if (found->cause != attack_.expected.text)
      complain("broken for {}, expected {}: {}", found->cause, attack_.expected.text, found->line);
    if (attacker.has_error_fd() && !attacker.error_signalled()) complain("the err eventfd was not signalled");
  }

  void dropped() {
    const std::string& counter = attack_.expected.text;
    const auto before = marks_.statistics.counters[port()][counter];
    const auto grown = [&](const Statistics& now) {
      const auto counters = now.counters.find(port());
      return counters != now.counters.end() && counters->second.contains(counter) &&
             counters->second.at(counter) > before;
    };
    finding_.seen = "counted: " + counter;
    if (!grown(stage_.back_end().wait_statistics(grown))) complain("the counter {} did not grow", counter);
    nothing_happened();
  }

  Stage& stage_;
  const Attack& attack_;
  Marks marks_;
  Finding& finding_;
};

Marks marks_of(Stage& stage, const Attack& attack) {
  Marks marks{stage.back_end().events_until_now(), stage.back_end().log_bytes(), {}};
  if (attack.expected.kind == Kind::dropped)
    marks.statistics = stage.back_end().wait_statistics([](const Statistics&) { return true; });
  return marks;
}

void attack_and_judge(Stage& stage, const Attack& attack, bool others_only, Finding& finding) try {
  Verdict verdict(stage, attack, marks_of(stage, attack), finding);
  Attacker attacker(stage, attack);
  attack.run(attacker);
  if (!others_only) verdict.judge(attacker);
} catch (const tools::probe::Decided& decided) {
  finding.complaints.push_back("during the attack: " + decided.verdict.seen);
} catch (const tools::probe::BackEndGone& gone) {
  finding.complaints.push_back("during the attack: " + gone.why);
} catch (const std::exception& error) {
  finding.complaints.push_back(std::string("during the attack: ") + error.what());
}

}  // namespace

namespace {

Finding make_once(Stage& stage, const Attack& attack, bool others_only) {
  Finding finding{.attack = &attack};
  const auto begun = Clock::now();
  attack_and_judge(stage, attack, others_only, finding);
  if (others_only && !finding.complaints.empty()) finding.seen = std::exchange(finding.complaints, {}).front();
  const Complaints after = stage.aftermath(attack.port);
  finding.complaints.insert(finding.complaints.end(), after.begin(), after.end());
  finding.longest_answer = stage.victims().figures().longest_answer;
  finding.longest_frame = stage.victims().figures().longest_frame;
  finding.victim_frames = stage.victims().figures().frames;
  finding.late = stage.victims().figures().late;
  finding.took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun);
  return finding;
}

}  // namespace

Finding make_attack(Stage& stage, const Attack& attack, bool others_only) {
  std::string before;
  for (int time = 1;; ++time) {
    Finding finding = make_once(stage, attack, others_only);
    finding.seen += before;
    if (finding.late.empty()) return finding;
    if (time < times_to_be_sure && finding.complaints.empty()) {
      before += fmt::format(" (once more: {})", fmt::join(finding.late, ", "));
      continue;
    }
    finding.complaints.insert(finding.complaints.end(), finding.late.begin(), finding.late.end());
    return finding;
  }
}

}  // namespace vhostx::hostile
