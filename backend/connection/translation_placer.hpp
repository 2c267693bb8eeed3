// SPDX-License-Identifier: BSD-3-Clause
// TranslationPlacer: moves a port's translation table, which all its rings read, to the node of most of them.
#pragma once

#include <memory>

#include <vhostx/placement.hpp>
#include <vhostx/port.hpp>

#include "memory/guest_memory.hpp"
#include "numa/kernel.hpp"

namespace vhostx::backend {

/// Control thread.
class TranslationPlacer {
 public:
  TranslationPlacer(const PortOptions& options, const numa::Kernel& kernel) noexcept
      : kernel_(kernel), follows_(options.numa == NumaPolicy::follow && kernel.has_several_nodes()) {}

  /// `rings`: how many run on which node. Pages that could not be moved are tried again the next time.
  void follow(const std::shared_ptr<const memory::GuestMemory>& memory, const NodeHistogram& rings);

 private:
  const numa::Kernel& kernel_;
  const bool follows_;
  std::weak_ptr<const memory::GuestMemory> placed_;  // the table that is on node_
  int node_ = no_node;
};

}  // namespace vhostx::backend
