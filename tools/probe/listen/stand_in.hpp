// SPDX-License-Identifier: BSD-3-Clause
// StandIn: a back-end that answers and does nothing: it offers what it is told to, accepts what comes, and touches
// neither memory nor rings.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "base/unique_fd.hpp"
#include "protocol/codec.hpp"
#include "protocol/features.hpp"

namespace vhostx::tools::probe {

struct StandInOptions {
  protocol::FeatureSet features;  ///< VHOST_USER_F_PROTOCOL_FEATURES is offered with them.
  protocol::ProtocolFeatureSet protocol_features;
  std::uint64_t queue_pairs = 1;
  std::uint64_t memory_slots = 509;
  std::uint16_t mtu = 1500;
};

/// Everything that a network front-end may want but IOMMU_PLATFORM, with which ring addresses are no addresses of
/// memory.
protocol::FeatureSet stand_in_features() noexcept;
/// What StandIn can answer.
protocol::ProtocolFeatureSet stand_in_protocol_features() noexcept;

/// Serves one connection, in a thread of its own, until the front-end leaves. Pure but for its in-flight memory.
class StandIn {
 public:
  StandIn(UniqueFd socket, const StandInOptions& options);
  StandIn(const StandIn&) = delete;
  StandIn& operator=(const StandIn&) = delete;
  /// Closes the connection if it is there still.
  ~StandIn();

  /// The front-end has left; nothing of it is used any more.
  bool over() const noexcept { return over_; }

  /// The answer to a request; none where none is due. What is no request of a front-end's is answered with an error
  /// if it wants an answer.
  std::optional<protocol::Message> answer(const protocol::Message& request);

 private:
  void serve();
  std::optional<protocol::Message> answer_of_its_own(const protocol::Message& request);
  protocol::Message config(const protocol::Message& request) const;
  protocol::Message in_flight(const protocol::Message& request) const;

  StandInOptions options_;
  std::mutex mutex_;  ///< Of socket_, which serve() closes and ~StandIn() shuts down.
  UniqueFd socket_;
  std::uint64_t status_ = 0;
  std::map<std::uint32_t, std::uint32_t> bases_;
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

}  // namespace vhostx::tools::probe
