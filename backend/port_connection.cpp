// SPDX-License-Identifier: BSD-3-Clause
// PortCore: how a connection comes to be, and how it ends.
#include <exception>
#include <utility>

#include <sys/socket.h>

#include "backend/port_core.hpp"
#include "base/error.hpp"
#include "base/peer_process.hpp"

namespace vhostx::backend {
namespace {

// A front-end that connects meanwhile waits in the socket's queue; guests wait for the rings of other ports.
constexpr std::chrono::milliseconds after_hand_over{10};

}  // namespace

// Also with what another process has left.
Result<void> PortCore::serve() {
  if (keeping_ != nullptr) open_counters();
  auto found = keeping_ == nullptr ? std::nullopt : keeping_->take_found();
  if (parts_.options.role == Role::client) {
    drop_listener();
    const auto on_socket = [this](UniqueFd socket) { take_socket(std::move(socket)); };
    const auto on_failure = [this](Error error) { report_no_connection(std::move(error)); };
    connector_ = std::make_unique<Connector>(executor(), parts_.options, parts_.releases,
                                             Connector::Handlers{on_socket, on_failure},
                                             found ? Connector::Start::by_retry : Connector::Start::now);
  } else if (found && found->as_ahead) {
    listens_late_ = true;
    late_timer_.start(after_hand_over, [this] { finish_taking_over(); });
  } else if (auto listening = start_listening(); !listening) {
    return listening;
  }
  const bool has_waited = std::exchange(is_waiting_, false);
  if (found) take_over(std::move(*found));
  // Last: whoever forwards between ports begins when the rings of all run.
  if (has_waited && keeping_ != nullptr && keeping_->owns()) {
    emit(OwnershipChanged{PortOwnership::serving, 0}, {});
    deliver();
  }
  return {};
}

void PortCore::finish_taking_over() noexcept {
  if (!std::exchange(listens_late_, false)) return;
  late_timer_.cancel();
  const auto self = shared_from_this();
  try {
    auto listening = start_listening();
    if (!listening) cannot_serve(listening.error());
  } catch (const std::exception& error) {
    cannot_serve(make_error(ErrorCode::out_of_memory, "{}", error.what()));
  }
  publish_info();
  deliver();
}

Result<void> PortCore::start_listening() {
  if (go_on_listening()) return {};
  auto listener = make_listener();
  if (!listener) return std::move(listener).error();
  listener_ = std::move(listener).value();
  parts_.log.info("listening");
  if (keeping_ == nullptr || parts_.options.listen_fd >= 0) return {};
  auto file = listener_->open_file();
  if (!file) return std::move(file).error();
  keeping_->listens(listener_->socket(), file->get());
  return {};
}

// On the socket of the process before, which is at the keeper already.
bool PortCore::go_on_listening() {
  const auto left = keeping_ == nullptr ? std::nullopt : keeping_->take_listener();
  if (!left) return false;
  if (parts_.options.listen_fd < 0) {
    auto goes_on =
        Listener::go_on(left->socket, left->file, parts_.options.socket_path, socket_access(), listener_parts());
    if (goes_on) {
      listener_ = std::move(goes_on).value();
      parts_.log.info("listening");
      return true;
    }
    parts_.log.info("listens anew: {}", goes_on.error().message);
  }
  keeping_->listens_no_more();
  return false;
}

// That of a process before, in which the port was a server.
void PortCore::drop_listener() noexcept {
  if (keeping_ != nullptr && keeping_->take_listener()) keeping_->listens_no_more();
}

Result<std::unique_ptr<Listener>> PortCore::make_listener() {
  const PortOptions& options = parts_.options;
  return options.listen_fd >= 0 ? Listener::adopt(options.listen_fd, options.socket_path, listener_parts())
                                : Listener::open(options.socket_path, socket_access(), listener_parts());
}

SocketAccess PortCore::socket_access() const noexcept {
  return {parts_.options.socket_mode, parts_.options.socket_group};
}

Listener::Parts PortCore::listener_parts() {
  return {executor(), parts_.log, parts_.releases, parts_.pending_max(),
          [this](UniqueFd socket) { take_socket(std::move(socket)); }};
}

void PortCore::stop_listening() noexcept {
  if (listener_ != nullptr) listener_->leave();
  listener_.reset();
  connector_.reset();
}

void PortCore::take_socket(UniqueFd socket) noexcept {
  const auto self = shared_from_this();
  if (!make_room()) {
    ::shutdown(socket.get(), SHUT_RDWR);  // the peer is to know at once
    return;
  }
  if (!start_session(std::move(socket))) {
    if (connector_ != nullptr) connector_->retry();
    return;
  }
  keep_error({});
  parts_.log.info("front-end connected");
  publish_info();
  emit(FrontEndConnected{}, {});
  deliver();
}

bool PortCore::start_session(UniqueFd socket) noexcept {
  front_end_pid_ = peer_pid(socket.get());
  try {
    begin_keeping(socket.get());
    auto session = std::make_unique<Session>(*this, parts_, keeping_.get());
    session->begin(std::move(socket));
    session_ = std::move(session);
  } catch (const std::exception& error) {
    parts_.log.error("connection dropped: {}", error.what());
    if (keeping_ != nullptr) keeping_->end();
    return false;
  }
  if (state_ != nullptr) state_->begin();
  count_connection();
  return true;
}

void PortCore::report_no_connection(Error error) noexcept {
  parts_.log.info("{}; trying again", error.message);
  keep_error(error.message);
  emit(ConnectFailed{std::move(error)}, {});
  deliver();
}

// A front-end that was killed and comes back may be here before the end of its old connection has been read.
bool PortCore::make_room() {
  if (farewell_) finish_session();  // it waits for loans only
  if (closed_) return false;
  if (!may_bring_more()) {
    if (connector_ != nullptr) connector_->retry();
    return false;
  }
  if (session_ == nullptr) return true;
  if (!session_->peer_is_gone()) {
    parts_.log.warning("a second front-end was turned away: one at a time");
    return false;
  }
  end_session(make_error(ErrorCode::closed, "the front-end is gone, and another one is here"));
  if (farewell_) finish_session();
  return !closed_;
}

// A front-end whose descriptors nobody can close leaves them here; the next ones must not add to them without end.
bool PortCore::may_bring_more() {
  constexpr std::uint32_t standing_max = 16;
  const bool releasing = loop_->release_pool()->prepare();
  if (!parts_.releases->stands_still() || parts_.releases->pending() < standing_max) return true;
  if (releasing)
    parts_.log.warning(
        "a front-end was turned away: {} descriptors and mappings of earlier ones wait to be released, {} of them in "
        "close() or munmap() for more than {} ms",
        parts_.releases->pending(), parts_.releases->held_up(), ReleasePool::held_up_after.count());
  else
    parts_.log.warning(
        "a front-end was turned away: {} descriptors and mappings of earlier ones wait to be released, and no thread "
        "can be started",
        parts_.releases->pending());
  return false;
}

// From an event handler the caller's frames below deliver what is emitted; but those of another port do not: its own
// attention does then.
bool PortCore::disconnect() noexcept {
  if (session_ == nullptr || farewell_ || closed_) return false;
  end_session(make_error(ErrorCode::closed, "the application ended the connection"));
  if (loop_->delivering()) parts_.attention->signal();
  return true;
}

void PortCore::end_session(Error reason) noexcept {
  if (session_ == nullptr || farewell_) return;
  const auto self = shared_from_this();
  if (reason.code == ErrorCode::closed)
    parts_.log.info("front-end disconnected: {}", reason.message);
  else
    parts_.log.warning("front-end disconnected: {}", reason.message);
  farewell_ = std::move(reason);
  if (session_->lingers()) {
    publish_info();
    return deliver();
  }
  finish_session();
}

void PortCore::finish_session() noexcept {
  if (session_ == nullptr || !farewell_) return;
  const auto self = shared_from_this();
  Error reason = *std::exchange(farewell_, std::nullopt);
  keep_error(reason.message);
  drop_session();
  publish_info();
  if (connector_ != nullptr) connector_->retry();
  emit(FrontEndDisconnected{std::move(reason)}, {});
  deliver();
}

void PortCore::drop_session() noexcept {
  if (session_ == nullptr) return;
  session_->end_without_loans();
  swap_memory({});
  session_.reset();
  if (state_ != nullptr) state_->end();
  if (keeping_ != nullptr) keeping_->end();
  farewell_.reset();
  placement_watch_.stop();
  look_after_loans();
}

}  // namespace vhostx::backend
