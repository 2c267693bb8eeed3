// SPDX-License-Identifier: BSD-3-Clause
#include "tools/bench/side.hpp"

#include <algorithm>
#include <signal.h>

#include "base/error.hpp"
#include "tools/bench/tap_endpoint.hpp"

namespace vhostx::tools::bench {
namespace {

using namespace std::chrono_literals;

constexpr auto warm_up_max = std::chrono::nanoseconds(20ms);
constexpr auto quiet_while_it_moves = 100us;  // what was sent to it meanwhile is lost, and this long not known to be

Result<std::unique_ptr<Endpoint>> tap_at(const EndpointSpec& spec, const Options& options) {
  auto tap = TapEndpoint::open(spec.path, options.guest.frame_bytes_max);
  if (!tap) return tap.error();
  return std::unique_ptr<Endpoint>(*std::move(tap));
}

}  // namespace

GuestOptions guest_at(const EndpointSpec& spec, const Options& options) {
  GuestOptions guest = options.guest;
  guest.path = spec.path;
  guest.listen = spec.listen;
  return guest;
}

MacAddress mac_of(std::size_t guest) noexcept {
  return {0x02, 0x76, 0x68, 0x78, 0x00, static_cast<std::uint8_t>(guest + 1)};  // locally administered
}

Result<std::unique_ptr<Side>> Side::open(const SideSpec& spec, const Options& options) {
  std::unique_ptr<Side> side(new Side(spec, options));
  if (auto opened = side->open_all(); !opened) return opened.error();
  return side;
}

Result<void> Side::open_all() {
  for (std::size_t i = 0; i < spec_.endpoints.size(); ++i) {
    const EndpointSpec& spec = spec_.endpoints[i];
    if (spec.tap) {
      auto tap = tap_at(spec, options_);
      if (!tap) return tap.error();
      endpoints_.push_back(*std::move(tap));
      continue;
    }
    GuestOptions options = guest_at(spec, options_);
    options.migrates = options_.log && i + 1 == spec_.endpoints.size();
    auto guest = VhostEndpoint::open(options);
    if (!guest) return guest.error();
    if (!options.migrates) {
      endpoints_.push_back(*std::move(guest));
      continue;
    }
    auto moving = std::make_unique<MovingEndpoint>(*std::move(guest));
    moving_ = moving.get();
    here_ = spec;
    elsewhere_ = *options_.log;
    endpoints_.push_back(std::move(moving));
  }
  return {};
}

Side::~Side() { resume(); }

void Side::signal_process(bool stop) noexcept {
  if (spec_.pid == 0 || stop == stopped_) return;
  ::kill(spec_.pid, stop ? SIGSTOP : SIGCONT);
  stopped_ = stop;
}

std::vector<std::string> Side::describe() const {
  std::vector<std::string> lines;
  for (const auto& endpoint : endpoints_) lines.push_back(endpoint->describe());
  return lines;
}

Result<void> Side::can_carry(std::uint32_t frame_bytes) const {
  const bool tso = frame_bytes > plain_frame_bytes_max;
  for (const FlowSpec& flow : flows()) {
    if (auto possible = flow.from->can_send(frame_bytes, tso); !possible) return possible;
    if (flow.to == nullptr) continue;
    if (auto possible = flow.to->can_receive(frame_bytes, tso); !possible) return possible;
  }
  return {};
}

std::vector<FlowSpec> Side::flows() const {
  std::vector<FlowSpec> flows;
  if (!sends()) return flows;
  const std::size_t senders = options_.bidirectional ? 2 : 1;
  for (std::size_t i = 0; i < senders; ++i) {
    Endpoint* const from = endpoints_[i].get();
    Endpoint* const to = options_.mode == Mode::tx ? nullptr : endpoints_[endpoints_.size() - 1 - i].get();
    for (unsigned queue = 0; queue < from->queue_count(); ++queue)
      flows.push_back({from, queue, to, mac_of(i), mac_of(1 - i)});
  }
  return flows;
}

std::vector<FlowSpec> Side::greetings() const {
  auto greetings = flows();
  if (endpoints_.size() == 2 && !options_.bidirectional)
    greetings.push_back({endpoints_[1].get(), 0, endpoints_[0].get(), mac_of(1), mac_of(0)});
  return greetings;
}

std::vector<Endpoint*> Side::receivers() const {
  std::vector<Endpoint*> receivers;
  for (const auto& endpoint : endpoints_) receivers.push_back(endpoint.get());
  return receivers;
}

TrafficOptions Side::traffic_options(std::uint32_t frame_bytes, std::size_t flow_count) const {
  TrafficOptions traffic;
  traffic.frame_bytes = frame_bytes;
  traffic.segment_bytes = frame_bytes > plain_frame_bytes_max ? segment_payload_bytes : 0;
  traffic.burst = options_.burst;
  traffic.rate_pps = options_.rate_pps;
  traffic.check = options_.check_heads ? Check::head : Check::full;
  traffic.rewrite = options_.rewrite;
  traffic.interrupt = options_.interrupt;
  traffic.latency = options_.mode == Mode::latency;
  traffic.give_up = options_.guest.timeout;
  traffic.watched = moving_;
  if (moving_ != nullptr) traffic.quiet = quiet_while_it_moves;
  // Flows to one guest share its buffers, and a switch may put all of them into one queue.
  const auto sharing = static_cast<std::uint32_t>(options_.bidirectional ? flow_count / 2 : flow_count);
  const std::uint32_t buffers = endpoints_.back()->capacity(frame_bytes) / std::max(sharing, 1U);
  // One less, to have room for the packet that finds out whether others still arrive.
  traffic.in_flight = options_.in_flight.value_or(traffic.latency ? 1 : std::max(buffers, 2U) - 1);
  return traffic;
}

std::unique_ptr<Traffic> Side::make_traffic(const std::vector<FlowSpec>& flows, const TrafficOptions& options) {
  TrafficOptions numbered = options;
  numbered.first_stream = next_stream_;
  next_stream_ = static_cast<std::uint16_t>(next_stream_ + flows.size());
  return std::make_unique<Traffic>(flows, receivers(), numbered);
}

Result<void> Side::begin(std::uint32_t frame_bytes) {
  resume();
  const auto specs = flows();
  const auto options = traffic_options(frame_bytes, specs.size());
  const auto greeting = make_traffic(greetings(), options);
  if (auto greeted = greeting->greet(options_.guest.timeout); !greeted) return greeted;
  greeting->drain();
  traffic_ = make_traffic(specs, options);
  return {};
}

Result<Round> Side::round(std::chrono::nanoseconds duration) {
  resume();
  traffic_->run(std::min(warm_up_max, duration / 5));
  const Round round = traffic_->run(duration);
  traffic_->drain();
  if (auto healthy = health(); !healthy) return healthy.error();
  return round;
}

Result<void> Side::health() {
  for (const auto& endpoint : endpoints_)
    if (auto healthy = endpoint->health(); !healthy) return healthy;
  return {};
}

}  // namespace vhostx::tools::bench
