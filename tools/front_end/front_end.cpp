// SPDX-License-Identifier: BSD-3-Clause
// Blocking reads and writes with poll, so that a back-end that does not answer is an error and not a hang.
#include "tools/front_end/front_end.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.hpp"
#include "protocol/socket_io.hpp"

namespace vhostx::tools {
namespace {

using namespace protocol;
using Clock = std::chrono::steady_clock;

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return make_error(ErrorCode::invalid_argument, "socket path of {} bytes", path.size());
  }
  if (path.starts_with('@'))
    return make_error(ErrorCode::invalid_argument,
                      "abstract sockets are not known here: expected a path (a file of that name is './{}')", path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

UniqueFd make_socket() { return UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

Result<void> wait_for(int socket, short events, std::chrono::milliseconds timeout) {
  pollfd watched{socket, events, 0};
  int count = 0;
  do {
    count = ::poll(&watched, 1, static_cast<int>(timeout.count()));
  } while (count < 0 && errno == EINTR);
  if (count > 0) return {};
  return make_error(ErrorCode::timed_out, "nothing from the back-end for {} ms", timeout.count());
}

Message with_fd(Message message, int fd) {
  if (fd >= 0) message.add_fd(duplicate(fd));
  return message;
}

Message with_need_reply(const Message& message) {
  Header header = message.header();
  header.flags |= Header::need_reply;
  return make_message(header, message.payload());
}

}  // namespace

UniqueFd duplicate(int fd) { return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

Result<FrontEnd> FrontEnd::connect_once(const std::string& path, std::chrono::milliseconds timeout) {
  const auto address = address_of(path);
  if (!address) return address.error();
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0)
    return make_system_error(errno, "connecting to {}", path);
  ::fcntl(socket.get(), F_SETFL, 0);  // only connecting must not wait: for a listener whose queue is full
  return FrontEnd(std::move(socket), timeout);
}

namespace {

/// No event tells when somebody listens, or when there is room in his queue.
template <typename Passes>
Result<FrontEnd> connect_while(const std::string& path, std::chrono::milliseconds timeout, Passes passes) {
  const auto end = Clock::now() + timeout;
  while (true) {
    auto connected = FrontEnd::connect_once(path, timeout);
    if (connected || !passes(connected.error()) || Clock::now() >= end) return connected;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

}  // namespace

Result<FrontEnd> FrontEnd::connect(const std::string& path, std::chrono::milliseconds timeout) {
  return connect_while(path, timeout, [](const Error& error) { return error.code == ErrorCode::system; });
}

Result<FrontEnd> FrontEnd::connect_in_turn(const std::string& path, std::chrono::milliseconds timeout) {
  return connect_while(path, timeout, [](const Error& error) { return error.system_errno == EAGAIN; });
}

Result<UniqueFd> FrontEnd::listen(const std::string& path) {
  const auto address = address_of(path);
  if (!address) return address.error();
  UniqueFd socket = make_socket();
  ::unlink(path.c_str());
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0 ||
      ::listen(socket.get(), 8) != 0) {
    return make_system_error(errno, "listening at {}", path);
  }
  return socket;
}

Result<FrontEnd> FrontEnd::accept(const UniqueFd& listener, std::chrono::milliseconds timeout) {
  if (auto waited = wait_for(listener.get(), POLLIN, timeout); !waited) return waited.error();
  UniqueFd socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!socket) return make_system_error(errno, "accepting a back-end");
  return FrontEnd(std::move(socket), timeout);
}

bool FrontEnd::peer_is_gone() const noexcept {
  std::byte byte;
  const auto got = ::recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

Result<void> FrontEnd::write_all(int socket, std::span<const std::byte> bytes, const FdList& fds) {
  const FdList none;
  for (std::size_t sent = 0; sent < bytes.size();) {
    const Transfer put = transmit(socket, bytes.subspan(sent), sent == 0 ? fds : none, Blocking::no);
    if (put.error == EAGAIN) {
      if (auto waited = wait_for(socket, POLLOUT, timeout_); !waited) return waited;
    } else if (put.error != 0) {
      return make_system_error(put.error, "sending to the back-end");
    }
    sent += put.bytes;
  }
  return {};
}

Result<void> FrontEnd::read_exactly(int socket, std::span<std::byte> into, FdList& fds) {
  for (std::size_t done = 0; done < into.size();) {
    const Transfer got = protocol::receive(socket, into.subspan(done), fds, Blocking::no);
    if (got.error == EAGAIN) {
      if (auto waited = wait_for(socket, POLLIN, timeout_); !waited) return waited;
      continue;
    }
    if (got.error != 0) return make_system_error(got.error, "reading from the back-end");
    if (got.bytes == 0) return make_error(ErrorCode::closed, "the back-end closed the connection");
    done += got.bytes;
  }
  return {};
}

Result<Message> FrontEnd::receive(int socket, Incoming incoming) {
  std::array<std::byte, message_header_bytes> bytes;
  FdList fds;
  if (auto read = read_exactly(socket, bytes, fds); !read) return read.error();
  const Header header = decode_header(bytes);
  if (auto checked = check_header(incoming, header); !checked) return checked.error();
  Message message(header);
  if (auto read = read_exactly(socket, message.payload(), fds); !read) return read.error();
  message.set_fds(std::move(fds));
  if (auto checked = check_message(incoming, message); !checked) return checked.error();
  return message;
}

Result<void> FrontEnd::send(const Message& message) { return write_all(socket_.get(), encode(message), message.fds()); }

Result<Message> FrontEnd::receive_reply() { return receive(socket_.get(), Incoming::replies_to_front_end); }

Result<Message> FrontEnd::ask(const Message& request) {
  if (auto sent = send(request); !sent) return sent.error();
  auto reply = receive_reply();
  if (reply && reply->request() != request.request()) {
    return make_error(ErrorCode::protocol_violation, "reply to {}, expected one to {}",
                      request_name(Incoming::replies_to_front_end, reply->request()),
                      request_name(Incoming::replies_to_front_end, request.request()));
  }
  return reply;
}

Result<std::uint64_t> FrontEnd::acknowledged(Message request) {
  Message asking = with_need_reply(request);
  asking.set_fds(request.take_fds());
  auto reply = ask(asking);
  if (!reply) return reply.error();
  const auto status = reply->payload_as<U64>();
  if (!status) return status.error();
  return status->value;
}

Result<void> FrontEnd::change(Message request) {
  if (!protocol_features_.has(ProtocolFeature::reply_ack)) return send(request);
  const std::uint32_t id = request.request();
  const auto status = acknowledged(std::move(request));
  if (!status) return status.error();
  if (*status == 0) return {};
  return make_error(ErrorCode::invalid_argument, "{} was refused with status {}",
                    request_name(Incoming::front_end_requests, id), *status);
}

Result<std::uint64_t> FrontEnd::get_u64(FrontEndRequest request) {
  auto reply = ask(make_request(request));
  if (!reply) return reply.error();
  const auto value = reply->payload_as<U64>();
  if (!value) return value.error();
  return value->value;
}

Result<void> FrontEnd::set_u64(FrontEndRequest request, std::uint64_t value) {
  return change(make_request(request, U64{value}));
}

Result<void> FrontEnd::set_vring(FrontEndRequest request, std::uint32_t index, std::uint32_t num) {
  return change(make_request(request, VringState{index, num}));
}

Result<void> FrontEnd::set_vring_address(const VringAddress& address) {
  return change(make_request(FrontEndRequest::set_vring_addr, address));
}

Result<void> FrontEnd::set_vring_fd(FrontEndRequest request, std::uint32_t index, int fd) {
  return change(with_fd(make_request(request, U64{index | (fd < 0 ? vring_no_fd : 0)}), fd));
}

Result<std::uint32_t> FrontEnd::get_vring_base(std::uint32_t index) {
  auto reply = ask(make_request(FrontEndRequest::get_vring_base, VringState{index, 0}));
  if (!reply) return reply.error();
  const auto state = reply->payload_as<VringState>();
  if (!state) return state.error();
  if (state->index != index) {
    return make_error(ErrorCode::protocol_violation, "base of vring {}, expected {}", state->index, index);
  }
  return state->num;
}

Result<void> FrontEnd::set_mem_table(std::span<const MemoryRegion> regions, std::span<const int> fds) {
  Message message = make_memory_table(regions);
  for (const int fd : fds) message.add_fd(duplicate(fd));
  return change(std::move(message));
}

Result<void> FrontEnd::add_mem_reg(const MemoryRegion& region, int fd) {
  return change(with_fd(make_request(FrontEndRequest::add_mem_reg, SingleMemoryRegion{0, region}), fd));
}

Result<void> FrontEnd::rem_mem_reg(const MemoryRegion& region) {
  return change(make_request(FrontEndRequest::rem_mem_reg, SingleMemoryRegion{0, region}));
}

Result<void> FrontEnd::open_backend_channel() {
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) {
    return make_system_error(errno, "making a socket pair");
  }
  backend_socket_.reset(pair[0]);
  Message message = make_request(FrontEndRequest::set_backend_req_fd);
  message.add_fd(UniqueFd(pair[1]));
  return change(std::move(message));
}

Result<Message> FrontEnd::receive_backend_request() {
  return receive(backend_socket_.get(), Incoming::back_end_requests);
}

Result<void> FrontEnd::reply_to_backend(const Message& reply) {
  return write_all(backend_socket_.get(), encode(reply), reply.fds());
}

Result<void> FrontEnd::negotiate(FeatureSet wanted, ProtocolFeatureSet wanted_protocol) {
  const auto offered = get_u64(FrontEndRequest::get_features);
  if (!offered) return offered.error();
  features_ = FeatureSet(*offered) & wanted.set(VirtioFeature::vhost_user_protocol_features);
  if (features_.has(VirtioFeature::vhost_user_protocol_features)) {
    const auto protocol_offered = get_u64(FrontEndRequest::get_protocol_features);
    if (!protocol_offered) return protocol_offered.error();
    const auto agreed = ProtocolFeatureSet(*protocol_offered) & wanted_protocol;
    if (auto set = set_u64(FrontEndRequest::set_protocol_features, agreed.bits()); !set) return set;
    protocol_features_ = agreed;
  }
  if (auto owned = change(make_request(FrontEndRequest::set_owner)); !owned) return owned;
  return set_u64(FrontEndRequest::set_features, features_.bits());
}

}  // namespace vhostx::tools
