// SPDX-License-Identifier: BSD-3-Clause
// Bytes and a number of descriptors through the codec, in all four directions: what decodes must encode to the same
// bytes, and everything that reads a message must stand whatever it holds.
#include <fcntl.h>

#include "fuzz/protocol_input.hpp"
#include "protocol/codec.hpp"
#include "protocol/describe.hpp"
#include "tests/support/decode.hpp"

using namespace vhostx;
using namespace vhostx::protocol;

namespace {

// Not an assert: it must hold in every build.
void require(bool holds) {
  if (!holds) __builtin_trap();
}

std::vector<UniqueFd> some_fds(std::size_t count) {
  std::vector<UniqueFd> fds;
  for (std::size_t i = 0; i < count; ++i) fds.emplace_back(::fcntl(0, F_DUPFD_CLOEXEC, 0));
  return fds;
}

// Printing runs on messages that no check has seen.
void describe_unchecked(Incoming incoming, std::span<const std::byte> bytes) {
  if (bytes.size() < message_header_bytes) return;
  const Header header = decode_header(bytes.first<message_header_bytes>());
  const auto payload = bytes.subspan(message_header_bytes);
  const Message message = make_message(header, payload.first(std::min(payload.size(), payload_bytes_max)));
  require(!describe(incoming, message).empty());
  static_cast<void>(check_message(incoming, message));
  static_cast<void>(vring_index(incoming, message));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const Incoming incoming = fuzz::incoming_of(input.byte());
  const std::size_t fd_count = input.byte() % (fds_max + 2);
  const auto bytes = input.rest();

  describe_unchecked(incoming, bytes);
  auto message = decode(incoming, bytes, some_fds(fd_count));
  if (!message) {
    require(!message.error().message.empty());
    return 0;
  }
  require(message->fd_count() == fd_count);
  const auto again = encode(*message);
  require(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()));
  auto twice = decode(incoming, again, some_fds(fd_count));
  require(twice.ok());
  require(describe(incoming, *twice) == describe(incoming, *message));
  return 0;
}
