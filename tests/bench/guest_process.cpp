// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/guest_process.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <unistd.h>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <sys/wait.h>

namespace vhostx::bench {
namespace {

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

/// Each message is a socket path, answered with one byte. Ends when nobody is there to ask.
[[noreturn]] void serve(const UniqueFd& commands, const BenchOptions& options) {
  struct Connected {
    std::unique_ptr<BenchGuest> guest;
    BenchGuest::Connection connection;
  };
  std::vector<Connected> guests;
  std::array<char, 256> path;
  for (ssize_t length; (length = ::read(commands.get(), path.data(), path.size())) > 0;) {
    auto guest = std::make_unique<BenchGuest>(options);
    auto connection = guest->connect(std::string(path.data(), static_cast<std::size_t>(length)));
    guests.push_back({std::move(guest), std::move(connection)});
    if (::write(commands.get(), "c", 1) != 1) break;
  }
  ::_exit(0);
}

}  // namespace

GuestProcess::GuestProcess(const BenchOptions& options) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) die("socketpair");
  commands_ = UniqueFd(ends[0]);
  UniqueFd far_end(ends[1]);
  process_ = ::fork();
  if (process_ < 0) die("fork");
  if (process_ > 0) return;
  commands_.reset();
  serve(far_end, options);
}

GuestProcess::~GuestProcess() {
  commands_.reset();
  ::waitpid(process_, nullptr, 0);
}

void GuestProcess::connect(const std::string& socket_path) {
  char answer = 0;
  if (::write(commands_.get(), socket_path.data(), socket_path.size()) < 0) die("guest process");
  if (::read(commands_.get(), &answer, 1) == 1) return;
  std::fputs("bench: the guest process ended\n", stderr);
  std::exit(1);
}

}  // namespace vhostx::bench
