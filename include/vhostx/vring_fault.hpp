// SPDX-License-Identifier: BSD-3-Clause
// Why a vring is broken: what the driver did, with the numbers that it used.
#pragma once

#include <cstdint>

#include <vhostx/cxx20.hpp>

namespace vhostx {

/// What a driver did. `a` and `b` are the members of VringFault.
enum class VringFaultCause : std::uint8_t {
  none,              ///< No fault.
  avail_index_jump,  ///< avail->idx ran ahead by more than the ring's size. a: avail->idx, b: next expected.
  bad_head,          ///< The eighth head index outside the descriptor table since the ring started. a: head, b: ring
                     ///< size.
  bad_next,          ///< descriptor.next outside its table. a: next, b: table length.
  chain_too_long,    ///< More descriptors than the ring's size, or a loop. a: descriptors walked, b: the bound.
  bad_indirect,      ///< Indirect table whose length is 0 or not a multiple of 16, nested, or with NEXT. a: length, b:
                     ///< flags.
  indirect_unsupported,  ///< Indirect descriptor although INDIRECT_DESC was not negotiated. a: address, b: length.
  wrong_direction,  ///< Writable descriptor on a transmit ring, or readable on a receive ring. a: address, b: flags.
  outside_memory,   ///< Buffer or table that is not in guest memory. a: guest address (for the ring itself, the
                    ///< front-end's address of its descriptor table), b: length in bytes.
  fruitless,        ///< Calls that walked all the descriptors that a call may and moved no packet: chains of empty
                    ///< descriptors, see "Bound" at Vring. a: descriptors in the last call, b: number of calls.
};

/// Name of a cause in logs, e.g. "bad_next"; "unknown" for other values.
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

/// A fault, with the numbers as the driver wrote them. Their meaning is given at each cause.
struct VringFault {
  VringFaultCause cause = VringFaultCause::none;  ///< What the driver did.
  std::uint16_t head = 0;  ///< Head index of the chain, its id in a packed ring; 0 where there is none.
  std::uint64_t a = 0;     ///< First number of the cause.
  std::uint64_t b = 0;     ///< Second number of the cause.
};

}  // namespace vhostx
