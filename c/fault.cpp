// SPDX-License-Identifier: BSD-3-Clause
#include <vhostx/c/vring_fault.h>
#include <vhostx/vring_fault.hpp>

namespace vhostx {

static_assert(static_cast<int>(VringFaultCause::none) == VHOSTX_FAULT_NONE);
static_assert(static_cast<int>(VringFaultCause::avail_index_jump) == VHOSTX_FAULT_AVAIL_INDEX_JUMP);
static_assert(static_cast<int>(VringFaultCause::bad_head) == VHOSTX_FAULT_BAD_HEAD);
static_assert(static_cast<int>(VringFaultCause::bad_next) == VHOSTX_FAULT_BAD_NEXT);
static_assert(static_cast<int>(VringFaultCause::chain_too_long) == VHOSTX_FAULT_CHAIN_TOO_LONG);
static_assert(static_cast<int>(VringFaultCause::bad_indirect) == VHOSTX_FAULT_BAD_INDIRECT);
static_assert(static_cast<int>(VringFaultCause::indirect_unsupported) == VHOSTX_FAULT_INDIRECT_UNSUPPORTED);
static_assert(static_cast<int>(VringFaultCause::wrong_direction) == VHOSTX_FAULT_WRONG_DIRECTION);
static_assert(static_cast<int>(VringFaultCause::outside_memory) == VHOSTX_FAULT_OUTSIDE_MEMORY);
static_assert(static_cast<int>(VringFaultCause::fruitless) == VHOSTX_FAULT_FRUITLESS);

}  // namespace vhostx

const char* vhostx_fault_cause_name(int cause) {
  return cause < 0 || cause > VHOSTX_FAULT_FRUITLESS ? "unknown"
                                                     : to_string(static_cast<vhostx::VringFaultCause>(cause));
}
