// SPDX-License-Identifier: BSD-3-Clause
#include "numa/kernel.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <numa.h>
#include <numaif.h>

#include <sys/mman.h>

#include "base/page_memory.hpp"

namespace vhostx::numa {
namespace {

constexpr std::size_t nodes_max = 1024;  // more than any kernel's CONFIG_NODES_SHIFT
constexpr std::size_t word_bits = std::numeric_limits<unsigned long>::digits;
using NodeMask = std::array<unsigned long, nodes_max / word_bits>;

void* page_of(const void* address) noexcept {
  return reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(address) / page_bytes() * page_bytes());
}

int errno_of(long result) noexcept { return result < 0 ? errno : 0; }

}  // namespace

// From sysfs, which works even if the calls are forbidden.
bool Kernel::has_several_nodes() const noexcept { return ::numa_num_configured_nodes() > 1; }

int Kernel::node_of(const void* address, int& node) const noexcept {
  return errno_of(::get_mempolicy(&node, nullptr, 0, const_cast<void*>(address), MPOL_F_NODE | MPOL_F_ADDR));
}

int Kernel::query(std::span<void* const> pages, int* nodes) const noexcept {
  if (pages.empty()) return 0;
  return errno_of(::move_pages(0, pages.size(), const_cast<void**>(pages.data()), nullptr, nodes, 0));
}

int Kernel::is_resident(const void* address, bool& resident) const noexcept {
  unsigned char state = 0;
  const int failed = errno_of(::mincore(page_of(address), 1, &state));
  resident = (state & 1) != 0;
  return failed;
}

int Kernel::move(void* address, std::size_t bytes, int node) const noexcept {
  const auto bit = static_cast<std::size_t>(node);
  if (bit >= nodes_max) return EINVAL;
  NodeMask mask{};
  mask[bit / word_bits] = 1UL << bit % word_bits;
  // The kernel uses one bit less than this number.
  return errno_of(::mbind(address, bytes, MPOL_PREFERRED, mask.data(), nodes_max + 1, MPOL_MF_MOVE));
}

const Kernel& kernel() noexcept {
  static const Kernel real;
  return real;
}

}  // namespace vhostx::numa
