// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/trace/relay_loop.hpp"

#include <poll.h>
#include <utility>
#include <vector>

namespace vhostx::tools::probe {
namespace {

using Clock = std::chrono::steady_clock;

class Loop {
 public:
  Loop(const RelayLoopOptions& options, const RelayLoopHandlers& handlers, ListeningSocket& socket)
      : options_(options), handlers_(handlers), socket_(socket), begun_(Clock::now()) {}

  void run(int signals) {
    auto next_tick = begun_ + options_.tick;
    while (!done_) {
      turn(signals, next_tick);
      if (Clock::now() < next_tick) continue;
      handlers_.on_tick(relays_);
      next_tick = Clock::now() + options_.tick;
    }
    for (Relay& relay : relays_) relay.close("the observer was ended");
    handlers_.on_tick(relays_);
  }

 private:
  void turn(int signals, Clock::time_point until) {
    watched_.assign({{signals, POLLIN, 0}, {socket_.fd(), POLLIN, 0}});
    for (Relay& relay : relays_) relay.add_to(watched_);
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    if (::poll(watched_.data(), watched_.size(), static_cast<int>(std::max<std::int64_t>(left, 0))) <= 0) return;
    const pollfd* watched = watched_.data() + 2;
    for (Relay& relay : relays_) relay.handle(watched);
    const auto ended = relays_.remove_if([](const Relay& relay) { return relay.over(); });
    done_ = watched_[0].revents != 0 || (options_.once && ended != 0);
    if (!done_ && watched_[1].revents != 0) accept();
  }

  void accept() {
    UniqueFd comer = socket_.accept();
    if (!comer) return;
    auto other = options_.connect();
    if (!other) return handlers_.on_problem(other.error().message);
    UniqueFd& front_end = options_.reverse ? *other : comer;
    UniqueFd& back_end = options_.reverse ? comer : *other;
    relays_.emplace_back(std::move(front_end), std::move(back_end),
                         RelayOptions{++connections_, begun_, options_.count_notifications}, handlers_.on_event);
  }

  const RelayLoopOptions& options_;
  const RelayLoopHandlers& handlers_;
  ListeningSocket& socket_;
  Clock::time_point begun_;
  std::list<Relay> relays_;
  std::vector<pollfd> watched_;
  std::uint32_t connections_ = 0;
  bool done_ = false;
};

}  // namespace

Result<void> run_relays(const RelayLoopOptions& options, const RelayLoopHandlers& handlers, int signals) {
  auto socket = ListeningSocket::open(options.listen);
  if (!socket) return socket.error();
  Loop(options, handlers, *socket).run(signals);
  return {};
}

}  // namespace vhostx::tools::probe
