// SPDX-License-Identifier: BSD-3-Clause
// Relay: one front-end and one back-end, connected through us: the main socket both ways, and the back-end's own
// channel once SET_BACKEND_REQ_FD has brought one.
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <poll.h>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "tools/probe/session/event.hpp"
#include "tools/probe/trace/notifiers.hpp"
#include "tools/probe/trace/pump.hpp"

namespace vhostx::tools::probe {

/// Gets every event of every Relay, in the order of time, with duplicates of a message's descriptors.
using EventSink = std::function<void(Event&&, std::vector<UniqueFd>&& files)>;

/// The process at the other end of a connected socket.
Peer peer_of(int socket);

struct RelayOptions {
  std::uint32_t connection = 1;
  std::chrono::steady_clock::time_point begun;  ///< Events count from here.
  bool count_notifications = false;             ///< Kick and call descriptors are exchanged for our own: see Notifiers.
};

/// One thread. Never blocks.
class Relay {
 public:
  /// Tells the event `opened`.
  Relay(UniqueFd front_end, UniqueFd back_end, const RelayOptions& options, EventSink sink);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  /// Appends what it waits for.
  void add_to(std::vector<pollfd>& watched);
  /// Looks at as many as it added, in the same order.
  void handle(const pollfd*& watched);

  /// Both ends are to be closed; the event `closed` was told.
  bool over() const noexcept { return over_; }
  /// Tells the event `closed` with this text, if it was not told.
  void close(const std::string& why);

  std::uint32_t connection() const noexcept { return options_.connection; }
  const Notifiers& notifiers() const noexcept { return notifiers_; }

 private:
  struct Channel {
    UniqueFd front_end;  ///< What the front-end sent: leads to it.
    UniqueFd back_end;   ///< Our end of what the back-end got instead.
    std::vector<Pump> pumps;
  };

  PumpHooks hooks(protocol::Incoming way);
  void before_forward(protocol::Incoming way, const protocol::Header& header, std::vector<UniqueFd>& fds);
  void open_channel(UniqueFd& fd);
  void note(std::string text);
  void tell(Event&& event, std::vector<UniqueFd>&& files);
  void handle_channel(const pollfd* watched);
  void handle_ends(bool front_end_gone, bool back_end_gone);

  RelayOptions options_;
  EventSink sink_;
  UniqueFd front_end_;
  UniqueFd back_end_;
  std::vector<Pump> pumps_;  ///< Front-end to back-end, back-end to front-end.
  std::unique_ptr<Channel> channel_;
  Notifiers notifiers_;
  bool watched_channel_ = false;
  const char* first_to_leave_ = "nobody";
  bool front_end_left_ = false;
  bool back_end_left_ = false;
  bool over_ = false;
};

}  // namespace vhostx::tools::probe
