// SPDX-License-Identifier: BSD-3-Clause
// The socket that a keeper listens on, and its file.
#pragma once

#include <string>
#include <utility>

#include <sys/types.h>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"

namespace vhostx::continuity {

/// Owns the file: removes it at its end, unless somebody has replaced it.
class KeeperSocket {
 public:
  /// Listens on a file of mode 0600. Replaces a stale file: two keepers that do so at once cannot both succeed, as the
  /// folder is locked meanwhile (flock). Errors: as Keeper::create().
  static Result<KeeperSocket> listen(const std::string& path);
  KeeperSocket(KeeperSocket&& other) noexcept = default;
  KeeperSocket& operator=(KeeperSocket&& other) = delete;
  ~KeeperSocket();

  int get() const noexcept { return socket_.get(); }
  /// Whether `socket` is a client's end of a connection to this one.
  bool is_peer_of(int socket) const noexcept;

 private:
  KeeperSocket(UniqueFd socket, std::string path, dev_t device, ino_t inode)
      : socket_(std::move(socket)), path_(std::move(path)), device_(device), inode_(inode) {}

  UniqueFd socket_;
  std::string path_;
  dev_t device_;
  ino_t inode_;
};

}  // namespace vhostx::continuity
