// SPDX-License-Identifier: BSD-3-Clause
// systemd's part: a descriptor store by its rules, asked directly or through a notify socket, and processes of a
// service.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.hpp"
#include "systemd/service_manager.hpp"
#include "tests/continuity/keeper_fixture.hpp"

namespace vhostx::systemd {

/// The rules of service_add_fd_store() and service_remove_fd_store(): an open file is there once, under its first name;
/// several may have one name, and a removal takes all of them.
class FakeStore {
 public:
  void add(const std::string& name, UniqueFd fd);
  void remove(const std::string& name);
  std::size_t size() const noexcept { return entries_.size(); }
  std::vector<std::string> names() const;
  /// For the next process.
  std::vector<Stored> handed_over() const;

 private:
  std::vector<Stored> entries_;
};

/// The process ended here.
struct Killed {};

/// Asks a FakeStore. May end the process before or after a request, by throwing Killed.
class FakeManager final : public ServiceManager {
 public:
  static constexpr std::size_t never = std::numeric_limits<std::size_t>::max();

  /// `lives`: steps before it ends; each request has two, before and after it is sent.
  explicit FakeManager(FakeStore& store, std::size_t lives = never) noexcept : store_(store), lives_(lives) {}

  Result<void> store(const std::string& name, int fd) override;
  Result<void> remove(const std::string& name) override;
  Result<void> settle() override;

 private:
  void step() {
    if (lives_-- == 0) throw Killed{};
  }

  FakeStore& store_;
  std::size_t lives_;
};

/// A notify socket, which a test reads by hand, with the store behind it.
class FakeSystemd {
 public:
  FakeSystemd();

  const std::string& socket_path() const noexcept { return path_; }
  FakeStore& store() noexcept { return store_; }
  /// Handles what has been sent. Returns the messages as they came.
  std::vector<std::string> read_all();

  /// Runs `run` in a process that the service would be: NOTIFY_SOCKET is set, and it gets what is in the store, after
  /// `sockets` as activated ones. Returns its exit code, or minus the signal that ended it; `run` returning is 0.
  int run_service(const std::function<void()>& run, const std::vector<int>& sockets = {});

 private:
  bool read_one(std::vector<std::string>& messages);
  void handle(const std::string& message, std::vector<UniqueFd> fds);

  continuity::Folder folder_;
  const std::string path_ = folder_.path("notify");
  UniqueFd socket_;
  FakeStore store_;
};

/// The same descriptor under a number above those that a process of the service is given: it is not replaced there.
UniqueFd out_of_the_way(UniqueFd fd);

/// What a process finds in its environment: descriptors from 3 on, with these names; nothing where there are none.
void pass_descriptors(const std::vector<std::pair<std::string, int>>& named);

}  // namespace vhostx::systemd
