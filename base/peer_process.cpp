// SPDX-License-Identifier: BSD-3-Clause
#include "base/peer_process.hpp"

#include <array>
#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>
#include <sys/socket.h>

#include "base/unique_fd.hpp"

namespace vhostx {
namespace {

/// Its name as the kernel has it, up to 15 bytes. A process chooses it: control characters are replaced.
std::string name_of_process(int pid) {
  const UniqueFd file(::open(fmt::format("/proc/{}/comm", pid).c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 64> bytes;
  const auto got = file ? ::read(file.get(), bytes.data(), bytes.size()) : 0;
  std::string name(bytes.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  if (!name.empty() && name.back() == '\n') name.pop_back();
  for (char& byte : name)
    if (static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f) byte = '?';
  return name;
}

}  // namespace

int peer_pid(int socket) noexcept {
  ucred peer{};
  socklen_t length = sizeof peer;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.pid > 0 ? peer.pid : 0;
}

std::string describe_process(int pid) {
  if (pid <= 0) return "an unknown process";
  if (pid == ::getpid()) return "this process";
  const std::string name = name_of_process(pid);
  return name.empty() ? fmt::format("pid {}", pid) : fmt::format("{} (pid {})", name, pid);
}

}  // namespace vhostx
