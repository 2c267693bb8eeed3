// SPDX-License-Identifier: BSD-3-Clause
#include "tests/hostile/stage.hpp"

#include <functional>
#include <set>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>

#include "tests/hostile/sanitized.hpp"

namespace vhostx::hostile {

using Clock = std::chrono::steady_clock;
using protocol::VirtioFeature;
using tools::probe::GuestPlan;

namespace {

constexpr unsigned frames_to_try = 8;
/// What the heap may have grown by, over all attacks on one process: a leak of a few KiB an attack shows in the run
/// that has all of them in one process, of one more in any. Sanitizers keep freed blocks, and memory about memory.
constexpr std::uint64_t heap_growth_max_kib = (sanitized ? 128 : 24) * 1024;
/// Mappings that the C library keeps of threads which have ended, for the next ones: two of a stack, two of a heap. An
/// attack brings about at most so many threads at once: 2 that release, and for each port that is attacked 4 more whose
/// releases are held up and 1 for slow signals.
constexpr std::size_t attacked_ports = 2;
constexpr std::size_t own_mappings_growth_max = (2 + attacked_ports * (4 + 1)) * (2 + 2);

void start_over(Complaints& to, const Complaints& from) { to.insert(to.end(), from.begin(), from.end()); }

/// There is no event for what another process gives up, or for what arrives in shared memory.
bool wait_until(const std::function<bool()>& condition) {
  const auto end = Clock::now() + patience;
  while (!condition()) {
    if (Clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

bool all_arrived(const HonestGuest& guest, std::uint32_t first, std::uint32_t count) {
  const auto arrivals = guest.arrivals();
  for (std::uint32_t number = first; number != first + count; ++number) {
    const auto found = arrivals.seen.find(number);
    if (found == arrivals.seen.end()) return false;
  }
  return true;
}

/// Takes what a guest may take: packets in one piece of up to 64 KiB. What is behind an offload the back-end computes.
GuestPlan plain_plan() { return {.features = {VirtioFeature::net_mrg_rxbuf}}; }
/// Takes offloads as they are.
GuestPlan offload_plan() {
  return {.features = {VirtioFeature::net_mrg_rxbuf, VirtioFeature::net_guest_csum, VirtioFeature::net_guest_tso4,
                       VirtioFeature::net_guest_tso6}};
}

}  // namespace

Stage::Stage(const std::string& program) : back_end_(program) {
  for (std::size_t i = 0; i < socket_count; ++i) {
    subjects_[i].path = back_end_.path(static_cast<Socket>(i));
    subjects_[i].second = subjects_[i].path;  // nothing of ours asks where frames go
    subjects_[i].timeout = patience;
    if (auto explored = explore(subjects_[i], true); !explored) throw std::runtime_error(explored.error().message);
  }
  peer_ = connect(Socket::honest, plain_plan());
  lending_peer_ = connect(Socket::lending_honest, offload_plan());
  victims_ = std::make_unique<Victims>(subject(Socket::victim), subject(Socket::victim_peer), back_end_.pid());
  const std::size_t mappings = facts_of(back_end_.pid()).guest_mappings;
  for (const Socket socket : {Socket::attacked, Socket::lending})  // what is made once is made before the snapshot
    if (auto wrong = honest_front_end(socket); !wrong.empty()) throw std::runtime_error(wrong.front());
  take_snapshot(mappings);
  victims_->resume();
}

// The last connection's descriptors and mappings are given up a moment after it has ended: no event tells when.
void Stage::take_snapshot(std::size_t guest_mappings) {
  const bool still = wait_until([&] {
    before_ = facts_of(back_end_.pid());
    mbufs_before_ = back_end_.wait_statistics([](const Statistics&) { return true; }).mbufs_in_use;
    return before_.guest_mappings == guest_mappings && facts_of(back_end_.pid()) == before_;
  });
  if (!still) throw std::runtime_error("the back-end does not give up what those who left had");
}

std::unique_ptr<HonestGuest> Stage::connect(Socket socket, const GuestPlan& plan) {
  const std::size_t mark = back_end_.events_until_now();
  auto guest = std::make_unique<HonestGuest>(subject(socket), plan);
  for (const int vring : {0, 1})
    back_end_.wait_event(mark, [&](const BackEndEvent& event) {
      return event.name == "vring_started" && event.port == subject(socket).path && event.vring == vring;
    });
  return guest;
}

Complaints Stage::aftermath(Socket attacked) {
  if (!back_end_.lives()) return {"the back-end is dead: " + back_end_.log_since(0)};
  Complaints complaints = sanitizer_reports();
  try {
    // What still waits for the peer's buffers would leave no room for the frames of one that behaves.
    back_end_.wait_statistics([this](const Statistics& now) { return now.mbufs_in_use <= mbufs_before_; });
    start_over(complaints, honest_front_end(attacked));
  } catch (const tools::probe::Decided& decided) {
    complaints.push_back("a front-end that behaves: " + decided.verdict.seen);
  } catch (const tools::probe::BackEndGone& gone) {
    complaints.push_back("a front-end that behaves: " + gone.why);
  }
  start_over(complaints, victims_->complaints());
  start_over(complaints, changes());
  victims_->resume();
  start_over(complaints, sanitizer_reports());
  return complaints;
}

Complaints Stage::honest_front_end(Socket socket) {
  auto guest = connect(socket, plain_plan());
  const std::size_t connected = back_end_.events_until_now();
  Complaints complaints = exchange_frames(socket, *guest);
  guest.reset();
  // Its end must not be taken for that of the next connection.
  back_end_.wait_event(connected, [&](const BackEndEvent& event) {
    return event.name == "disconnected" && event.port == subject(socket).path;
  });
  return complaints;
}

Complaints Stage::exchange_frames(Socket socket, HonestGuest& guest) {
  HonestGuest& peer = peer_of(socket);
  if (const auto fault = peer.arrivals().fault; !fault.empty()) return {"the honest guest: " + fault};
  peer.forget_arrivals();
  if (!guest.send_all(frames_to_try)) return {"a front-end that behaves: its frames are not taken"};
  if (!wait_until([&] { return all_arrived(peer, 1, frames_to_try); }))
    return {fmt::format("a front-end that behaves: of {} frames it sent {} arrived", frames_to_try,
                        peer.arrivals().seen.size())};
  const std::uint32_t first = peer.next_number();
  if (!peer.send_all(frames_to_try)) return {"a front-end that behaves: frames to it are not taken"};
  if (!wait_until([&] { return all_arrived(guest, first, frames_to_try); }))
    return {"a front-end that behaves: not all frames to it arrived"};
  return {};
}

std::string Stage::differences(const ProcessFacts& now) const {
  std::string text;
  const auto say = [&text](const char* what, std::size_t is, std::size_t was) {
    text += fmt::format("{}{} {} (before: {})", text.empty() ? "" : ", ", is, what, was);
  };
  if (now.fds != before_.fds) say("descriptors", now.fds, before_.fds);
  if (now.epolls > before_.epolls) say("epolls", now.epolls, before_.epolls);
  if (now.guest_mappings != before_.guest_mappings)
    say("mappings of guest memory", now.guest_mappings, before_.guest_mappings);
  if (now.threads != before_.threads) say("threads", now.threads, before_.threads);
  if (now.signal_threads > before_.signal_threads + attacked_ports)
    say("threads for slow signals", now.signal_threads, before_.signal_threads);
  if (now.file_mappings > before_.file_mappings) say("mappings of files", now.file_mappings, before_.file_mappings);
  if (now.own_mappings > before_.own_mappings + own_mappings_growth_max)
    say("mappings of no file", now.own_mappings, before_.own_mappings);
  if (now.anonymous_kib > before_.anonymous_kib + heap_growth_max_kib)
    say("KiB of its own memory", now.anonymous_kib, before_.anonymous_kib);
  return text;
}

Complaints Stage::changes() {
  Complaints complaints;
  std::string different;
  if (!wait_until([&] { return (different = differences(facts_of(back_end_.pid()))).empty(); }))
    complaints.push_back("the process has " + different);
  const auto as_before = [this](const Statistics& now) { return now.mbufs_in_use <= mbufs_before_; };
  const auto statistics = back_end_.wait_statistics(as_before);
  if (!as_before(statistics))
    complaints.push_back(fmt::format("{} mbufs in use (before: {})", statistics.mbufs_in_use, mbufs_before_));
  return complaints;
}

Complaints Stage::sanitizer_reports() const {
  const std::string log = back_end_.log_since(0);
  for (const char* const sign : {"Sanitizer", "runtime error:", "Assertion", "terminate called"})
    if (log.find(sign) != std::string::npos) return {"in its log: " + log.substr(log.find(sign), 4000)};
  return {};
}

Complaints Stage::end() {
  victims_.reset();
  peer_.reset();
  lending_peer_.reset();
  Complaints complaints;
  if (const auto wrong = back_end_.end(); !wrong.empty()) complaints.push_back(wrong);
  start_over(complaints, sanitizer_reports());
  return complaints;
}

}  // namespace vhostx::hostile
