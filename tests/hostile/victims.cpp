// SPDX-License-Identifier: BSD-3-Clause
#include "tests/hostile/victims.hpp"

#include <chrono>

#include <fmt/format.h>

#include "tests/hostile/back_end.hpp"
#include "tests/hostile/sanitized.hpp"

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
    : frames_(back_end),
      first_(first, victim_plan(), [this](std::int64_t number) { frames_.arrived(1, number); }),
      second_(second, victim_plan(), [this](std::int64_t number) { frames_.arrived(0, number); }),
      watch_(first_.link(), back_end) {
  for (const HonestGuest* guest : {&first_, &second_}) frames_.add_receiver(guest->thread_id());
}

Victims::~Victims() { pause(); }

void Victims::resume() {
  sending_ = true;
  sender_ = std::thread([this] { send(); });
}

void Victims::pause() {
  sending_ = false;
  if (sender_.joinable()) sender_.join();
}

void Victims::send_one(std::size_t way, HonestGuest& from) {
  frames_.send(way, from.next_number(), [&from] { from.send(1); });
}

void Victims::send() {
  frames_.begin_sending();
  while (sending_) {
    send_one(0, first_);
    send_one(1, second_);
    std::this_thread::sleep_for(pace);
  }
}

void Victims::settle(Way& way, std::vector<std::string>& complaints) {
  const std::uint32_t count = way.from.next_number() - way.first;
  const auto end = Clock::now() + patience;
  while (way.to.arrival_count() < count && Clock::now() < end)  // which holds up nobody
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // the other guest's thread takes what arrives
  if (const auto what = said(way.to.arrivals(), way.first, count); !what.empty())
    complaints.push_back("victim: " + what);
  way.to.forget_arrivals();
  way.first = way.from.next_number();
  figures_.frames += count;
}

void Victims::judge_times(std::vector<std::string>& complaints) {
  using std::chrono::duration_cast, std::chrono::milliseconds;
  const auto control = watch_.take_finding();
  figures_.longest_answer = control.longest;
  figures_.longest_frame = frames_.take_longest();
  if (!control.failure.empty()) complaints.push_back("victim: a control message was not answered: " + control.failure);
  if (control.longest > delay_max)
    figures_.late.push_back(fmt::format("victim: a control message was answered after {} ms, {} expected at most",
                                        duration_cast<milliseconds>(control.longest).count(), delay_max.count()));
  if (figures_.longest_frame > delay_max)
    figures_.late.push_back(fmt::format("victim: a frame arrived after {} ms, {} expected at most",
                                        duration_cast<milliseconds>(figures_.longest_frame).count(),
                                        delay_max.count()));
}

std::vector<std::string> Victims::complaints() {
  std::vector<std::string> complaints;
  pause();
  figures_ = {};
  settle(there_, complaints);
  settle(back_, complaints);
  judge_times(complaints);
  return complaints;
}

}  // namespace vhostx::hostile
