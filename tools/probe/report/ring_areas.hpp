// SPDX-License-Identifier: BSD-3-Clause
// The three areas of a ring (VIRTIO 1.2, 2.6): what they are called, where they are and how long.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "tools/probe/session/session.hpp"

namespace vhostx::tools::probe {

struct RingArea {
  const char* name = "";
  char letter = ' ';  ///< In drawings: D, A, U.
  std::uint64_t address = 0;
  std::uint64_t bytes = 0;
  std::optional<std::size_t> region;  ///< In SessionState::regions, where it begins; none: they do not hold all of it.
  std::size_t last_region = 0;        ///< Where it ends; these two where `region` is known.
  std::uint64_t guest_address = 0;
};

/// Descriptors, available, used. None: the ring's addresses were not set.
std::optional<std::array<RingArea, 3>> areas_of(const SessionState& state, const RingView& ring);

/// With VIRTIO_F_IOMMU_PLATFORM rings have I/O addresses, which regions say nothing of.
bool has_io_addresses(const SessionState& state) noexcept;

/// "0–3, 7" for ascending numbers.
std::string ranges_of(const std::vector<std::uint32_t>& numbers);

}  // namespace vhostx::tools::probe
