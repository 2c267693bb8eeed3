// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/processes.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <dirent.h>
#include <fstream>
#include <memory>
#include <unistd.h>

#include <climits>

#include "base/error.hpp"
#include "tools/probe/socket_users.hpp"

namespace vhostx::tools::probe {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

/// Entries whose names are numbers, ascending. Error: errno.
Result<std::vector<int>> numbers_in(const std::string& path) {
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path.c_str()));
  if (!directory) return make_system_error(errno, "reading {}", path);
  std::vector<int> numbers;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string_view name = entry->d_name;
    int number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc() && end == name.data() + name.size()) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::string link_target(const std::string& link) {
  std::array<char, PATH_MAX> target{};
  const auto length = ::readlink(link.c_str(), target.data(), target.size());
  return length < 0 ? std::string() : std::string(target.data(), static_cast<std::size_t>(length));
}

bool has_socket(int pid, const std::string& wanted) {
  const auto fds = descriptors_of(pid);
  return fds && std::any_of(fds->begin(), fds->end(), [&](const Descriptor& each) { return each.target == wanted; });
}

}  // namespace

Result<std::vector<Descriptor>> descriptors_of(int pid) {
  const auto folder = fmt::format("/proc/{}/fd", pid);
  const auto numbers = numbers_in(folder);
  if (!numbers && numbers.error().system_errno == ENOENT) return make_system_error(ESRCH, "process {}", pid);
  if (!numbers) return numbers.error();
  std::vector<Descriptor> fds;
  for (const int fd : *numbers) fds.push_back({fd, link_target(fmt::format("{}/{}", folder, fd))});
  return fds;
}

std::string program_of(int pid) {
  std::string name;
  std::ifstream file(fmt::format("/proc/{}/comm", pid));
  std::getline(file, name);
  return name;
}

Result<int> find_listener(const std::string& path) {
  const auto pids = find_listeners(path);
  if (!pids) return pids.error();
  return pids->front();
}

Result<std::vector<int>> find_listeners(const std::string& path) {
  const auto users = users_of(path);
  if (!users) return users.error();
  if (!users->listening) return make_error(ErrorCode::invalid_argument, "nobody listens there");
  const auto wanted = fmt::format("socket:[{}]", users->listener_inode);
  const auto pids = numbers_in("/proc");
  if (!pids) return pids.error();
  std::vector<int> listeners;
  std::copy_if(pids->begin(), pids->end(), std::back_inserter(listeners),
               [&wanted](int pid) { return has_socket(pid, wanted); });
  if (!listeners.empty()) return listeners;
  return make_error(
      ErrorCode::unsupported,
      "the process that listens there cannot be identified: run as its user or as root, or give its process number");
}

}  // namespace vhostx::tools::probe
