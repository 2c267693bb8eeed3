// SPDX-License-Identifier: BSD-3-Clause
// One Channel on one end of a socket pair; the test holds the other end and turns the executor itself.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/local/stream_protocol.hpp>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "protocol/channel.hpp"
#include "protocol/socket_io.hpp"
#include "tests/protocol/open_fds.hpp"

namespace vhostx::protocol {

class ChannelFixture : public testing::Test {
 protected:
  static constexpr std::chrono::seconds patience{20};

  void SetUp() override {
    // The executor opens its own descriptors with the first object that needs them.
    asio::local::stream_protocol::socket first(io_);
    fds_before_ = test::open_fds();
  }
  void TearDown() override {
    channel_.reset();
    peer_.reset();
    received_.clear();
    io_.restart();
    io_.poll();
    EXPECT_EQ(test::open_fds(), fds_before_) << "descriptors leaked";
  }

  static std::pair<UniqueFd, UniqueFd> socket_pair(int type = SOCK_STREAM) {
    std::array<int, 2> pair{-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.data()), 0);
    return {UniqueFd(pair[0]), UniqueFd(pair[1])};
  }

  void open(Incoming incoming = Incoming::front_end_requests, ChannelOptions options = {}) {
    auto [ours, theirs] = socket_pair();
    peer_ = std::move(theirs);
    adopt(std::move(ours), incoming, options);
  }
  void adopt(UniqueFd socket, Incoming incoming = Incoming::front_end_requests, ChannelOptions options = {}) {
    channel_ = std::make_unique<Channel>(io_.get_executor(), std::move(socket), incoming, handlers(), options);
  }
  ChannelHandlers handlers() {
    return {[this](Message&& message) {
              received_.push_back(std::move(message));
              if (on_message_) on_message_(received_.back());
            },
            [this](const Error& error) {
              EXPECT_FALSE(closed_) << "told twice";
              closed_ = error;
              if (on_closed_) on_closed_();
            },
            on_busy_};
  }

  /// Runs what is ready and no more.
  void poll() {
    io_.restart();
    io_.poll();
  }
  template <typename Condition>
  void run_until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << "waited in vain";
      io_.restart();
      io_.run_one_for(patience);
    }
  }

  bool write(std::span<const std::byte> bytes, const FdList& fds = {}) {
    const Transfer put = transmit(peer_.get(), bytes, fds, Blocking::no);
    return put.error == 0 && put.bytes == bytes.size();
  }
  bool write(const Message& message) { return write(encode(message), message.fds()); }

  asio::io_context io_;
  UniqueFd peer_;
  std::unique_ptr<Channel> channel_;
  std::vector<Message> received_;
  std::optional<Error> closed_;
  std::function<void(Message&)> on_message_;
  std::function<void()> on_closed_;
  std::function<void(bool)> on_busy_;  // before open()

 private:
  std::ptrdiff_t fds_before_ = 0;
};

inline Message with_fds(Message message, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) message.add_fd(test::any_fd());
  return message;
}

}  // namespace vhostx::protocol
