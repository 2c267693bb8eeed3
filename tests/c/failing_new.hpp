// SPDX-License-Identifier: BSD-3-Clause
// operator new that fails when it is told to, on the thread that told it.
#pragma once

namespace vhostx::test {

/// While one lives, allocation number `nth` of this thread fails, counted from 1, and all after it.
class FailingNew {
 public:
  explicit FailingNew(int nth) noexcept;
  ~FailingNew();
  FailingNew(const FailingNew&) = delete;
  FailingNew& operator=(const FailingNew&) = delete;

  /// Whether one has failed.
  bool struck() const noexcept;
};

}  // namespace vhostx::test
