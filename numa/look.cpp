// SPDX-License-Identifier: BSD-3-Clause
#include "numa/look.hpp"

#include <algorithm>
#include <cerrno>

#include "base/page_memory.hpp"

namespace vhostx::numa {
namespace {

std::vector<void*> pages_of(std::span<const std::uint8_t* const> addresses) {
  std::vector<void*> pages;
  pages.reserve(addresses.size());
  for (const auto* address : addresses)
    pages.push_back(reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(address) / page_bytes() * page_bytes()));
  std::sort(pages.begin(), pages.end());
  pages.erase(std::unique(pages.begin(), pages.end()), pages.end());
  return pages;
}

class Counting {
 public:
  Counting(const Kernel& kernel, Untouched untouched) noexcept : kernel_(kernel), untouched_(untouched) {}

  Look count(const std::vector<void*>& pages) {
    // If the bulk query is forbidden, single queries may still be allowed.
    std::vector<int> nodes(pages.size(), -ENOENT);
    if (const int error = kernel_.query(pages, nodes.data()); error != 0) {
      std::fill(nodes.begin(), nodes.end(), -ENOENT);
      look_.error = error;
    }
    const int query_error = look_.error;
    for (std::size_t i = 0; i < pages.size(); ++i) count_page(pages[i], nodes[i]);
    if (query_error != 0 && look_.histogram.unknown == 0) look_.error = 0;
    return std::move(look_);
  }

 private:
  void count_page(const void* page, int status) {
    if (status >= 0) return count_on(look_.histogram, status);
    if (status != -ENOENT && status != -EFAULT) return unknown(-status);
    if (untouched_ == Untouched::if_there) {
      bool resident = false;
      if (const int error = kernel_.is_resident(page, resident); error != 0) return unknown(error);
      if (!resident) {
        ++look_.histogram.absent;
        return;
      }
    }
    int node = no_node;
    if (const int error = kernel_.node_of(page, node); error != 0) return unknown(error);
    count_on(look_.histogram, node);
  }

  void unknown(int error) noexcept {
    ++look_.histogram.unknown;
    look_.error = error;
  }

  const Kernel& kernel_;
  const Untouched untouched_;
  Look look_;
};

}  // namespace

void count_on(NodeHistogram& histogram, int node) {
  auto at = histogram.nodes.begin();
  while (at != histogram.nodes.end() && at->node < node) ++at;
  if (at == histogram.nodes.end() || at->node != node) at = histogram.nodes.insert(at, {node, 0});
  ++at->pages;
}

Look look_at(const Kernel& kernel, std::span<const std::uint8_t* const> addresses, Untouched untouched) {
  return Counting(kernel, untouched).count(pages_of(addresses));
}

Look look_at(const Kernel& kernel, std::span<const MemoryArea> areas) {
  std::vector<const std::uint8_t*> addresses;
  for (const MemoryArea& area : areas)
    for (std::size_t offset = 0; offset < area.bytes; offset += page_bytes())
      addresses.push_back(reinterpret_cast<const std::uint8_t*>(area.address + offset));
  return look_at(kernel, addresses, Untouched::fault_in);
}

void spread_over(const std::uint8_t* begin, std::size_t bytes, std::size_t count,
                 std::vector<const std::uint8_t*>& out) {
  if (bytes == 0 || count == 0) return;
  // Counted in pages, so that regions of terabytes do not overflow.
  const auto first = reinterpret_cast<std::uintptr_t>(begin) / page_bytes();
  const auto pages = (reinterpret_cast<std::uintptr_t>(begin) + bytes - 1) / page_bytes() - first + 1;
  const std::uintptr_t taken = std::min<std::uintptr_t>(pages, count);
  for (std::uintptr_t i = 0; i < taken; ++i) {
    const std::uintptr_t page = taken == 1 ? 0 : i * (pages - 1) / (taken - 1);
    out.push_back(page == 0 ? begin : reinterpret_cast<const std::uint8_t*>((first + page) * page_bytes()));
  }
}

}  // namespace vhostx::numa
