// SPDX-License-Identifier: BSD-3-Clause
#include "tests/systemd/fake_systemd.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <map>
#include <sstream>
#include <stdexcept>
#include <unistd.h>

#include <linux/kcmp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

namespace vhostx::systemd {
namespace {

constexpr int first_passed = 3;  // SD_LISTEN_FDS_START
constexpr int above_passed = 500;

UniqueFd copy_of(int fd) { return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

bool same_open_file(int a, int b) { return ::syscall(SYS_kcmp, ::getpid(), ::getpid(), KCMP_FILE, a, b) == 0; }

std::map<std::string, std::string> fields_of(const std::string& message) {
  std::map<std::string, std::string> fields;
  std::istringstream lines(message);
  for (std::string line; std::getline(lines, line);) {
    const auto equals = line.find('=');
    fields[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return fields;
}

std::vector<UniqueFd> descriptors_of(msghdr& header) {
  std::vector<UniqueFd> fds;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t at = CMSG_LEN(0); at + sizeof(int) <= part->cmsg_len; at += sizeof(int)) {
      int fd = -1;
      std::memcpy(&fd, reinterpret_cast<const char*>(part) + at, sizeof fd);
      fds.emplace_back(fd);
    }
  }
  return fds;
}

}  // namespace

void FakeStore::add(const std::string& name, UniqueFd fd) {
  const bool there = std::any_of(entries_.begin(), entries_.end(),
                                 [&](const Stored& entry) { return same_open_file(entry.fd.get(), fd.get()); });
  if (!there) entries_.push_back({name, std::move(fd)});
}

void FakeStore::remove(const std::string& name) {
  std::erase_if(entries_, [&](const Stored& entry) { return entry.name == name; });
}

std::vector<std::string> FakeStore::names() const {
  std::vector<std::string> names;
  for (const Stored& entry : entries_) names.push_back(entry.name);
  return names;
}

std::vector<Stored> FakeStore::handed_over() const {
  std::vector<Stored> copies;
  for (const Stored& entry : entries_) copies.push_back({entry.name, copy_of(entry.fd.get())});
  return copies;
}

Result<void> FakeManager::store(const std::string& name, int fd) {
  step();
  store_.add(name, copy_of(fd));
  step();
  return {};
}

Result<void> FakeManager::remove(const std::string& name) {
  step();
  store_.remove(name);
  step();
  return {};
}

Result<void> FakeManager::settle() {
  step();
  return {};
}

FakeSystemd::FakeSystemd() : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path_.copy(address.sun_path, sizeof address.sun_path - 1);
  if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("no notify socket at " + path_);
}

std::vector<std::string> FakeSystemd::read_all() {
  std::vector<std::string> messages;
  while (read_one(messages)) continue;
  return messages;
}

bool FakeSystemd::read_one(std::vector<std::string>& messages) {
  std::array<char, 4096> text{};
  alignas(cmsghdr) std::array<char, 1024> control{};
  iovec place{text.data(), text.size()};
  msghdr header{};
  header.msg_iov = &place;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const ssize_t bytes = ::recvmsg(socket_.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (bytes < 0) return false;
  messages.emplace_back(text.data(), static_cast<std::size_t>(bytes));
  handle(messages.back(), descriptors_of(header));
  return true;
}

/// A barrier's descriptor is closed, which is its answer.
void FakeSystemd::handle(const std::string& message, std::vector<UniqueFd> fds) {
  auto fields = fields_of(message);
  if (fields["FDSTOREREMOVE"] == "1") store_.remove(fields["FDNAME"]);
  if (fields["FDSTORE"] == "1")
    for (UniqueFd& fd : fds) store_.add(fields["FDNAME"], std::move(fd));
}

int FakeSystemd::run_service(const std::function<void()>& run, const std::vector<int>& sockets) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      std::vector<std::pair<std::string, int>> named;
      for (const int fd : sockets) named.emplace_back("vm.socket", fd);
      const std::vector<Stored> stored = store_.handed_over();
      for (const Stored& entry : stored) named.emplace_back(entry.name, entry.fd.get());
      ::setenv("NOTIFY_SOCKET", path_.c_str(), 1);
      pass_descriptors(named);
      run();
      std::exit(0);  // tests/coverage sees what it reached
    } catch (const std::exception& error) {
      std::fprintf(stderr, "the service: %s\n", error.what());
      ::_exit(1);
    }
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) throw std::runtime_error("no process for the service");
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

UniqueFd out_of_the_way(UniqueFd fd) { return UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, above_passed)); }

// Out of the way first: one's place may be another's number.
void pass_descriptors(const std::vector<std::pair<std::string, int>>& named) {
  if (named.empty()) return;
  std::vector<int> copies;
  std::string names;
  for (const auto& [name, fd] : named) {
    copies.push_back(::fcntl(fd, F_DUPFD, above_passed));
    names += (names.empty() ? "" : ":") + name;
  }
  for (std::size_t i = 0; i < copies.size(); ++i) {
    ::dup2(copies[i], first_passed + static_cast<int>(i));
    ::close(copies[i]);
  }
  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  ::setenv("LISTEN_FDS", std::to_string(named.size()).c_str(), 1);
  ::setenv("LISTEN_FDNAMES", names.c_str(), 1);
}

}  // namespace vhostx::systemd
