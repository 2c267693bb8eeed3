// SPDX-License-Identifier: BSD-3-Clause
// A Unix socket that is listened at, and its file.
#pragma once

#include <string>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"

namespace vhostx::tools::probe {

/// Removes its file in the end.
class ListeningSocket {
 public:
  /// A socket that was left behind is replaced. Error: busy (a process listens there, and which; or it
  /// is no socket), system.
  static Result<ListeningSocket> open(const std::string& path);
  ListeningSocket(ListeningSocket&& other) noexcept = default;
  ListeningSocket& operator=(ListeningSocket&&) = delete;
  ~ListeningSocket();

  int fd() const noexcept { return socket_.get(); }
  /// Empty where nobody waits.
  UniqueFd accept() const;

 private:
  ListeningSocket(std::string path, UniqueFd socket) : path_(std::move(path)), socket_(std::move(socket)) {}

  std::string path_;
  UniqueFd socket_;
};

}  // namespace vhostx::tools::probe
