// SPDX-License-Identifier: BSD-3-Clause
#include "continuity/keeper_connection.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>

#include <sys/socket.h>

namespace vhostx::continuity {

bool KeeperConnection::is_leaving() const noexcept {
  pollfd one{socket_.get(), POLLRDHUP, 0};
  return ::poll(&one, 1, 0) == 1 && (one.revents & (POLLHUP | POLLRDHUP)) != 0;
}

void KeeperConnection::send(const Tagged<Reply>& reply, std::vector<SharedFd> fds) {
  if (!sends_) return;
  Outgoing out{encode(reply), std::move(fds)};
  // Others may ask for a bundle, or say that they serve it, as often as they like: each is to be known once.
  const auto same = [&out](const Outgoing& other) { return other.bytes == out.bytes; };
  const bool unasked = std::holds_alternative<YieldAsked>(reply.body) || std::holds_alternative<Settled>(reply.body);
  if (unasked && std::any_of(queue_.begin(), queue_.end(), same)) return;
  queue_.push_back(std::move(out));
  flush_queue();
}

void KeeperConnection::stop_sending() noexcept {
  sends_ = false;
  queue_.clear();
  list_.reset();
}

void KeeperConnection::flush(const Bundles& bundles, Bundles::Time now) {
  flush_queue();
  while (list_ && queue_.empty()) {
    queue_next_of_list(bundles, now);
    flush_queue();
  }
}

int KeeperConnection::send_first() const noexcept {
  const Outgoing& out = queue_.front();
  std::array<int, granted_fds_max> fds{};
  for (std::size_t i = 0; i < out.fds.size(); ++i) fds[i] = out.fds[i]->get();
  return send_packet(socket_.get(), out.bytes, std::span(fds).first(out.fds.size()));
}

void KeeperConnection::flush_queue() {
  while (!queue_.empty()) {
    const int error = send_first();
    if (error == EAGAIN) return;
    if (error == 0) {
      queue_.pop_front();
      continue;
    }
    // EPIPE: it has closed its end. ETOOMANYREFS: descriptors that others have not received are too many; without what
    // was to be sent the client cannot go on, and sees its connection end.
    ::shutdown(socket_.get(), SHUT_RDWR);
    return stop_sending();
  }
}

void KeeperConnection::queue_next_of_list(const Bundles& bundles, Bundles::Time now) {
  if (auto facts = bundles.next_after(list_->last, now)) {
    list_->last = facts->name;
    ++list_->bundles;
    queue_.push_back({encode(Tagged<Reply>{list_->tag, Listed{*std::move(facts)}}), {}});
  } else {
    queue_.push_back({encode(Tagged<Reply>{list_->tag, ListEnd{list_->bundles}}), {}});
    list_.reset();
  }
}

}  // namespace vhostx::continuity
