// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/check/state_transfer.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <system_error>
#include <unistd.h>

#include <climits>

namespace vhostx::tools::probe {

using namespace protocol;
using Request = FrontEndRequest;

namespace {

constexpr std::size_t state_bytes_max = std::size_t{64} << 20;
constexpr std::uint64_t error_mask = 0xff;
constexpr std::uint64_t no_descriptor = 0x100;

struct Pipe {
  UniqueFd read, write;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw Decided{failed("no pipe")};
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::string text_of_errno() { return std::generic_category().message(errno); }

void await_ready(const Guest& guest, int fd, short events, std::string_view what) {
  pollfd watched{fd, events, 0};
  if (::poll(&watched, 1, static_cast<int>(guest.subject().timeout.count())) == 1) return;
  throw Decided{failed("{} within {} ms", what, guest.subject().timeout.count())};
}

std::vector<std::byte> read_to_the_end(const Guest& guest, int fd) {
  std::vector<std::byte> state;
  std::array<std::byte, 16384> piece;
  while (state.size() <= state_bytes_max) {
    await_ready(guest, fd, POLLIN, fmt::format("no end of the state after {} bytes", state.size()));
    const ssize_t got = ::read(fd, piece.data(), piece.size());
    if (got < 0) throw Decided{failed("the state cannot be read: {}", text_of_errno())};
    if (got == 0) return state;
    state.insert(state.end(), piece.begin(), piece.begin() + got);
  }
  throw Decided{failed("more than {} bytes of state", state_bytes_max)};
}

/// While one is there, a write to a pipe that nobody reads fails and no signal ends the program.
class BrokenPipesFail {
 public:
  BrokenPipesFail() {
    sigemptyset(&broken_);
    sigaddset(&broken_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &broken_, &before_);
  }
  BrokenPipesFail(const BrokenPipesFail&) = delete;
  BrokenPipesFail& operator=(const BrokenPipesFail&) = delete;
  ~BrokenPipesFail() {
    const timespec at_once{};
    if (sigismember(&before_, SIGPIPE) == 0) ::sigtimedwait(&broken_, nullptr, &at_once);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t broken_;
  sigset_t before_;
};

/// False: the back-end reads no more, which is its right where it has seen enough.
bool write_all_of(const Guest& guest, int fd, std::span<const std::byte> state) {
  const BrokenPipesFail guard;
  while (!state.empty()) {
    await_ready(guest, fd, POLLOUT, fmt::format("{} bytes of the state were not read", state.size()));
    const ssize_t written = ::write(fd, state.data(), std::min<std::size_t>(state.size(), PIPE_BUF));
    if (written < 0 && errno == EPIPE) return false;
    if (written <= 0) throw Decided{failed("the state cannot be written: {}", text_of_errno())};
    state = state.subspan(static_cast<std::size_t>(written));
  }
  return true;
}

std::uint64_t number_of_reply(const RawReply& reply, const char* name) {
  if (reply.payload.size() != sizeof(U64))
    throw Decided{failed("{}: a reply of {} bytes, 8 expected", name, reply.payload.size())};
  return reply.number();
}

void need_accepted(const StateAnswer& answer, const char* what) {
  if (answer.error != 0) throw Decided{failed("SET_DEVICE_STATE_FD to {}: error {}", what, answer.error)};
}

}  // namespace

StateAnswer begin_state(Guest& guest, std::uint32_t direction, std::uint32_t phase) {
  Pipe pipe = make_pipe();
  const bool saves = direction == state_save;
  Message message = make_request(Request::set_device_state_fd, DeviceState{direction, phase});
  message.add_fd(std::move(saves ? pipe.write : pipe.read));
  RawReply reply = guest.link().exchange(std::move(message));
  const std::uint64_t number = number_of_reply(reply, "SET_DEVICE_STATE_FD");
  StateAnswer answer{.error = number & error_mask};
  if (answer.error != 0) return answer;
  const std::size_t expected = (number & no_descriptor) != 0 ? 0 : 1;
  if (reply.fds.size() != expected)
    throw Decided{failed("SET_DEVICE_STATE_FD: {} descriptors with the reply {:#x}, {} expected", reply.fds.size(),
                         number, expected)};
  answer.channel = expected == 1 ? reply.fds.take(0) : std::move(saves ? pipe.read : pipe.write);
  return answer;
}

std::uint64_t check_state(Guest& guest) {
  return number_of_reply(guest.link().exchange(make_request(Request::check_device_state)), "CHECK_DEVICE_STATE");
}

std::vector<std::byte> save_state(Guest& guest) {
  const StateAnswer answer = begin_state(guest, state_save);
  need_accepted(answer, "save");
  return read_to_the_end(guest, answer.channel.get());
}

std::uint64_t load_state(Guest& guest, std::span<const std::byte> state) {
  StateAnswer answer = begin_state(guest, state_load);
  need_accepted(answer, "load");
  write_all_of(guest, answer.channel.get(), state);
  answer.channel.reset();
  return check_state(guest);
}

}  // namespace vhostx::tools::probe
