// SPDX-License-Identifier: BSD-3-Clause
// FakeKernel: a machine with as many NUMA nodes as a test wants, whose calls fail when it is told to.
#pragma once

#include <cerrno>
#include <cstdint>
#include <limits>
#include <map>
#include <set>

#include "numa/kernel.hpp"

namespace vhostx::test {

class FakeKernel : public numa::Kernel {
 public:
  static constexpr std::size_t page_bytes = 4096;

  int query_error = 0;  ///< errno of query(), and so on.
  int node_of_error = 0;
  int resident_error = 0;
  int move_error = 0;
  int default_node = 0;   ///< Of pages that put() was not told of.
  int status_of_all = 0;  ///< Negated errno that query() says of each page.
  bool several_nodes = true;
  std::uint32_t room = std::numeric_limits<std::uint32_t>::max();  ///< Pages that may still move.
  mutable std::uint32_t moves = 0;                                 ///< Calls of move().

  void put(const void* begin, std::size_t bytes, int node) {
    for (std::uintptr_t page = page_of(begin); page < reinterpret_cast<std::uintptr_t>(begin) + bytes;
         page += page_bytes)
      nodes_[page] = node;
  }
  /// This process has not touched the page; `there`: somebody else has.
  void untouch(const void* page, bool there) {
    untouched_.insert(page_of(page));
    if (there) resident_.insert(page_of(page));
  }
  /// Pages that were faulted in.
  const std::set<std::uintptr_t>& faulted() const { return faulted_; }

  bool has_several_nodes() const noexcept override { return several_nodes; }
  int node_of(const void* address, int& node) const noexcept override {
    if (node_of_error != 0) return node_of_error;
    if (untouched_.count(page_of(address)) != 0) faulted_.insert(page_of(address));
    node = find(page_of(address));
    return 0;
  }
  int query(std::span<void* const> pages, int* nodes) const noexcept override {
    if (query_error != 0) return query_error;
    for (std::size_t i = 0; i < pages.size(); ++i) nodes[i] = status_of(page_of(pages[i]));
    return 0;
  }
  int is_resident(const void* address, bool& resident) const noexcept override {
    resident = resident_.count(page_of(address)) != 0;
    return resident_error;
  }
  int move(void* address, std::size_t bytes, int node) const noexcept override {
    ++moves;
    if (move_error != 0) return move_error;
    auto& self = const_cast<FakeKernel&>(*this);
    const auto begin = reinterpret_cast<std::uintptr_t>(address);
    for (std::uintptr_t page = begin; page < begin + bytes; page += page_bytes) {
      if (find(page) == node || self.room == 0) continue;
      self.nodes_[page] = node;
      --self.room;
    }
    return 0;
  }

 private:
  static std::uintptr_t page_of(const void* address) {
    return reinterpret_cast<std::uintptr_t>(address) / page_bytes * page_bytes;
  }
  int find(std::uintptr_t page) const {
    const auto at = nodes_.find(page);
    return at == nodes_.end() ? default_node : at->second;
  }
  int status_of(std::uintptr_t page) const {
    if (status_of_all != 0) return status_of_all;
    return untouched_.count(page) != 0 && faulted_.count(page) == 0 ? -ENOENT : find(page);
  }

  std::map<std::uintptr_t, int> nodes_;
  std::set<std::uintptr_t> untouched_;
  std::set<std::uintptr_t> resident_;
  mutable std::set<std::uintptr_t> faulted_;
};

}  // namespace vhostx::test
