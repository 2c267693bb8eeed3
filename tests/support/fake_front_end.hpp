// SPDX-License-Identifier: BSD-3-Clause
// FakeFrontEnd: the front-end of tools/front_end, which can also send what no decent front-end would.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include "tools/front_end/front_end.hpp"

namespace vhostx::test {

using tools::duplicate;

class FakeFrontEnd : public tools::FrontEnd {
 public:
  using FrontEnd::FrontEnd;
  explicit FakeFrontEnd(FrontEnd front_end) noexcept : FrontEnd(std::move(front_end)) {}

  static Result<FakeFrontEnd> connect(const std::string& path,
                                      std::chrono::milliseconds timeout = std::chrono::seconds(10));
  static Result<FakeFrontEnd> accept(const UniqueFd& listener,
                                     std::chrono::milliseconds timeout = std::chrono::seconds(10));

  /// Bytes as they are; the first of them carries `fds`.
  Result<void> send_bytes(std::span<const std::byte> bytes, const protocol::FdList& fds = {});
  /// True: the back-end closed the connection within the timeout (messages before that are read and dropped).
  bool closed_by_peer();
};

}  // namespace vhostx::test
