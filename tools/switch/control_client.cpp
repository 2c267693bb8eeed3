// SPDX-License-Identifier: BSD-3-Clause
#include "tools/switch/control_client.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/unique_fd.hpp"
#include "tools/switch/control_text.hpp"

namespace vhostx::tools {
namespace {

constexpr int answer_ms = 60'000;  // removing a port waits for its front-end's bursts

Error failed(std::string message) { return Error{ErrorCode::system, std::move(message), errno}; }

Result<UniqueFd> connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  switch (errno) {
    case ENOENT:
      return failed(
          fmt::format("there is no socket '{0}': start the switch with `vhostx-switch --control {0} ...`, or "
                      "say where its socket is: `vhostx-switch ctl --control PATH ...`",
                      path));
    case ECONNREFUSED:
      return failed(
          fmt::format("nobody listens on '{0}': the switch that made it has ended; start one with "
                      "`vhostx-switch --control {0} ...`",
                      path));
    case EACCES:
      return failed(
          fmt::format("no permission for '{}': it is for the user that the switch runs as, and for root", path));
    default:
      return failed(fmt::format("cannot connect to '{}': {}", path, std::strerror(errno)));
  }
}

Result<void> send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return failed(fmt::format("the switch does not take the request: {}", std::strerror(errno)));
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

/// Lines of a connection. An answer may have any length: it comes from the switch.
class Lines {
 public:
  explicit Lines(int fd) noexcept : fd_(fd) {}

  /// Without its newline. `wait_ms` for more bytes at most; negative: for ever. Errors: closed, timed_out, system.
  Result<std::string> next(int wait_ms) {
    for (auto end = text_.find('\n');; end = text_.find('\n', end)) {
      if (end != std::string::npos) {
        auto line = text_.substr(0, end);
        text_.erase(0, end + 1);
        return line;
      }
      end = text_.size();
      if (auto more = receive(wait_ms); !more) return more.error();
    }
  }

 private:
  Result<void> receive(int wait_ms) {
    pollfd input{fd_, POLLIN, 0};
    if (::poll(&input, 1, wait_ms) == 0)
      return Error{ErrorCode::timed_out, fmt::format("no answer within {} s", wait_ms / 1000), 0};
    std::array<char, 65536> bytes;
    const auto count = ::recv(fd_, bytes.data(), bytes.size(), 0);
    if (count == 0) return Error{ErrorCode::closed, "the switch closed the connection", 0};
    if (count < 0 && errno != EINTR) return failed(fmt::format("no answer: {}", std::strerror(errno)));
    text_.append(bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    return {};
  }

  const int fd_;
  std::string text_;
};

/// Whether somebody reads it.
bool print(std::string_view text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
}

/// Until the switch ends, or nobody reads.
Result<void> print_events(Lines& lines, bool json) {
  for (;;) {
    const auto line = lines.next(-1);
    if (!line) return line.error();
    if (!print((json ? *line : text_of_event(*line)) + "\n")) return {};
  }
}

Result<void> talk(const ControlOptions& options) {
  const auto fd = connect_to(options.path);
  if (!fd) return fd.error();
  if (auto sent = send_all(fd->get(), request_line(options.request) + "\n"); !sent) return sent;
  Lines lines(fd->get());
  const auto answer = lines.next(answer_ms);
  if (!answer) return answer.error();
  const bool follows = options.request.command == ControlCommand::events;
  const auto text =
      options.json && !follows ? json_of_answer(*answer) : text_of_answer(options.request.command, *answer);
  if (!text) return text.error();
  if (follows) return print_events(lines, options.json);
  if (!print(*text)) return failed("standard output takes nothing");
  return {};
}

}  // namespace

int run_control_client(const ControlOptions& options) {
  const auto done = talk(options);
  if (done) return 0;
  fmt::print(stderr, "vhostx-switch ctl: {}\n", done.error().message);
  return 1;
}

}  // namespace vhostx::tools
