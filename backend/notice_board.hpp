// SPDX-License-Identifier: BSD-3-Clause
// NoticeBoard: keeps a port's PortNotice, which `vhostx-probe rings` reads from outside.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/port_notice.hpp"

namespace vhostx::backend {

/// Control thread, but create().
class NoticeBoard {
 public:
  /// Null: there is no memory, or no memfd_create(2). The port works without; it cannot be looked into then.
  static std::unique_ptr<NoticeBoard> create(const std::string& socket_path, std::uint16_t vrings) noexcept;
  ~NoticeBoard();
  NoticeBoard(const NoticeBoard&) = delete;
  NoticeBoard& operator=(const NoticeBoard&) = delete;

  /// `change` gets the notice and its vrings as they are; a reader sees all of its changes or none.
  template <typename Change>
  void update(Change change) noexcept {
    begin();
    change(notice_, std::span(reinterpret_cast<VringNotice*>(&notice_ + 1), notice_.vrings));
    end();
  }

 private:
  NoticeBoard(PortNotice& notice, std::size_t bytes) noexcept : notice_(notice), bytes_(bytes) {}
  void begin() noexcept;
  void end() noexcept;

  PortNotice& notice_;
  const std::size_t bytes_;
};

}  // namespace vhostx::backend
