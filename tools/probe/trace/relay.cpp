// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/trace/relay.hpp"

#include <utility>

#include <sys/socket.h>

#include "base/peer_process.hpp"
#include "tools/front_end/front_end.hpp"
#include "tools/probe/processes.hpp"

namespace vhostx::tools::probe {
namespace {

using protocol::Incoming;
using Request = protocol::FrontEndRequest;

bool is_unix_stream(int fd) noexcept {
  int domain = 0, type = 0;
  socklen_t size = sizeof domain;
  if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain != AF_UNIX) return false;
  size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

bool is(const protocol::Header& header, Request request) noexcept {
  return header.request == static_cast<std::uint32_t>(request);
}

}  // namespace

Peer peer_of(int socket) {
  const int pid = peer_pid(socket);
  return pid == 0 ? Peer{} : Peer{pid, program_of(pid)};
}

Relay::Relay(UniqueFd front_end, UniqueFd back_end, const RelayOptions& options, EventSink sink)
    : options_(options), sink_(std::move(sink)), front_end_(std::move(front_end)), back_end_(std::move(back_end)) {
  pumps_.emplace_back(Incoming::front_end_requests, front_end_.get(), back_end_.get(),
                      hooks(Incoming::front_end_requests));
  pumps_.emplace_back(Incoming::replies_to_front_end, back_end_.get(), front_end_.get(),
                      hooks(Incoming::replies_to_front_end));
  Event event;
  event.kind = EventKind::opened;
  event.front_end = peer_of(front_end_.get());
  event.back_end = peer_of(back_end_.get());
  tell(std::move(event), {});
}

PumpHooks Relay::hooks(Incoming way) {
  PumpHooks hooks;
  hooks.before_forward = [this, way](const protocol::Header& header, std::vector<UniqueFd>& fds) {
    before_forward(way, header, fds);
  };
  hooks.on_message = [this](Event&& event, std::vector<UniqueFd>&& files) {
    if (options_.count_notifications && event.way == Incoming::front_end_requests && event.payload.size() == 8 &&
        (is(event.header, Request::set_vring_kick) || is(event.header, Request::set_vring_call)))
      notifiers_.name_last(static_cast<std::uint32_t>(event.payload.front()));
    tell(std::move(event), std::move(files));
  };
  hooks.on_note = [this](std::string text) { note(std::move(text)); };
  return hooks;
}

void Relay::before_forward(Incoming way, const protocol::Header& header, std::vector<UniqueFd>& fds) {
  if (way != Incoming::front_end_requests || fds.size() != 1) return;
  if (is(header, Request::set_backend_req_fd)) open_channel(fds.front());
  if (options_.count_notifications) notifiers_.exchange(header, fds.front());
}

// What the back-end is to write into is ours, and leads to what the front-end sent.
void Relay::open_channel(UniqueFd& fd) {
  std::array<int, 2> ends{};
  if (!is_unix_stream(fd.get())) return note("the back-end's channel is no Unix stream socket: it is passed on unread");
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return note("no descriptors are free: the back-end's channel is passed on unread");
  auto channel = std::make_unique<Channel>();
  channel->front_end = std::move(fd);
  channel->back_end.reset(ends[0]);
  fd.reset(ends[1]);
  const int front = channel->front_end.get(), back = channel->back_end.get();
  channel->pumps.emplace_back(Incoming::back_end_requests, back, front, hooks(Incoming::back_end_requests));
  channel->pumps.emplace_back(Incoming::replies_to_back_end, front, back, hooks(Incoming::replies_to_back_end));
  channel_ = std::move(channel);
}

void Relay::note(std::string text) {
  Event event;
  event.kind = EventKind::note;
  event.text = std::move(text);
  tell(std::move(event), {});
}

void Relay::tell(Event&& event, std::vector<UniqueFd>&& files) {
  event.connection = options_.connection;
  event.time = std::chrono::steady_clock::now() - options_.begun;
  sink_(std::move(event), std::move(files));
}

void Relay::close(const std::string& why) {
  if (std::exchange(over_, true)) return;
  Event event;
  event.kind = EventKind::closed;
  event.text = why;
  tell(std::move(event), {});
}

void Relay::add_to(std::vector<pollfd>& watched) {
  // A source that has ended is still watched for being gone altogether; one whose destination is slow is not, for that
  // would wake us over and over.
  const auto add = [&watched](const Pump& pump) {
    watched.push_back(
        {pump.wants_to_write() ? -1 : pump.source(), static_cast<short>(pump.wants_to_read() ? POLLIN : 0), 0});
    watched.push_back({pump.wants_to_write() ? pump.destination() : -1, POLLOUT, 0});
  };
  for (const Pump& pump : pumps_) add(pump);
  watched_channel_ = channel_ != nullptr;
  if (watched_channel_)
    for (const Pump& pump : channel_->pumps) add(pump);
  notifiers_.add_to(watched);
}

void Relay::handle(const pollfd*& watched) {
  const pollfd* const main = watched;
  const pollfd* const channel = main + 2 * pumps_.size();
  const pollfd* notifiers = channel + (watched_channel_ ? 4 : 0);
  // Before messages are: they may bring further ones.
  notifiers_.handle(notifiers);
  watched = notifiers;
  if (watched_channel_) handle_channel(channel);
  for (std::size_t i = 0; i < pumps_.size(); ++i) {
    if ((main[2 * i + 1].revents & (POLLOUT | POLLERR | POLLHUP)) != 0) pumps_[i].write();
    if ((main[2 * i].revents & (POLLIN | POLLERR | POLLHUP)) != 0 && pumps_[i].wants_to_read()) pumps_[i].read();
  }
  handle_ends((main[0].revents & POLLHUP) != 0, (main[2].revents & POLLHUP) != 0);
}

void Relay::handle_channel(const pollfd* watched) {
  for (Pump& pump : channel_->pumps) {
    if ((watched[1].revents & (POLLOUT | POLLERR | POLLHUP)) != 0) pump.write();
    if ((watched[0].revents & (POLLIN | POLLERR | POLLHUP)) != 0 && pump.wants_to_read()) pump.read();
    watched += 2;
  }
  if (channel_->pumps[0].finished() || channel_->pumps[1].finished()) channel_.reset();
}

// A side that only will not send more is told on as that; one that is gone ends the connection, once what it had sent
// was passed on.
void Relay::handle_ends(bool front_end_gone, bool back_end_gone) {
  Pump& requests = pumps_[0];
  Pump& replies = pumps_[1];
  if (requests.finished() && !std::exchange(front_end_left_, true)) {
    first_to_leave_ = back_end_left_ ? first_to_leave_ : "the front-end";
    ::shutdown(back_end_.get(), SHUT_WR);
  }
  if (replies.finished() && !std::exchange(back_end_left_, true)) {
    first_to_leave_ = front_end_left_ ? first_to_leave_ : "the back-end";
    ::shutdown(front_end_.get(), SHUT_WR);
  }
  const bool over =
      (front_end_left_ && back_end_left_) || (front_end_left_ && front_end_gone) || (back_end_left_ && back_end_gone);
  if (over) close(std::string(first_to_leave_) + " left");
}

}  // namespace vhostx::tools::probe
