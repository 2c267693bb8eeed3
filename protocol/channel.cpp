// SPDX-License-Identifier: BSD-3-Clause
// The channel's state machine. Operations that wait on the executor hold the State, so that a Channel can be destroyed
// meanwhile, or from inside a handler.
#include "protocol/channel.hpp"

#include <array>
#include <cassert>
#include <cerrno>
#include <cstdint>
#include <deque>
#include <exception>
#include <new>
#include <optional>
#include <poll.h>
#include <span>
#include <utility>
#include <vector>

#include <asio/local/stream_protocol.hpp>
#include <asio/steady_timer.hpp>
#include <sys/socket.h>

#include "base/error.hpp"
#include "protocol/handler_memory.hpp"
#include "protocol/socket_io.hpp"

namespace vhostx::protocol {
namespace {

// The front-end chooses what descriptor it sends with SET_BACKEND_REQ_FD.
Result<void> check_socket(int fd) {
  const auto option = [fd](int name) {
    int value = -1;
    socklen_t size = sizeof value;
    return ::getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
  };
  if (option(SO_DOMAIN) == AF_UNIX && option(SO_TYPE) == SOCK_STREAM) return {};
  return protocol_violation("the channel's descriptor is no Unix stream socket");
}

struct Outgoing {
  std::vector<std::byte> bytes;
  std::size_t sent = 0;
  FdList fds;  // empty once the first byte is sent
};

}  // namespace

class Channel::State : public std::enable_shared_from_this<Channel::State> {
 public:
  State(asio::any_io_executor executor, Incoming incoming, ChannelHandlers handlers, ChannelOptions options)
      : socket_(executor),
        deadline_(executor),
        incoming_(incoming),
        handlers_(std::make_shared<const ChannelHandlers>(std::move(handlers))),
        options_(options) {
    assert(options_.messages_per_turn > 0);
  }

