// SPDX-License-Identifier: BSD-3-Clause
// A keeper on a thread of the test, clients, and processes that are clients and end as the test wants.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/event_fd.hpp"
#include "base/unique_fd.hpp"
#include "continuity/keeper.hpp"
#include "continuity/keeper_client.hpp"

namespace vhostx::continuity {

/// For what happens at once unless something is wrong.
inline constexpr std::chrono::seconds generous{60};

/// A folder that is removed with all that is in it.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

class KeeperThread {
 public:
  explicit KeeperThread(KeeperOptions options);
  ~KeeperThread() { stop(); }
  KeeperThread(const KeeperThread&) = delete;
  KeeperThread& operator=(const KeeperThread&) = delete;

  /// Ends the keeper: its socket and all that it holds are gone.
  void stop();
  /// Returns once an event of this kind has come that no earlier call has returned for.
  KeeperEvent wait_for(KeeperEvent::Kind kind);

 private:
  std::mutex lock_;
  std::condition_variable came_;
  std::vector<KeeperEvent> events_;
  EventFd stop_;
  std::unique_ptr<Keeper> keeper_;
  std::thread thread_;
};

/// A child process that runs `run`, then `then`, and waits until it is killed. The constructor returns once `run` has.
class ChildProcess {
 public:
  explicit ChildProcess(const std::function<void()>& run, const std::function<void()>& then = {});
  ~ChildProcess() { kill(); }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  void kill();
  pid_t pid() const noexcept { return pid_; }

 private:
  pid_t pid_ = -1;
};

/// The same file or socket.
bool same_file(int a, int b);
/// A new file in memory.
UniqueFd memory_file();
/// Two connected stream sockets.
std::pair<UniqueFd, UniqueFd> socket_pair();
/// Descriptors that this process has open.
std::size_t open_descriptors();
/// Waits for it: a keeper may have something left to do.
void expect_open_descriptors(std::size_t expected);

class KeeperTest : public testing::Test {
 protected:
  /// Fails the test where the keeper does not take it.
  KeeperClient client() const;
  KeeperOptions options() const;
  /// The next event, waited for.
  static KeeperEventOfClient event_of(KeeperClient& client);
  template <typename T>
  static T next(KeeperClient& client) {
    auto event = event_of(client);
    if (auto* const wanted = std::get_if<T>(&event)) return std::move(*wanted);
    ADD_FAILURE() << "another event came: " << event.index();
    return {};
  }
  /// Returns once the keeper has handled all that the client has sent.
  static void settle(KeeperClient& client) { ASSERT_TRUE(client.list().ok()); }

  Folder folder_;
  const std::string path_ = folder_.path("keeper.sock");
};

}  // namespace vhostx::continuity
