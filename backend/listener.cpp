// SPDX-License-Identifier: BSD-3-Clause
#include "backend/listener.hpp"

#include <cerrno>
#include <exception>
#include <unistd.h>
#include <utility>

#include <sys/socket.h>
#include <sys/stat.h>

#include "backend/unix_socket.hpp"
#include "base/error.hpp"

namespace vhostx::backend {
namespace {

constexpr int backlog = 16;
constexpr int accepts_per_turn = 8;
constexpr std::chrono::milliseconds pause{200};

// Whoever listens there answers; a file whose process is gone refuses.
Result<void> remove_stale(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return make_system_error(errno, "'{}'", path);
  }
  if (!S_ISSOCK(status.st_mode))
    return make_error(ErrorCode::busy, "'{}' exists and is no socket: it is not replaced", path);
  auto probe = make_unix_socket();
  if (!probe) return std::move(probe).error();
  const int error = connect_unix(probe->get(), path);
  if (error == 0 || error == EAGAIN) return make_error(ErrorCode::busy, "somebody listens on '{}'", path);
  if (error != ECONNREFUSED && error != ENOENT) return make_system_error(error, "the socket '{}' that is there", path);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return make_system_error(errno, "removing the stale socket '{}'", path);
  return {};
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::open(asio::any_io_executor executor, const std::string& path, Logger log,
                                                 std::function<void(UniqueFd)> on_socket) {
  if (auto removed = remove_stale(path); !removed) return std::move(removed).error();
  auto socket = make_unix_socket();
  if (!socket) return std::move(socket).error();
  if (const int error = bind_unix(socket->get(), path); error == EADDRINUSE)
    return make_error(ErrorCode::busy, "somebody has just bound '{}'", path);
  else if (error != 0)
    return make_system_error(error, "binding '{}'", path);
  struct stat status {};
  const FileId file = ::lstat(path.c_str(), &status) == 0 ? FileId{status.st_dev, status.st_ino} : FileId{};
  if (::listen(socket->get(), backlog) != 0) {
    const int error = errno;
    ::unlink(path.c_str());
    return make_system_error(error, "listening on '{}'", path);
  }
  try {
    return std::unique_ptr<Listener>(
        new Listener(std::move(executor), path, std::move(socket).value(), file, std::move(log), std::move(on_socket)));
  } catch (...) {
    ::unlink(path.c_str());
    throw;
  }
}

Listener::Listener(asio::any_io_executor executor, std::string path, UniqueFd socket, FileId file, Logger log,
                   std::function<void(UniqueFd)> on_socket)
    : path_(std::move(path)),
      socket_(std::move(socket)),
      file_(file),
      log_(std::move(log)),
      on_socket_(std::move(on_socket)),
      timer_(executor),
      watch_(executor, socket_.get(), [this] { serve(); }) {
  watch_.arm();
}

Listener::~Listener() {
  struct stat status {};
  if (::lstat(path_.c_str(), &status) == 0 && status.st_dev == file_.device && status.st_ino == file_.inode)
    ::unlink(path_.c_str());
}

// A turn that was broken off would never be followed by another one.
void Listener::serve() noexcept {
  try {
    accept_some();
  } catch (const std::exception& error) {
    log_.error("accepting on '{}': {}", path_, error.what());
    timer_.start(pause, [this] { serve(); });
  }
}

void Listener::accept_some() {
  const std::weak_ptr<const bool> alive = alive_;
  for (int i = 0; i < accepts_per_turn; ++i) {
    UniqueFd connection(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EAGAIN) break;
      return pause_after(errno);
    }
    short_of_fds_ = false;
    const auto on_socket = on_socket_;  // a copy: it may destroy this Listener
    on_socket(std::move(connection));
    if (alive.expired()) return;
  }
  watch_.arm();
}

// EMFILE and the like: the connection stays in the backlog and the socket readable; trying at once would be a busy
// loop.
void Listener::pause_after(int error) {
  if (!std::exchange(short_of_fds_, true))
    log_.warning("{}; trying again every {} ms", make_system_error(error, "accepting on '{}'", path_).message,
                 pause.count());
  timer_.start(pause, [this] { serve(); });
}

}  // namespace vhostx::backend
