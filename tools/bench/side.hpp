// SPDX-License-Identifier: BSD-3-Clause
// Side: one back-end with its guests, loaded in rounds.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tools/bench/moving_endpoint.hpp"
#include "tools/bench/options.hpp"
#include "tools/bench/report.hpp"
#include "tools/bench/traffic.hpp"

namespace vhostx::tools::bench {

/// The guest's number of a side: 0 or 1.
MacAddress mac_of(std::size_t guest) noexcept;
GuestOptions guest_at(const EndpointSpec& spec, const Options& options);

class Side {
 public:
  /// Connects every endpoint.
  static Result<std::unique_ptr<Side>> open(const SideSpec& spec, const Options& options);
  /// Resumes a stopped process.
  ~Side();
  Side(const Side&) = delete;
  Side& operator=(const Side&) = delete;

  const std::string& label() const noexcept { return spec_.label; }
  std::vector<std::string> describe() const;
  /// Whether frames of this length can be sent and received. The error says why not.
  Result<void> can_carry(std::uint32_t frame_bytes) const;

  /// Before rounds with this frame length: sends frames until some get through.
  Result<void> begin(std::uint32_t frame_bytes);
  /// Warms up, then loads the back-end for `duration`, which is measured, then waits for packets in flight.
  Result<Round> round(std::chrono::nanoseconds duration);
  /// The same for a guest that migrates: loads the back-end without its log for a quarter of `duration` and with it for
  /// half, then moves the guest to the other place of the two, and waits until packets arrive there.
  Result<Move> migrate(std::chrono::nanoseconds duration);
  /// After the last round: the totals of all rounds.
  Counts counts() const { return traffic_->counts(); }
  const LatencyHistogram& latency() const { return traffic_->latency(); }

  /// Stops the back-end's process while the other back-end has its turn, or resumes it. Does nothing without a process.
  void pause() noexcept { signal_process(true); }
  void resume() noexcept { signal_process(false); }

 private:
  Side(SideSpec spec, const Options& options) : spec_(std::move(spec)), options_(options) {}
  void signal_process(bool stop) noexcept;
  std::vector<FlowSpec> flows() const;
  /// These, and one in the other direction if there is none: a learning switch must have seen both guests.
  std::vector<FlowSpec> greetings() const;
  std::vector<Endpoint*> receivers() const;
  TrafficOptions traffic_options(std::uint32_t frame_bytes, std::size_t flow_count) const;
  std::unique_ptr<Traffic> make_traffic(const std::vector<FlowSpec>& flows, const TrafficOptions& options);
  Result<void> open_all();
  Round run_until_some(std::chrono::nanoseconds duration);
  Result<void> await_arrival_after(Traffic::Clock::time_point time);
  Result<void> health();
  bool sends() const noexcept { return options_.mode != Mode::rx; }

  SideSpec spec_;
  const Options& options_;
  bool stopped_ = false;
  std::uint16_t next_stream_ = 1024;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  MovingEndpoint* moving_ = nullptr;  ///< The last of them, where it migrates.
  EndpointSpec here_;                 ///< Where it is,
  EndpointSpec elsewhere_;            ///< ... and goes next.
  std::unique_ptr<Traffic> traffic_;
};

}  // namespace vhostx::tools::bench
