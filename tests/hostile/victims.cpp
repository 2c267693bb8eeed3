// SPDX-License-Identifier: BSD-3-Clause
#include "tests/hostile/victims.hpp"

#include <chrono>

#include <fmt/format.h>

#include "tests/hostile/back_end.hpp"

namespace vhostx::hostile {

using Clock = std::chrono::steady_clock;
using tools::probe::GuestPlan;

namespace {

constexpr std::chrono::milliseconds pace{1};

GuestPlan victim_plan() { return {.ring_size = 256}; }

std::string said(const HonestGuest::Arrivals& arrivals, std::uint32_t first, std::uint32_t count) {
  unsigned lost = 0, twice = 0;
  for (std::uint32_t number = first; number != first + count; ++number) {
    const auto found = arrivals.seen.find(number);
    lost += found == arrivals.seen.end();
    twice += found != arrivals.seen.end() && found->second > 1;
  }
  if (lost + twice + arrivals.reordered + arrivals.others == 0 && arrivals.fault.empty()) return {};
  return fmt::format("of {} frames {} lost, {} twice, {} reordered, {} damaged {}", count, lost, twice,
                     arrivals.reordered, arrivals.others, arrivals.fault);
}

}  // namespace

Victims::Victims(const tools::probe::Subject& first, const tools::probe::Subject& second, pid_t back_end)
    : first_(first, victim_plan()), second_(second, victim_plan()), watch_(first_.link(), back_end) {}

Victims::~Victims() { pause(); }

void Victims::resume() {
  sending_ = true;
  sender_ = std::thread([this] { send(); });
}

void Victims::pause() {
  sending_ = false;
  if (sender_.joinable()) sender_.join();
}

void Victims::send() {
  while (sending_) {
    first_.send(1);
    second_.send(1);
    std::this_thread::sleep_for(pace);
  }
}

void Victims::settle(Way& way, std::vector<std::string>& complaints) {
  const std::uint32_t count = way.from.next_number() - way.first;
  const auto end = Clock::now() + patience;
  HonestGuest::Arrivals arrivals = way.to.arrivals();
  while (arrivals.seen.size() < count && Clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // the other guest's thread takes what arrives
    arrivals = way.to.arrivals();
  }
  if (const auto what = said(arrivals, way.first, count); !what.empty()) complaints.push_back("victim: " + what);
  way.to.forget_arrivals();
  way.first = way.from.next_number();
  figures_.frames += count;
}

std::vector<std::string> Victims::complaints() {
  std::vector<std::string> complaints;
  pause();
  figures_ = {};
  settle(there_, complaints);
  settle(back_, complaints);
  const auto control = watch_.take_finding();
  figures_.longest_answer = control.longest;
  if (!control.failure.empty())
    complaints.push_back("victim: a control message was not answered: " + control.failure);
  else if (control.longest > ControlWatch::limit())
    complaints.push_back(fmt::format("victim: a control message was answered after {} ms, {} expected at most",
                                     std::chrono::duration_cast<std::chrono::milliseconds>(control.longest).count(),
                                     ControlWatch::limit().count()));
  return complaints;
}

}  // namespace vhostx::hostile
