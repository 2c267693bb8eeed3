// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/fake_front_end.hpp"

#include <array>
#include <cerrno>

namespace vhostx::test {

Result<FakeFrontEnd> FakeFrontEnd::connect(const std::string& path, std::chrono::milliseconds timeout) {
  auto connected = FrontEnd::connect(path, timeout);
  if (!connected) return std::move(connected).error();
  return FakeFrontEnd(*std::move(connected));
}

Result<FakeFrontEnd> FakeFrontEnd::accept(const UniqueFd& listener, std::chrono::milliseconds timeout) {
  auto accepted = FrontEnd::accept(listener, timeout);
  if (!accepted) return std::move(accepted).error();
  return FakeFrontEnd(*std::move(accepted));
}

Result<void> FakeFrontEnd::send_bytes(std::span<const std::byte> bytes, const protocol::FdList& fds) {
  return write_all(fd(), bytes, fds);
}

bool FakeFrontEnd::closed_by_peer() {
  while (true) {
    std::array<std::byte, 256> bytes;
    protocol::FdList fds;
    const auto read = read_exactly(fd(), std::span(bytes).first(1), fds);
    if (read) continue;
    return read.error().code == ErrorCode::closed || read.error().system_errno == ECONNRESET;
  }
}

}  // namespace vhostx::test