  ~State() { release(); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void start(UniqueFd fd) {
    if (auto checked = check_socket(fd.get()); !checked) return fail(checked.error());
    std::error_code error;
    socket_.assign(asio::local::stream_protocol(), fd.get(), error);
    if (error) return fail(make_system_error(error.value(), "cannot watch the channel's socket"));
    fd_ = std::move(fd);
    wait_readable();
  }

  Result<void> send(Message message) {
    if (!open_) return make_error(ErrorCode::closed, "the channel is closed");
    const std::size_t bytes = message_header_bytes + message.payload().size();
    if (output_bytes_ + bytes > options_.output_bytes_max)
      return make_error(ErrorCode::limit, "{}: {} bytes wait to be read by the peer, expected at most {}",
                        request_name(incoming_, message.request()), output_bytes_ + bytes, options_.output_bytes_max);
    try {
      FdList fds = message.take_fds();
      output_.push_back(Outgoing{encode(message), 0, std::move(fds)});
    } catch (const std::bad_alloc&) {
      return make_error(ErrorCode::out_of_memory, "no memory for an answer of {} bytes", bytes);
    }
    output_bytes_ += bytes;
    if (output_.size() == 1 && !flush()) return make_error(ErrorCode::closed, "the peer closed the connection");
    return {};
  }

  void pause() noexcept { paused_ = true; }
  void resume() {
    paused_ = false;
    if (open_) read_later();
  }

  void close() noexcept { end(Socket::shut_down); }
  void leave() noexcept { end(Socket::left_open); }

  bool is_open() const noexcept { return open_; }
  bool peer_is_gone() const noexcept {
    if (!open_) return true;
    pollfd watched{};
    // POLLHUP is always watched. Linux sets it on a Unix stream socket once the peer's end is closed, even with unread
    // data.
    watched.fd = fd_.get();
    return ::poll(&watched, 1, 0) == 1 && (watched.revents & (POLLHUP | POLLERR)) != 0;
  }

 private:
  enum class Step { message, would_block, failed };
  enum class Socket { shut_down, left_open };

  // ---- reading

  // Takes a turn when the socket is ready; once where that is `scheduled` already.
  template <typename Turn>
  void wait(asio::socket_base::wait_type what, bool& scheduled, const char* waiting, Turn turn) {
    if (std::exchange(scheduled, true)) return;
    auto on_ready = [self = shared_from_this(), &scheduled, waiting, turn](const std::error_code& error) {
      scheduled = false;
      if (!self->open_) return;
      self->guarded([&] {
        if (error) return self->fail(make_system_error(error.value(), "{}", waiting));
        turn();
      });
    };
    socket_.async_wait(what, kept_in(memory_, std::move(on_ready)));
  }

  void wait_readable() {
    wait(asio::socket_base::wait_read, read_is_scheduled_, "waiting for the peer", [this] { read_turn(); });
  }

  void read_turn() {
    for (unsigned count = 0; count < options_.messages_per_turn; ++count) {
      // A peer that does not read its answers gets no new ones. A message that has begun is still read to its end, so
      // that only the peer can make it miss its deadline.
      if (!output_.empty() && !message_has_begun()) return;
      if (paused_) return;
      const Step step = may_read() ? busy_read_step() : Step::would_block;
      if (step == Step::would_block) {
        start_deadline();
        return wait_readable();
      }
      if (step == Step::failed) return;
      deliver();
      if (!open_) return;
      if (!paused_) report_idle();
    }
    read_later();  // the others on this executor first
  }

  // Who is told of work is not told of a read that finds nothing: the socket is reported as ready also for a message
  // that came, and was read, while the one before was handled.
  bool may_read() {
    if (!reports_busy() || message_has_begun()) return true;
    report_idle();
    pollfd watched{fd_.get(), POLLIN, 0};
    return ::poll(&watched, 1, 0) != 0;  // an error: the read says what it is
  }

  Step busy_read_step() {
    report_busy(true);
    const Step step = read_step();
    if (step == Step::would_block) report_idle();
    return step;
  }

  void read_later() {
    if (std::exchange(read_is_scheduled_, true)) return;
    post_kept(socket_.get_executor(), memory_, [self = shared_from_this()] {
      self->read_is_scheduled_ = false;
      if (self->open_) self->guarded([&] { self->read_turn(); });
    });
  }

  // Reads until a message is complete. Header and payload are read separately and never further, so that no read can
  // receive descriptors of the next message.
  Step read_step() {
    while (header_bytes_read_ < message_header_bytes) {
      const std::size_t fds_before = fds_.size();
      const auto got = receive_some(std::span(header_).subspan(header_bytes_read_));
      if (const Step step = after(got, header_bytes_read_ > 0 && fds_.size() > fds_before); step != Step::message)
        return step;
      header_bytes_read_ += got.bytes;
    }
    if (!message_ && header_is_complete() == Step::failed) return Step::failed;
    while (payload_bytes_read_ < message_->payload().size()) {
      const auto got = receive_some(message_->payload().subspan(payload_bytes_read_));
      if (const Step step = after(got, !fds_.empty()); step != Step::message) return step;
      payload_bytes_read_ += got.bytes;
    }
    return Step::message;
  }

  Transfer receive_some(std::span<std::byte> into) noexcept {
    return receive(fd_.get(), into, fds_, Blocking::no, fd_.releases());
  }

  // The result of one read. Step::message here means that bytes came.
  Step after(const Transfer& got, bool fds_in_the_middle) {
    if (got.error == EAGAIN || got.error == EWOULDBLOCK) return Step::would_block;
    if (got.error == ECONNRESET) {
      fail(make_error(ErrorCode::closed, "the peer closed the connection with messages unread"));
    } else if (got.error != 0) {
      fail(make_system_error(got.error, "reading from the peer"));
    } else if (got.fds_lost) {
      fail(protocol_violation("more descriptors than expected ({} a message), or none free in this process", fds_max));
    } else if (got.fds_slow) {
      fail(protocol_violation(
          "a descriptor of a file on a network or user-space file system, expected eventfds, sockets, and memory "
          "in memfd, tmpfs or hugetlbfs"));
    } else if (got.bytes == 0) {
      fail(message_has_begun() ? make_error(ErrorCode::closed, "the peer closed the connection {} bytes into a message",
                                            header_bytes_read_ + payload_bytes_read_)
                               : make_error(ErrorCode::closed, "the peer closed the connection"));
    } else if (fds_in_the_middle) {
      // vhost-user "Communication": "file descriptors will only be received in the first recvmsg operation".
      fail(protocol_violation("descriptors in the middle of a message, expected them with its first byte"));
    } else {
      return Step::message;
    }
    return Step::failed;
  }

  Step header_is_complete() {
    const Header header = decode_header(header_);
    const auto row = check_header(incoming_, header);
    if (!row) {
      fail(row.error());
      return Step::failed;
    }
    message_.emplace(header, *row);
    message_->set_fds(std::move(fds_));
    return Step::message;
  }

  void deliver() {
    Message message = std::move(*message_);
    forget_message();
    if (auto checked = check_message(incoming_, message); !checked) return fail(checked.error());
    const auto handlers = handlers_;  // they stay until the one that runs returns
    if (handlers != nullptr && handlers->on_message) handlers->on_message(std::move(message));
  }

  bool reports_busy() const noexcept { return handlers_ != nullptr && handlers_->on_busy; }

  void report_busy(bool busy) const {
    if (reports_busy()) handlers_->on_busy(busy);
  }

  void report_idle() const {
    if (!message_has_begun() && output_.empty()) report_busy(false);
  }

  // A message has begun when its first byte is here.
  bool message_has_begun() const noexcept { return header_bytes_read_ > 0; }

  void forget_message() noexcept {
    message_.reset();
    fds_.clear();
    header_bytes_read_ = 0;
    payload_bytes_read_ = 0;
    ++messages_read_;
    if (!deadline_is_set_) return;
    deadline_is_set_ = false;
    deadline_.cancel();
  }

  void start_deadline() {
    if (deadline_is_set_ || !message_has_begun()) return;
    deadline_is_set_ = true;
    deadline_.expires_after(options_.message_timeout);
    auto on_deadline = [self = shared_from_this(), message = messages_read_](const std::error_code& error) {
      if (error || !self->open_ || message != self->messages_read_) return;
      self->guarded([&] {
        self->fail(make_error(ErrorCode::timed_out, "a message stopped after {} bytes for {} ms",
                              self->header_bytes_read_ + self->payload_bytes_read_,
                              self->options_.message_timeout.count()));
      });
    };
    deadline_.async_wait(kept_in(memory_, std::move(on_deadline)));
  }

  // ---- writing

  // False: the channel failed.
  bool flush() {
    while (!output_.empty()) {
      Outgoing& next = output_.front();
      const auto put = transmit(fd_.get(), std::span(next.bytes).subspan(next.sent), next.fds, Blocking::no);
      if (put.error == EAGAIN || put.error == EWOULDBLOCK) {
        wait_writable();
        return true;
      }
      if (put.error != 0) {
        fail(put.error == EPIPE || put.error == ECONNRESET
                 ? make_error(ErrorCode::closed, "the peer closed the connection")
                 : make_system_error(put.error, "writing to the peer"));
        return false;
      }
      next.fds.clear();  // they travel with the first byte
      next.sent += put.bytes;
      output_bytes_ -= put.bytes;
      if (next.sent == next.bytes.size()) output_.pop_front();
    }
    report_idle();  // at once: what the handler does after its answer is no part of the message's work
    return true;
  }

  void wait_writable() {
    wait(asio::socket_base::wait_write, write_is_scheduled_, "waiting for the peer to read", [this] {
      if (flush() && output_.empty()) wait_readable();
    });
  }

  // ---- the end

  // Only running out of memory throws in a turn. The connection then ends, and its owner is notified: after an
  // interrupted turn no other one would follow.
  template <typename Turn>
  void guarded(Turn turn) noexcept {
    try {
      turn();
    } catch (const std::exception& error) {
      fail(make_error(ErrorCode::out_of_memory, "{}", error.what()));
    }
  }

  void fail(Error error) noexcept {
    if (!open_) return;
    open_ = false;
    release();
    failure_ = std::move(error);
    post_kept(socket_.get_executor(), memory_, [self = shared_from_this()] { self->report(); });
  }

  void report() {
    // Moved out first: the handler may destroy the Channel.
    const auto handlers = std::exchange(handlers_, nullptr);
    if (handlers != nullptr && handlers->on_closed) handlers->on_closed(std::move(failure_));
  }

  void end(Socket socket) noexcept {
    open_ = false;
    release(socket);
    handlers_ = nullptr;  // they may hold the Channel's owner
  }

  // Drops everything that the peer made us hold.
  void release(Socket socket = Socket::shut_down) noexcept {
    std::error_code ignored;
    if (socket_.is_open()) {
      socket_.release(ignored);  // out of Asio's epoll set, and not closed
      if (socket == Socket::shut_down) ::shutdown(fd_.get(), SHUT_RDWR);
      fd_.reset();
    }
    forget_message();
    output_.clear();
    output_bytes_ = 0;
  }

  UniqueFd fd_;                                  // the socket's owner
  asio::local::stream_protocol::socket socket_;  // Asio's view of it
  asio::steady_timer deadline_;
  const Incoming incoming_;
  std::shared_ptr<const ChannelHandlers> handlers_;  // null: none is called any more
  const ChannelOptions options_;
  bool open_ = true;
  bool paused_ = false;

  // The message that is arriving.
  std::array<std::byte, message_header_bytes> header_{};
  std::size_t header_bytes_read_ = 0;
  std::size_t payload_bytes_read_ = 0;
  FdList fds_;
  std::optional<Message> message_;  // from the moment its header is complete
  bool deadline_is_set_ = false;
  std::uint64_t messages_read_ = 0;  // distinguishes a late deadline from the current message's
  bool read_is_scheduled_ = false;

  std::deque<Outgoing> output_;
  std::size_t output_bytes_ = 0;
  bool write_is_scheduled_ = false;

  Error failure_;
  HandlerMemory<5> memory_;  // for reading, writing, a deadline and one before it, the report of the end
};

// ---- Channel

Channel::Channel(asio::any_io_executor executor, UniqueFd socket, Incoming incoming, ChannelHandlers handlers,
                 ChannelOptions options)
    : state_(std::make_shared<State>(std::move(executor), incoming, std::move(handlers), options)) {
  state_->start(std::move(socket));
}

Channel::~Channel() { state_->close(); }

Result<void> Channel::send(Message message) { return state_->send(std::move(message)); }

void Channel::pause() noexcept { state_->pause(); }

void Channel::resume() { state_->resume(); }

void Channel::close() noexcept { state_->close(); }

void Channel::leave() noexcept { state_->leave(); }

bool Channel::is_open() const noexcept { return state_->is_open(); }

bool Channel::peer_is_gone() const noexcept { return state_->peer_is_gone(); }

}  // namespace vhostx::protocol
