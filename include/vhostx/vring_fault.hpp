// SPDX-License-Identifier: BSD-3-Clause
// Why a vring is broken: what the driver did, with the numbers it did it with.
#pragma once

#include <cstdint>

namespace vhostx {

/// What a driver did; `a` and `b` are those of VringFault.
enum class VringFaultCause : std::uint8_t {
  none,                  ///< Nothing.
  avail_index_jump,      ///< avail->idx ran ahead by more than the ring's size. a: avail->idx, b: next expected.
  bad_head,              ///< Too many head indices outside the table. a: head, b: ring size.
  bad_next,              ///< descriptor.next outside its table. a: next, b: table length.
  chain_too_long,        ///< More descriptors than the ring's size, or a loop. a: descriptors walked, b: the bound.
  bad_indirect,          ///< Indirect table: length 0 or no multiple of 16, nested, with NEXT. a: length, b: flags.
  indirect_unsupported,  ///< Indirect descriptor although INDIRECT_DESC was not negotiated. a: address, b: length.
  wrong_direction,  ///< Writable descriptor on a transmit ring, or readable on a receive ring. a: address, b: flags.
  outside_memory,   ///< Buffer or table that guest memory does not contain. a: guest address (of the ring itself: the
                    ///< front-end's), b: length.
  fruitless,        ///< Calls in a row that walked all the descriptors they may and moved no packet: chains of empty
                    ///< descriptors, see "A call ends" at Vring. a: descriptors in the last call, b: calls in a row.
};

/// Name of a cause as it stands in logs, e.g. "bad_next".
constexpr const char* to_string(VringFaultCause cause) noexcept {
  switch (cause) {
    case VringFaultCause::none:
      return "none";
    case VringFaultCause::avail_index_jump:
      return "avail_index_jump";
    case VringFaultCause::bad_head:
      return "bad_head";
    case VringFaultCause::bad_next:
      return "bad_next";
    case VringFaultCause::chain_too_long:
      return "chain_too_long";
    case VringFaultCause::bad_indirect:
      return "bad_indirect";
    case VringFaultCause::indirect_unsupported:
      return "indirect_unsupported";
    case VringFaultCause::wrong_direction:
      return "wrong_direction";
    case VringFaultCause::outside_memory:
      return "outside_memory";
    case VringFaultCause::fruitless:
      return "fruitless";
  }
  return "unknown";
}

/// The offending numbers, as the driver wrote them; their meaning stands beside each cause.
struct VringFault {
  VringFaultCause cause = VringFaultCause::none;  ///< What it was.
  std::uint16_t head = 0;                         ///< Head of the chain concerned, where there is one.
  std::uint64_t a = 0;                            ///< Its meaning stands beside each cause.
  std::uint64_t b = 0;                            ///< Its meaning stands beside each cause.
};

}  // namespace vhostx
