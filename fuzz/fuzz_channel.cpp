// SPDX-License-Identifier: BSD-3-Clause
// A peer that sends any bytes in any pieces with descriptors anywhere, against a Channel whose owner answers, keeps,
// or destroys it inside handlers. After each input every descriptor is closed and on_closed was called at most once.
#include <array>
#include <fcntl.h>
#include <memory>

#include <asio/io_context.hpp>
#include <asio/local/stream_protocol.hpp>
#include <sys/socket.h>

#include "fuzz/protocol_input.hpp"
#include "protocol/channel.hpp"
#include "protocol/socket_io.hpp"

using namespace vhostx;
using namespace vhostx::protocol;

namespace {

void require(bool holds) {
  if (!holds) __builtin_trap();
}

// libFuzzer and the executor hold a few; an input holds at most some dozen.
int open_fds() {
  int count = 0;
  for (int fd = 0; fd < 256; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  return count;
}

// What the owner does, by the bits of a byte of the input.
constexpr std::uint8_t answers = 1;
constexpr std::uint8_t destroys_in_on_message = 2;
constexpr std::uint8_t destroys_in_on_closed = 4;
constexpr std::uint8_t keeps_messages = 8;

class Owner {
 public:
  Owner(asio::io_context& io, UniqueFd socket, Incoming incoming, std::uint8_t behaviour) : behaviour_(behaviour) {
    channel_ = std::make_unique<Channel>(io.get_executor(), std::move(socket), incoming,
                                         ChannelHandlers{[this](Message&& message) { take(std::move(message)); },
                                                         [this](const Error& error) {
                                                           require(!error.message.empty());
                                                           require(++closed_ == 1);
                                                           if ((behaviour_ & destroys_in_on_closed) != 0)
                                                             channel_.reset();
                                                         }});
  }

 private:
  void take(Message message) {
    const Header header = message.header();
    if ((behaviour_ & keeps_messages) != 0 && kept_.size() < 4) kept_.push_back(std::move(message));
    if ((behaviour_ & answers) != 0) static_cast<void>(channel_->send(make_ack(header, 0)));
    if ((behaviour_ & destroys_in_on_message) != 0) channel_.reset();
  }

  const std::uint8_t behaviour_;
  std::unique_ptr<Channel> channel_;
  std::vector<Message> kept_;
  int closed_ = 0;
};

void run(asio::io_context& io, fuzz::Input& input) {
  std::array<int, 2> pair{-1, -1};
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) == 0);
  const UniqueFd peer(pair[0]);
  const Incoming incoming = fuzz::incoming_of(input.byte());
  Owner owner(io, UniqueFd(pair[1]), incoming, input.byte());
  while (!input.empty()) {
    FdList fds;
    const std::size_t fd_count = input.byte() % (fds_max + 1);
    for (std::size_t i = 0; i < fd_count; ++i) fds.add(UniqueFd(::fcntl(0, F_DUPFD_CLOEXEC, 0)));
    const std::size_t length = input.two_bytes();
    const auto bytes = input.bytes(length);
    if (!bytes.empty()) static_cast<void>(transmit(peer.get(), bytes, fds, Blocking::no));
    io.restart();
    io.poll();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static asio::io_context io;
  // The executor opens its own descriptors with the first object that needs them.
  static const asio::local::stream_protocol::socket first(io);
  const int before = open_fds();  // each time: libFuzzer starts a symbolizer when it first names a function
  fuzz::Input input(data, size);
  run(io, input);
  io.restart();
  io.poll();
  require(open_fds() == before);
  return 0;
}
