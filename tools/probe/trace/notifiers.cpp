// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/trace/notifiers.hpp"

#include <algorithm>
#include <utility>

#include <sys/eventfd.h>
#include <sys/uio.h>

#include "base/file_kind.hpp"
#include "base/peer_signals.hpp"
#include "tools/front_end/front_end.hpp"

namespace vhostx::tools::probe {
namespace {

using Request = protocol::FrontEndRequest;

// The receiver learns of an exchanged descriptor when it comes to the message, and signals the old one until then: so
// old ones are kept, and this is how many messages it may lag behind on all rings together.
constexpr std::size_t links_max = 1024;
constexpr std::uint32_t unnamed = UINT32_MAX;

// The other holder of the descriptor could switch O_NONBLOCK off: asked for with each read.
std::uint64_t drain(int fd) noexcept {
  std::uint64_t count = 0;
  iovec piece{&count, sizeof count};
  return ::preadv2(fd, &piece, 1, -1, RWF_NOWAIT) == sizeof count ? count : 0;
}

}  // namespace

void Notifiers::exchange(const protocol::Header& header, UniqueFd& fd) {
  const bool kick = header.request == static_cast<std::uint32_t>(Request::set_vring_kick);
  const bool call = header.request == static_cast<std::uint32_t>(Request::set_vring_call);
  if ((!kick && !call) || file_kind(fd.get()) != FileKind::event_fd) return;
  if (links_.empty()) static_cast<void>(prepare_peer_signals());  // where there are none, writing has to do
  UniqueFd ours(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  UniqueFd kept = duplicate(ours.get());
  auto target = EventFd::adopt(kick ? std::move(kept) : duplicate(fd.get()), "a notifier");
  if (!target || !ours) return;
  if (links_.size() == links_max) {
    pass_on(links_.front());
    links_.erase(links_.begin());
  }
  links_.push_back({kick ? std::move(fd) : std::move(kept), *std::move(target), kick, unnamed});
  fd = std::move(ours);
}

void Notifiers::name_last(std::uint32_t vring) {
  if (links_.empty() || links_.back().vring != unnamed) return;
  links_.back().vring = vring;
  counts_.try_emplace(vring);
}

void Notifiers::add_to(std::vector<pollfd>& watched) const {
  for (const Link& link : links_) watched.push_back({link.from.get(), POLLIN, 0});
}

void Notifiers::handle(const pollfd*& watched) {
  for (const Link& link : links_)
    if (((watched++)->revents & POLLIN) != 0) pass_on(link);
}

void Notifiers::pass_on(const Link& link) {
  const std::uint64_t count = drain(link.from.get());
  if (count == 0) return;
  link.to.signal();
  NotificationCounts& counts = counts_[link.vring];
  (link.kick ? counts.kicks : counts.calls) += count;
}

}  // namespace vhostx::tools::probe
