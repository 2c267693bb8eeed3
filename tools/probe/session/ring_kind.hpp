// SPDX-License-Identifier: BSD-3-Clause
// What a session's rings are called and what their bases say: split ones, or packed ones (VIRTIO 1.2, 2.7 and 2.8).
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "protocol/codec.hpp"
#include "protocol/message.hpp"
#include "tools/probe/session/rules.hpp"
#include "tools/probe/session/session.hpp"

namespace vhostx::tools::probe {

/// VIRTIO_F_RING_PACKED was negotiated.
bool is_packed(const SessionState& state) noexcept;

/// Of the areas that SET_VRING_ADDR calls descriptor, available and used.
struct AreaKind {
  const char* name;
  std::uint64_t bytes;  ///< With room for event indices.
  std::uint64_t alignment;
};
std::array<AreaKind, 3> area_kinds(bool packed, std::uint32_t size) noexcept;

/// What SET_VRING_BASE and GET_VRING_BASE say of a packed ring.
struct PackedBase {
  std::uint32_t base;

  std::uint32_t available() const noexcept { return base & 0x7fff; }
  bool available_wrap() const noexcept { return (base & 0x8000) != 0; }
  std::uint32_t used() const noexcept { return base >> 16 & 0x7fff; }
  bool used_wrap() const noexcept { return base >> 31 != 0; }
  /// Some front-ends and back-ends use the lower half alone.
  bool has_used() const noexcept { return base >> 16 != 0; }
};
/// "available 5 wrap 1, used 3 wrap 1", or of a split ring its number.
std::string text_of_base(bool packed, std::uint32_t base);

/// What a message means with packed rings, to stand behind its description; empty: nothing else.
std::string meaning_with_packed_rings(protocol::Incoming way, const protocol::Message& message);

/// A base of a packed ring outside of it.
void judge_base(const SessionState& state, std::uint32_t index, const RingView& ring, Findings& findings);

}  // namespace vhostx::tools::probe
