// SPDX-License-Identifier: BSD-3-Clause
#include "keeper_fixture.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <poll.h>
#include <stdexcept>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/release_pool.hpp"

namespace vhostx::continuity {

Folder::Folder() {
  char name[] = "/tmp/vhostx-keeper-XXXXXX";
  if (::mkdtemp(name) == nullptr) throw std::runtime_error("mkdtemp");
  path_ = name;
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

KeeperThread::KeeperThread(KeeperOptions options) : stop_(EventFd::create().value()) {
  options.on_event = [this](const KeeperEvent& event) {
    const std::lock_guard guard(lock_);
    events_.push_back(event);
    came_.notify_all();
  };
  auto keeper = Keeper::create(std::move(options));
  if (!keeper) throw std::runtime_error(keeper.error().message);
  keeper_ = *std::move(keeper);
  thread_ = std::thread([this] { EXPECT_TRUE(keeper_->run(stop_.get()).ok()); });
}

void KeeperThread::stop() {
  if (!thread_.joinable()) return;
  stop_.signal();
  thread_.join();
  keeper_.reset();
}

KeeperEvent KeeperThread::wait_for(KeeperEvent::Kind kind) {
  std::unique_lock guard(lock_);
  const auto is = [kind](const KeeperEvent& event) { return event.kind == kind; };
  const auto find = [&] { return std::find_if(events_.begin(), events_.end(), is); };
  if (!came_.wait_for(guard, generous, [&] { return find() != events_.end(); })) {
    ADD_FAILURE() << "no event '" << to_string(kind) << "' came";
    return {kind, {}, 0, {}};
  }
  const auto at = find();
  KeeperEvent event = *at;
  events_.erase(at);
  return event;
}

ChildProcess::ChildProcess(const std::function<void()>& run, const std::function<void()>& then) {
  int ready[2];
  if (::pipe(ready) != 0) throw std::runtime_error("pipe");
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    run();
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    if (then) then();
    for (;;) ::pause();
  }
  ::close(ready[1]);
  char byte = 0;
  EXPECT_EQ(::read(ready[0], &byte, 1), 1) << "the child has ended too early";
  ::close(ready[0]);
}

void ChildProcess::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

bool same_file(int a, int b) {
  struct stat first {};
  struct stat second {};
  return ::fstat(a, &first) == 0 && ::fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

UniqueFd memory_file() { return UniqueFd(::memfd_create("kept", MFD_CLOEXEC)); }

std::pair<UniqueFd, UniqueFd> socket_pair() {
  int ends[2] = {-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::size_t open_descriptors() {
  // What keepers closed is closed on other threads.
  for (const auto deadline = std::chrono::steady_clock::now() + generous;
       ReleasePool::pending_in_process() != 0 && std::chrono::steady_clock::now() < deadline;)
    std::this_thread::yield();
  const auto all = std::filesystem::directory_iterator("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

void expect_open_descriptors(std::size_t expected) {
  for (const auto deadline = std::chrono::steady_clock::now() + generous;
       open_descriptors() != expected && std::chrono::steady_clock::now() < deadline;)
    std::this_thread::yield();
  EXPECT_EQ(open_descriptors(), expected);
}

KeeperOptions KeeperTest::options() const {
  KeeperOptions options;
  options.path = path_;
  options.grace = std::chrono::hours(1);
  options.limits.descriptors = 400;
  return options;
}

KeeperClient KeeperTest::client() const {
  auto made = KeeperClient::connect(path_, generous);
  if (!made) throw std::runtime_error(made.error().message);
  return *std::move(made);
}

KeeperEventOfClient KeeperTest::event_of(KeeperClient& client) {
  for (;;) {
    auto event = client.next_event();
    if (!event) throw std::runtime_error(event.error().message);
    if (*event) return **std::move(event);
    pollfd one{client.fd(), POLLIN, 0};
    if (::poll(&one, 1, static_cast<int>(std::chrono::milliseconds(generous).count())) != 1)
      throw std::runtime_error("no event came");
  }
}

}  // namespace vhostx::continuity
