// SPDX-License-Identifier: BSD-3-Clause
#include "tools/switch/control_connection.hpp"

#include <algorithm>
#include <utility>

#include <asio/buffer.hpp>
#include <asio/read_until.hpp>
#include <asio/write.hpp>
#include <fmt/format.h>

#include "tools/switch/control_request.hpp"

namespace vhostx::tools {

void ControlConnection::read_request() {
  expect_within(patience_.request);
  asio::async_read_until(socket_, asio::dynamic_buffer(input_, request_bytes_max), '\n',
                         [self = shared_from_this()](const std::error_code& error, std::size_t length) {
                           self->handle_request(error, length);
                         });
}

void ControlConnection::handle_request(const std::error_code& error, std::size_t length) {
  if (error == asio::error::not_found) {  // no newline in all that may come before one
    input_.clear();
    output_ = fmt::format("{{\"ok\":false,\"error\":\"a request of more than {} bytes\"}}\n", request_bytes_max);
    asio::async_write(socket_, asio::buffer(output_), [self = shared_from_this()](auto, auto) { self->end(); });
    return expect_within(patience_.answer);
  }
  if (error) return end();
  const std::string line = input_.substr(0, length - 1);
  input_.erase(0, length);
  give_answer(answer_(line));
}

void ControlConnection::give_answer(ControlAnswer answer) {
  output_ = std::move(answer.line) + '\n';
  const bool follows = answer.follows;
  expect_within(patience_.answer);
  asio::async_write(socket_, asio::buffer(output_),
                    [self = shared_from_this(), follows](const std::error_code& error, std::size_t) {
                      if (error) return self->end();
                      if (follows) return self->follow();
                      self->output_ = {};  // it may have been large
                      self->read_request();
                    });
}

/// From now on the client only listens. Whatever it sends ends the connection, as its end does.
void ControlConnection::follow() {
  deadline_.expires_at(asio::steady_timer::time_point::max());
  follows_ = true;
  on_change_(*this, true);
  socket_.async_read_some(asio::buffer(&unread_, 1), [self = shared_from_this()](auto, auto) { self->end(); });
}

void ControlConnection::tell(std::string_view event) {
  const auto room = ControlServer::waiting_max - std::min(waiting_.size(), ControlServer::waiting_max);
  if (event.size() + 1 > room) {
    ++left_out_;
    return;
  }
  if (left_out_ != 0)
    waiting_ += fmt::format(
        "{{\"event\":\"events_left_out\",\"count\":{0},\"text\":\"{0} events left out: they were not "
        "read\"}}\n",
        std::exchange(left_out_, 0));
  waiting_ += event;
  waiting_ += '\n';
  if (!writes_) send_events();
}

void ControlConnection::send_events() {
  writes_ = true;
  output_ = std::exchange(waiting_, {});
  asio::async_write(socket_, asio::buffer(output_),
                    [self = shared_from_this()](const std::error_code& error, std::size_t) {
                      self->writes_ = false;
                      if (error) return self->end();
                      if (!self->waiting_.empty()) self->send_events();
                    });
}

void ControlConnection::expect_within(std::chrono::milliseconds patience) {
  deadline_.expires_after(patience);
  deadline_.async_wait([self = weak_from_this()](const std::error_code& error) {
    const auto client = self.lock();
    if (client == nullptr || error) return;
    // It may have been put off after it had expired, and before this was called.
    if (client->deadline_.expiry() <= asio::steady_timer::clock_type::now()) client->end();
  });
}

void ControlConnection::end() {
  std::error_code ignored;
  socket_.close(ignored);
  deadline_.cancel();
  if (const auto on_change = std::exchange(on_change_, {})) on_change(*this, false);
}

}  // namespace vhostx::tools
