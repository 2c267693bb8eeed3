// SPDX-License-Identifier: BSD-3-Clause
// Traffic: drives both ends of flows on one thread, counts packets, and checks what arrives.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <poll.h>
#include <vector>

#include <vhostx/result.hpp>

#include "tools/bench/endpoint.hpp"
#include "tools/bench/frame.hpp"
#include "tools/bench/latency_histogram.hpp"
#include "tools/bench/sequence_tracker.hpp"

namespace vhostx::tools::bench {

/// Frames from one queue of an endpoint to another endpoint, to itself, or (`to` null) to nowhere known.
struct FlowSpec {
  Endpoint* from = nullptr;
  unsigned queue = 0;
  Endpoint* to = nullptr;
  MacAddress source{};
  MacAddress destination{};
};

struct TrafficOptions {
  std::uint32_t frame_bytes = frame_bytes_min;
  std::uint16_t segment_bytes = 0;  ///< Not 0: TCP frames to be segmented.
  std::uint16_t first_stream = 0;   ///< Flows are numbered from here.
  unsigned burst = 32;
  std::uint32_t in_flight = 0;  ///< Limit of packets in flight for each flow; 0: no limit.
  double rate_pps = 0;          ///< Of all flows together; 0: as fast as possible.
  Check check = Check::full;
  bool rewrite = false;                      ///< Write header and frame each time, instead of only what changes.
  bool interrupt = false;                    ///< Sleep when there is nothing to do.
  bool latency = false;                      ///< Record how long packets take, and when none comes.
  Endpoint* watched = nullptr;               ///< Whose arrivals have their times looked at; it may rest for a while.
  std::chrono::microseconds quiet{50'000};   ///< drain(): after this time without arrivals it sends another packet.
  std::chrono::milliseconds give_up{10000};  ///< After this time without progress it gives up.
};

struct Counts {
  std::uint64_t sent = 0;
  std::uint64_t taken = 0;     ///< By the back-end from the sending queues.
  std::uint64_t received = 0;  ///< Different packets of ours, intact.
  std::uint64_t lost = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t reordered = 0;
  std::uint64_t late = 0;  ///< Too late to count: see SequenceTracker.
  std::uint64_t damaged = 0;
  std::uint64_t foreign = 0;

  Counts& operator+=(const Counts& other) noexcept;
};

/// What happened between two moments.
struct Round {
  double seconds = 0;
  double idle_seconds = 0;    ///< Of these, in turns in which nothing could be sent or received.
  std::uint64_t packets = 0;  ///< Arrived; without a receiver: taken; without a sender: all received.
  std::uint64_t bytes = 0;    ///< Of frames, without FCS.
  std::uint64_t sent = 0;     ///< Packets, whether they arrived or not.
  /// With TrafficOptions::latency: the longest time between two arrivals. Begin and end of the round count as one each.
  double longest_gap_seconds = 0;

  Round& operator+=(const Round& other) noexcept;
};

class Traffic {
 public:
  using Clock = std::chrono::steady_clock;
  /// Between two arrivals that followed each other.
  struct Gap {
    Clock::time_point begin;
    Clock::time_point end;
  };

  Traffic(const std::vector<FlowSpec>& flows, std::vector<Endpoint*> receivers, const TrafficOptions& options);

  /// Sends frames until one of each flow has arrived, or (without flows) waits until a frame arrives.
  Result<void> greet(std::chrono::milliseconds timeout);
  Round run(std::chrono::nanoseconds duration);
  /// Waits until all packets have arrived. If some are missing it sends further packets: rings and switches keep the
  /// order of a flow, so packets that have not arrived before these are lost.
  void drain();

  Counts counts() const;
  const LatencyHistogram& latency() const noexcept { return latency_; }

  /// Looks for the longest gap of the watched endpoint from now on.
  void begin_gaps(Clock::time_point now = Clock::now()) noexcept {
    longest_gap_ = {now, now};
    last_arrival_ = now;
  }
  Gap longest_gap() const noexcept { return longest_gap_; }
  Clock::time_point last_arrival() const noexcept { return last_arrival_; }

 private:
  struct Flow {
    Flow(const FlowSpec& what, const FrameSpec& frame)
        : spec(what), form(frame), taken_before(what.from->taken(what.queue)) {}

    std::uint64_t under_way() const noexcept { return sent - tracker.next(); }
    bool all_taken() const noexcept { return spec.from->taken(spec.queue) - taken_before == sent; }
    bool all_arrived() const noexcept { return all_taken() && (spec.to == nullptr || tracker.received() == sent); }
    /// The last packet sent has arrived, so no other will.
    bool settled() const noexcept { return spec.to != nullptr && tracker.next() == sent; }

    FlowSpec spec;
    FrameTemplate form;
    std::uint64_t taken_before;
    std::uint64_t sent = 0;
    std::uint64_t next_seen = 0;             ///< tracker.next() when it last moved, at
    Clock::time_point moved = Clock::now();  ///< ... this time.
    SequenceTracker tracker;
  };
  struct Moved {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
  };

  unsigned send_all(Clock::time_point now) noexcept;
  unsigned room_of(Flow& flow, Clock::time_point now) const noexcept;
  unsigned send(Flow& flow, unsigned count, Clock::time_point now) noexcept;
  unsigned receive_all() noexcept;
  void notify() noexcept;
  void take(const ReceivedFrame& frame, std::uint64_t now_ns) noexcept;
  void note_arrival(Clock::time_point now) noexcept;
  void begin_pace(Clock::time_point now) noexcept;
  double due(Clock::time_point now) noexcept;
  Clock::time_point next_due(Clock::time_point now) noexcept;
  void sleep(Clock::time_point until) noexcept;
  Moved moved() noexcept;
  std::uint64_t sent_in_all() const noexcept;
  Error nothing_came(std::chrono::milliseconds timeout) const;
  template <typename Predicate>
  bool all(Predicate predicate) const noexcept {
    return std::all_of(flows_.begin(), flows_.end(), [&](const auto& flow) { return predicate(*flow); });
  }

  TrafficOptions options_;
  std::vector<Endpoint*> receivers_;
  std::vector<Endpoint*> endpoints_;  ///< Receivers and senders.
  std::vector<pollfd> wait_fds_;      ///< Theirs.
  std::vector<std::unique_ptr<Flow>> flows_;
  std::size_t first_ = 0;  ///< The flow that goes first, in turn.
  Clock::time_point pace_begin_{};
  double paced_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t received_bytes_ = 0;
  std::uint64_t damaged_ = 0;
  std::uint64_t foreign_ = 0;
  std::uint64_t foreign_bytes_ = 0;
  LatencyHistogram latency_;
  Gap longest_gap_{};
  Clock::time_point last_arrival_{};
  std::array<SendSlot, burst_max> slots_;      ///< Of send().
  std::array<ReceivedFrame, burst_max> came_;  ///< Of receive_all().
};

}  // namespace vhostx::tools::bench
