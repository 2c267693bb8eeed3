// SPDX-License-Identifier: BSD-3-Clause
#include "tests/lab/numa/pump.hpp"

#include <cerrno>
#include <sched.h>

#include "base/error.hpp"

namespace vhostx::lab {
namespace {

using namespace std::chrono_literals;
using tools::bench::Counts;
using tools::bench::Endpoint;
using tools::bench::FlowSpec;
using tools::bench::MacAddress;
using tools::bench::Traffic;
using tools::bench::TrafficOptions;

constexpr auto slice = 20ms;         // between two looks at what is asked for
constexpr auto greeting_max = 240s;  // a switch that is emulated may have much to do before it forwards

MacAddress mac_of(std::size_t guest) noexcept {
  return {0x02, 0x76, 0x68, 0x78, 0x01, static_cast<std::uint8_t>(guest + 1)};  // locally administered
}

std::vector<FlowSpec> flows_of(const std::vector<Endpoint*>& guests) {
  std::vector<FlowSpec> flows;
  for (std::size_t i = 0; i < guests.size(); ++i) {
    const std::size_t next = (i + 1) % guests.size();
    flows.push_back({guests[i], 0, guests[next], mac_of(i), mac_of(next)});
  }
  return flows;
}

TrafficOptions traffic_options(const PumpOptions& options, std::uint16_t first_stream) {
  TrafficOptions traffic;
  traffic.frame_bytes = options.frame_bytes;
  traffic.first_stream = first_stream;
  traffic.in_flight = options.in_flight;
  traffic.rate_pps = options.rate_pps;
  traffic.interrupt =
      true;  // the machine's processors are threads of an emulator: one that spins takes from the others
  // An emulated machine may stand still for a while: what is late is not lost.
  traffic.quiet = 2000ms;
  traffic.give_up = 20000ms;
  return traffic;
}

Result<void> pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(cpu), &set);
  if (cpu < 0 || ::sched_setaffinity(0, sizeof set, &set) == 0) return {};
  return make_system_error(errno, "running on CPU {}", cpu);
}

}  // namespace

Pump::Pump(std::vector<Endpoint*> guests, const PumpOptions& options)
    : guests_(std::move(guests)),
      options_(options),
      traffic_(flows_of(guests_), guests_, traffic_options(options_, static_cast<std::uint16_t>(guests_.size()))) {}

Result<std::unique_ptr<Pump>> Pump::start(const std::vector<Endpoint*>& guests, const PumpOptions& options) {
  // A switch that has not heard a guest yet floods its packets, and one that hears it twice may swap some: the
  // greetings have streams of their own, which are not counted.
  Traffic greetings(flows_of(guests), guests, traffic_options(options, 0));
  if (auto greeted = greetings.greet(greeting_max); !greeted) return greeted.error();
  greetings.drain();
  if (auto pinned = pin(options.cpu); !pinned) return pinned.error();  // the thread inherits it
  std::unique_ptr<Pump> pump(new Pump(guests, options));
  pump->thread_ = std::thread([&pump = *pump] { pump.work(); });
  return pump;
}

Pump::~Pump() {
  ended_ = true;
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Pump::work() {
  while (!ended_) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !held_ || ended_; });
    if (!ended_) traffic_.run(slice);
  }
}

Result<Counts> Pump::counts(bool resume) {
  held_ = true;
  std::unique_lock lock(mutex_);
  traffic_.drain();
  const Counts counts = traffic_.counts();
  for (Endpoint* const guest : guests_)
    if (auto healthy = guest->health(); !healthy) return healthy.error();
  lock.unlock();
  if (resume) this->resume();
  return counts;
}

void Pump::resume() {
  held_ = false;
  changed_.notify_all();
}

}  // namespace vhostx::lab
