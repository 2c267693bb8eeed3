// SPDX-License-Identifier: BSD-3-Clause
// FdWatch: notices when a descriptor that it does not own is readable. Asio never closes it.
#pragma once

#include <functional>
#include <memory>

#include <asio/any_io_executor.hpp>

namespace vhostx::backend {

/// Control thread. The descriptor must outlive the watch.
class FdWatch {
 public:
  /// `on_readable` may destroy the watch; it is called once for each arm().
  FdWatch(asio::any_io_executor executor, int fd, std::function<void()> on_readable);
  ~FdWatch();
  FdWatch(const FdWatch&) = delete;
  FdWatch& operator=(const FdWatch&) = delete;

  /// Allocates no memory.
  void arm();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace vhostx::backend
