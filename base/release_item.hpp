// SPDX-License-Identifier: BSD-3-Clause
// ReleaseItem: one descriptor or one mapping that waits to be released. For base/releases.cpp and the pool.
#pragma once

#include <memory>

#include "base/releases.hpp"

namespace vhostx {

struct ReleaseItem {
  std::shared_ptr<Releases> releases;  ///< Keeps them alive while one of their items waits.
  int fd = -1;
  ReleasedPages pages;
  ReleaseItem* next = nullptr;
};

/// Closes or unmaps, however long that takes, counts the item as no longer pending, and deletes it.
void release(ReleaseItem* item) noexcept;

}  // namespace vhostx
