// SPDX-License-Identifier: BSD-3-Clause
#include "backend/connection/listener.hpp"

#include <cerrno>
#include <exception>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

#include <sys/socket.h>

#include "backend/connection/unix_socket.hpp"
#include "base/error.hpp"

namespace vhostx::backend {
namespace {

constexpr int backlog = 16;
constexpr int accepts_per_turn = 8;
constexpr std::chrono::milliseconds pause{200};

/// Access and listen(): what comes between bind() and the first connection.
Result<void> start_listening(int socket, const std::string& path, const SocketAccess& access) {
  if (auto set = set_access(path, access); !set) return set;
  if (::listen(socket, backlog) != 0) return make_system_error(errno, "listening on '{}'", path);
  return {};
}

void remove_if_still(const std::string& path, const std::optional<FileId>& file) noexcept {
  if (file && file_at(path) == file) ::unlink(path.c_str());
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::open(const std::string& path, const SocketAccess& access, Parts parts) {
  if (auto removed = remove_stale_socket(path, parts.releases.get()); !removed) return std::move(removed).error();
  auto socket = make_unix_socket(parts.releases.get());
  if (!socket) return std::move(socket).error();
  if (auto done = restrict_before_bind(socket->get(), access); !done) return std::move(done).error();
  if (const int error = bind_unix(socket->get(), path); error == EADDRINUSE)
    return make_error(ErrorCode::busy, "'{}' is in use: another process has just bound it", path);
  else if (error != 0)
    return make_system_error(error, "binding '{}'{}", path, error == ENOENT ? " (its folder does not exist)" : "");
  const auto file = file_at(path);
  if (auto started = start_listening(socket->get(), path, access); !started) {
    remove_if_still(path, file);
    return std::move(started).error();
  }
  try {
    return std::unique_ptr<Listener>(new Listener(path, std::move(socket).value(), Owner::us, file, std::move(parts)));
  } catch (...) {
    remove_if_still(path, file);
    throw;
  }
}

Result<std::unique_ptr<Listener>> Listener::adopt(int socket, const std::string& path, Parts parts) {
  auto own = duplicate_listening(socket, *parts.releases);
  if (!own) return std::move(own).error();
  return std::unique_ptr<Listener>(
      new Listener(path, std::move(own).value(), Owner::somebody_else, {}, std::move(parts)));
}

Result<std::unique_ptr<Listener>> Listener::go_on(int socket, int file, const std::string& path,
                                                  const SocketAccess& access, Parts parts) {
  const auto id = file_of(file);
  if (!id || id != file_at(path))
    return make_error(ErrorCode::busy, "'{}' is not the file any more that its socket was bound to", path);
  const auto bound = listening_path(socket);
  if (!bound) return bound.error();
  if (*bound != path) return invalid_argument("a socket listens at '{}', expected '{}'", *bound, path);
  if (auto set = set_access(path, access); !set) return std::move(set).error();
  auto own = duplicate_listening(socket, *parts.releases);
  if (!own) return std::move(own).error();
  return std::unique_ptr<Listener>(new Listener(path, std::move(own).value(), Owner::us, id, std::move(parts)));
}

Result<UniqueFd> Listener::open_file() const {
  UniqueFd file(::open(path_.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!file) return make_system_error(errno, "'{}'", path_);
  if (!file_ || file_of(file.get()) != file_)
    return make_error(ErrorCode::busy, "'{}' is not the socket that was bound: somebody else has replaced it", path_);
  return file;
}

void Listener::leave() noexcept {
  owner_ = Owner::somebody_else;
  file_.reset();
}

Listener::Listener(std::string path, UniqueFd socket, Owner owner, std::optional<FileId> file, Parts parts)
    : path_(std::move(path)),
      socket_(std::move(socket)),
      owner_(owner),
      file_(file),
      parts_(std::move(parts)),
      timer_(parts_.executor),
      watch_(parts_.executor, socket_.get(), [this] { serve(); }) {
  watch_.arm();
}

Listener::~Listener() {
  // It is closed later, and no peer may connect until then. A socket that others hold too is not ours to shut down.
  if (owner_ == Owner::us) ::shutdown(socket_.get(), SHUT_RDWR);
  remove_if_still(path_, file_);
}

// After an interrupted turn no other one would follow.
void Listener::serve() noexcept {
  try {
    accept_some();
  } catch (const std::exception& error) {
    parts_.log.error("accepting on '{}': {}", path_, error.what());
    timer_.start(pause, [this] { serve(); });
  }
}

void Listener::accept_some() {
  const std::weak_ptr<const bool> alive = alive_;
  for (int i = 0; i < accepts_per_turn; ++i) {
    if (parts_.releases->pending() > parts_.pending_max) return wait_for_releases();
    waits_ = false;
    ReleaseTicket ticket = parts_.releases->ticket();
    if (!ticket) return pause_after(ENOMEM);
    if (owner_ == Owner::somebody_else)
      if (auto set = set_nonblocking(socket_.get()); !set) return pause_after(set.error().system_errno);
    UniqueFd connection(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK), std::move(ticket));
    if (!connection) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EAGAIN) break;
      return pause_after(errno);
    }
    short_of_fds_ = false;
    const auto on_socket = parts_.on_socket;  // a copy: it may destroy this Listener
    on_socket(std::move(connection));
    if (alive.expired()) return;
  }
  watch_.arm();
}

// For front-ends that connect and leave faster than their descriptors are released.
void Listener::wait_for_releases() {
  if (parts_.releases->stands_still() && !std::exchange(waits_, true))
    parts_.log.warning("connections are not accepted: {} descriptors and mappings of earlier ones wait to be released",
                       parts_.releases->pending());
  timer_.start(std::chrono::milliseconds(10), [this] { serve(); });
}

// EMFILE and the like: the connection stays in the backlog and the socket readable; trying at once would be a busy
// loop.
void Listener::pause_after(int error) {
  if (!std::exchange(short_of_fds_, true))
    parts_.log.warning("{}; trying again every {} ms", make_system_error(error, "accepting on '{}'", path_).message,
                       pause.count());
  timer_.start(pause, [this] { serve(); });
}

}  // namespace vhostx::backend
