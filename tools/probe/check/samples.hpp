// SPDX-License-Identifier: BSD-3-Clause
// A legal example of each request, and a connection on which it may come.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "protocol/request_table.hpp"
#include "tools/probe/check/guest.hpp"

namespace vhostx::tools::probe {

/// What must have been done before the request.
enum class Stage {
  connected,   ///< Protocol features at most.
  negotiated,  ///< SET_OWNER and SET_FEATURES; memory is shared.
  described,   ///< Ring 0 has its size, base and addresses.
};

struct Sample {
  protocol::FrontEndRequest request{};
  Stage stage = Stage::negotiated;
  protocol::ProtocolFeatureSet protocol{};  ///< Negotiated for it.
  protocol::FeatureSet features{};          ///< The same of virtio's.
  bool net = false;                         ///< Of network devices alone.
  /// Makes the message, after what else has to come before it.
  protocol::Message (*make)(Guest& guest) = nullptr;

  std::string name() const { return std::string(protocol::row_of(request).name); }
};

/// Those that a network back-end can take; without post-copy and IOTLB, which need a peer's whole play.
std::span<const Sample> samples();

/// A connection at the sample's stage.
class SampleGuest {
 public:
  /// Ends the check where what the sample needs is not offered.
  SampleGuest(const Subject& subject, const Sample& sample);

  Link& link() noexcept { return bare_ ? *bare_ : guest_->link(); }
  protocol::Message request() { return bare_ ? protocol::make_request(sample_.request) : sample_.make(*guest_); }

 private:
  const Sample& sample_;
  std::optional<Link> bare_;
  std::optional<Guest> guest_;
};

}  // namespace vhostx::tools::probe
