// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/rings/qmp_client.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>

#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.hpp"

namespace vhostx::tools::probe {
namespace {

using Json = QmpClient::Json;

constexpr int turn_ms = 2;

Error no_qmp(const std::string& what) {
  return make_error(ErrorCode::protocol_violation, "not a QMP monitor: {}", what);
}

std::string description_of(const Json& error) {
  const auto at = error.is_object() ? error.find("desc") : error.end();
  return error.is_object() && at != error.end() && at->is_string() ? at->get<std::string>().substr(0, 256)
                                                                   : std::string("an error without a description");
}

unsigned version_part(const Json& from, const char* pointer) {
  const Json::json_pointer at(pointer);
  return from.contains(at) && from[at].is_number_unsigned() ? from[at].get<unsigned>() : 0;
}

}  // namespace

Result<QmpClient> QmpClient::connect(const std::string& path, std::chrono::milliseconds timeout) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return make_error(ErrorCode::invalid_argument, "a path of {} bytes, expected at most {}", path.size(),
                      sizeof address.sun_path - 1);
  if (path.starts_with('@'))
    return make_error(ErrorCode::invalid_argument,
                      "abstract sockets are not known here: expected a path (a file of that name is './{}')", path);
  path.copy(address.sun_path, path.size());
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno != EAGAIN) return make_system_error(errno, "connecting");
    return make_error(ErrorCode::timed_out, "it accepts no connection: its queue is full");
  }
  return over(std::move(socket), timeout);
}

Result<QmpClient> QmpClient::over(UniqueFd socket, std::chrono::milliseconds timeout) {
  QmpClient client(std::move(socket), timeout);
  if (auto greeted = client.greet(); !greeted) return greeted.error();
  return client;
}

Result<void> QmpClient::greet() {
  const auto greeting = receive(Clock::now() + timeout_);
  if (!greeting && greeting.error().code == ErrorCode::timed_out)
    return make_error(ErrorCode::timed_out,
                      "no greeting within {} ms: it is not a QMP socket, or another client is connected to it",
                      timeout_.count());
  if (!greeting) return greeting.error();
  if (!greeting->contains("QMP")) return no_qmp("it greets with something else");
  version_ = {version_part(*greeting, "/QMP/version/qemu/major"), version_part(*greeting, "/QMP/version/qemu/minor")};
  const auto capable = execute("qmp_capabilities");
  if (!capable) return capable.error();
  return {};
}

Result<Json> QmpClient::execute(const std::string& command, Json arguments) {
  const auto deadline = Clock::now() + timeout_;
  const std::uint64_t id = ++last_id_;
  Json request{{"execute", command}, {"id", id}};
  if (!arguments.empty()) request["arguments"] = std::move(arguments);
  if (auto sent = send(request.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n', deadline); !sent)
    return sent.error();
  for (;;) {
    auto answer = receive(deadline);
    if (!answer) return answer.error();
    if (answer->contains("event")) continue;
    if (const auto at = answer->find("id"); at == answer->end() || *at != id) return no_qmp("an answer to nothing");
    if (const auto at = answer->find("return"); at != answer->end()) return Json(std::move(*at));
    if (const auto at = answer->find("error"); at != answer->end())
      return make_error(ErrorCode::unsupported, "{}: {}", command, description_of(*at));
    return no_qmp("an answer that is neither return nor error");
  }
}

Result<int> QmpClient::socket_owner() const {
  ucred owner{};
  socklen_t bytes = sizeof owner;
  if (::getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &owner, &bytes) != 0)
    return make_system_error(errno, "asking who is at the socket");
  return owner.pid;
}

Result<void> QmpClient::wait(short events, Clock::time_point deadline) const {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd waiting{socket_.get(), events, 0};
    if (left <= 0) return make_error(ErrorCode::timed_out, "no answer within {} ms", timeout_.count());
    if (act_) act_();
    const auto turn = act_ ? std::min<decltype(left)>(left, turn_ms) : left;
    const int ready = ::poll(&waiting, 1, static_cast<int>(turn));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return make_system_error(errno, "waiting for it");
  }
}

Result<void> QmpClient::send(const std::string& line, Clock::time_point deadline) {
  std::string_view rest = line;
  while (!rest.empty()) {
    if (auto writable = wait(POLLOUT, deadline); !writable) return writable;
    const auto sent = ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0)
      rest.remove_prefix(static_cast<std::size_t>(sent));
    else if (errno == EPIPE || errno == ECONNRESET)
      return make_error(ErrorCode::closed, "it closed the connection");
    else if (errno != EAGAIN && errno != EINTR)
      return make_system_error(errno, "sending");
  }
  return {};
}

Result<Json> QmpClient::receive(Clock::time_point deadline) {
  std::array<char, 16384> bytes;
  std::size_t searched = 0;
  for (;;) {
    if (const auto end = received_.find('\n', searched); end != std::string::npos) {
      Json object =
          Json::parse(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
      received_.erase(0, end + 1);
      if (object.is_object()) return object;
      return no_qmp("a line that is not a JSON object");
    }
    searched = received_.size();
    if (received_.size() > line_bytes_max) return no_qmp("a line without an end");
    if (auto readable = wait(POLLIN, deadline); !readable) return readable.error();
    const auto got = ::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno == ECONNRESET)) return make_error(ErrorCode::closed, "it closed the connection");
    if (got < 0 && errno != EAGAIN && errno != EINTR) return make_system_error(errno, "receiving");
    if (got > 0) received_.append(bytes.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace vhostx::tools::probe
