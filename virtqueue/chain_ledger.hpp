// SPDX-License-Identifier: BSD-3-Clause
// ChainLedger: in debug builds, counts the chains that a burst has taken and has yet to settle.
#pragma once

#include <cassert>

namespace vhostx::virtqueue {

/// A chain that was taken is given back, kept, or put back by a rewind. One that is lost is missing in the guest's ring
/// until its driver starts anew, so check() asserts that there is none. Builds with NDEBUG count nothing.
class ChainLedger {
 public:
#ifdef NDEBUG
  void add(int) noexcept {}
  void check() const noexcept {}
#else
  void add(int chains) noexcept { open_ += chains; }
  void check() const noexcept { assert(open_ == 0 && "a chain was taken and neither given back, kept nor rewound"); }

 private:
  int open_ = 0;
#endif
};

}  // namespace vhostx::virtqueue
