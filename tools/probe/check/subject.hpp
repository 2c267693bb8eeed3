// SPDX-License-Identifier: BSD-3-Clause
// Subject: the back-end that is checked, and what is known of it before the first check.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include <vhostx/result.hpp>

#include "protocol/features.hpp"
#include "tools/probe/check/verdict.hpp"

namespace vhostx::tools::probe {

struct Subject {
  std::string path;
  std::string second;  ///< Another socket of it: what a guest sends there arrives at `path`. Empty: there is none.
  std::chrono::milliseconds timeout{5000};  ///< For each reply, and for each buffer to be used.

  bool packed = false;                    ///< The check's guests have packed rings: see packed_checks.cpp.
  bool net = false;                       ///< A network device.
  bool loops = false;                     ///< It returns what a guest sends.
  int pid = 0;                            ///< Of the process that listens; 0: not known.
  protocol::FeatureSet features;          ///< GET_FEATURES
  protocol::ProtocolFeatureSet protocol;  ///< GET_PROTOCOL_FEATURES; empty where there are none.
  std::uint64_t queue_pairs = 1;          ///< GET_QUEUE_NUM; of other devices: queues.
};

/// How long it is waited to see that something does not happen, where no event can tell.
inline constexpr std::chrono::milliseconds quiet_time{50};

/// Asks a back-end what it is. `net` overrides the guess from its features. Error: nobody answers.
Result<void> explore(Subject& subject, std::optional<bool> net);

// ---- the end of a check that does not apply
void need_net(const Subject& subject);
void need_offered(const Subject& subject, protocol::VirtioFeature feature);
void need_offered(const Subject& subject, protocol::ProtocolFeature feature);
void need_queue_pairs(const Subject& subject, std::uint64_t pairs);

}  // namespace vhostx::tools::probe
