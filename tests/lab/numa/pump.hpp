// SPDX-License-Identifier: BSD-3-Clause
// Pump: a thread that sends packets with numbers from guest to guest, without end, until it is told otherwise.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <vhostx/result.hpp>

#include "tools/bench/traffic.hpp"

namespace vhostx::lab {

struct PumpOptions {
  std::uint32_t frame_bytes = 64;  ///< Without FCS.
  std::uint32_t in_flight = 32;    ///< Packets of each flow that were sent and have not arrived.
  double rate_pps = 20000;         ///< Of all flows together; 0: as fast as it goes. More only makes a machine slow.
  int cpu = -1;                    ///< The thread's; -1: any.
};

/// Each guest sends to the next one, the last to the first.
class Pump {
 public:
  /// A frame of each flow has got through, and the thread runs.
  static Result<std::unique_ptr<Pump>> start(const std::vector<tools::bench::Endpoint*>& guests,
                                             const PumpOptions& options);
  ~Pump();

  /// What was counted, after all that was sent has arrived or is lost; then the traffic goes on. With `resume` false it
  /// does not before resume().
  Result<tools::bench::Counts> counts(bool resume = true);
  void resume();

 private:
  Pump(std::vector<tools::bench::Endpoint*> guests, const PumpOptions& options);
  void work();

  std::vector<tools::bench::Endpoint*> guests_;
  PumpOptions options_;
  tools::bench::Traffic traffic_;
  std::mutex mutex_;  ///< Whoever drives the rings holds it.
  std::condition_variable changed_;
  std::atomic<bool> held_{false};
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

}  // namespace vhostx::lab
